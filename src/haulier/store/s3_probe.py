"""Finding out by trying which checks an S3 endpoint makes."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from typing import TYPE_CHECKING

from awscrt import checksums

from haulier import errors
from haulier.store import s3_xml
from haulier.store.base import ObjectOptions, Part, StoreChecks

if TYPE_CHECKING:
    from haulier.store.s3 import S3Store

_BODY = b"haulier asks which checks this store makes; this object may be deleted\n"
_MD5 = hashlib.md5(_BODY, usedforsecurity=False).hexdigest()
_UNCHECKED = StoreChecks(crc64nvme=False, etag_is_md5=False, if_none_match=False)


async def probe(store: S3Store, prefix: str = "") -> StoreChecks:
    """Try wrong checksums and conditional writes on one object below `prefix`.

    Some endpoints take every header and look at none, so each ability counts only when a
    wrong request was refused and a right one was not. Deletes what it made, also on failure.
    """
    key = f"{prefix}.haulier-probe-{secrets.token_hex(8)}"
    plain = store.with_checks(_UNCHECKED)
    try:
        whole = await plain.put(key, _BODY)
        refuses_put = await _refuses_to_overwrite(plain, key)
        etag, refuses_complete = await _try_parts(plain, key)
        has_crc64nvme = await _checks_crc64nvme(plain, key)
        has_tags = await _keeps_tags(plain, key)
    except BaseException:
        with contextlib.suppress(errors.StoreError):  # what went wrong first is what counts
            await plain.delete(key)
        raise
    await plain.delete(key)
    etag_of_parts = hashlib.md5(bytes.fromhex(_MD5), usedforsecurity=False).hexdigest() + "-1"
    return StoreChecks(
        crc64nvme=has_crc64nvme,
        etag_is_md5=whole.etag == _MD5 and etag == etag_of_parts,
        if_none_match=refuses_put and refuses_complete,
        tags=has_tags,
    )


async def keeps_tags(store: S3Store, prefix: str = "") -> bool:
    """Return whether objects can be given tags, by trying it on one below `prefix`."""
    key = f"{prefix}.haulier-probe-{secrets.token_hex(8)}"
    try:
        return await _keeps_tags(store, key)
    finally:
        await store.delete(key)


async def _keeps_tags(store: S3Store, key: str) -> bool:
    """Some endpoints refuse tags, some lose them, and to give them may not be allowed."""
    tags = {"haulier": "probe"}
    try:
        await store.put(key, _BODY, options=ObjectOptions(tags=tags))
        return await object_tags(store, key) == tags
    except (errors.AccessDenied, errors.NoSuchObject, errors.RequestRejected):
        return False


async def object_tags(store: S3Store, key: str) -> dict[str, str]:
    """Return the tags of the object at `key`."""
    answer = await store.http.send("GET", key, query={"tagging": ""})
    tags = s3_xml.parse(answer.body).iterfind("TagSet/Tag")
    return {tag.findtext("Key", ""): tag.findtext("Value", "") for tag in tags}


async def _refuses_to_overwrite(store: S3Store, key: str) -> bool:
    try:
        await store.put(key, _BODY, if_none_match=True)
    except errors.ObjectExists:
        return True
    except errors.RequestRejected:
        return False
    return False


async def _try_parts(store: S3Store, key: str) -> tuple[str | None, bool]:
    """Return the ETag of an object made of one part, and whether a conditional Complete
    left the existing object alone."""
    upload_id = await store.start_upload(key, ObjectOptions())
    try:
        receipt = await store.put_part(key, upload_id, _part())
        try:
            info = await store.complete_upload(key, upload_id, [receipt], if_none_match=True)
        except errors.ObjectExists:
            info = await store.complete_upload(key, upload_id, [receipt])
            return info.etag, True
        return info.etag, False
    finally:
        await store.abort_upload(key, upload_id)


async def _checks_crc64nvme(store: S3Store, key: str) -> bool:
    """Return whether a part with a wrong CRC is refused, a right one taken, and the whole
    object's shown."""
    trusting = store.with_checks(
        StoreChecks(crc64nvme=True, etag_is_md5=False, if_none_match=False)
    )
    try:
        upload_id = await trusting.start_upload(key, ObjectOptions())
    except errors.RequestRejected:
        return False
    try:
        if not await _refuses(trusting, key, upload_id):
            return False
        receipt = await trusting.put_part(key, upload_id, _part())
        crc64nvme = _part().crc64nvme
        await trusting.complete_upload(key, upload_id, [receipt], crc64nvme=crc64nvme)
        return (await trusting.head(key)).crc64nvme == crc64nvme
    except (errors.BadDigest, errors.RequestRejected):
        return False
    finally:
        await store.abort_upload(key, upload_id)


async def _refuses(store: S3Store, key: str, upload_id: str) -> bool:
    wrong = _part(crc64nvme="0123456789abcdef")
    try:
        await store.put_part(key, upload_id, wrong)
    except (errors.BadDigest, errors.RequestRejected):
        return True
    return False


def _part(crc64nvme: str | None = None) -> Part:
    right = f"{checksums.crc64nvme(_BODY):016x}"
    return Part(
        number=1,
        offset=0,
        buffers=[_BODY],
        size_bytes=len(_BODY),
        md5=_MD5,
        crc64nvme=crc64nvme or right,
    )
