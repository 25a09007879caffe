"""Objects of an S3 bucket one by one, and what headers say of them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Self
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from awscrt import checksums

from haulier import errors
from haulier.store import s3_xml
from haulier.store.base import ObjectInfo, ObjectOptions, StoreChecks, StoreLimits
from haulier.store.keys import check_key
from haulier.store.s3_bodies import BufferBody
from haulier.store.s3_credentials import S3Access
from haulier.store.s3_digests import (
    base64_of_hex,
    header_of_metadata,
    hex_of_base64,
    metadata_of_header,
)
from haulier.store.s3_errors import RangeNotSatisfiable, Rejection, error_of
from haulier.store.s3_http import Answer, S3Http

GET_PIECE_BYTES = 1 << 20
NO_CHECKS = StoreChecks(crc64nvme=False, etag_is_md5=False, if_none_match=False)

_META = "x-amz-meta-"


class S3Objects:
    """Reads, writes and deletes objects; see `S3Store`."""

    scheme = "s3"

    def __init__(
        self, bucket: str, *, access: S3Access | None = None, checks: StoreChecks | None = None
    ) -> None:
        self.bucket: str | None = bucket
        self.url = f"s3://{bucket}"
        self.checks = checks or NO_CHECKS
        self.limits = _limits(self.checks)
        self.http = S3Http(bucket, access or S3Access())

    def with_checks(self, checks: StoreChecks) -> Self:
        """Return this store, on the same connections, relying on `checks`."""
        twin = type(self).__new__(type(self))
        twin.__dict__ = {**self.__dict__, "checks": checks, "limits": _limits(checks)}
        return twin

    async def aclose(self) -> None:
        """Close every connection."""
        await self.http.aclose()

    async def head(self, key: str) -> ObjectInfo:
        """Return what is known of `key`; raises NoSuchObject.

        A missing bucket looks the same: the answer to HEAD has no body to say so.
        """
        headers = {"x-amz-checksum-mode": "ENABLED"}
        answer = await self.http.send("HEAD", check_key(key), headers=headers)
        return object_info(key, answer.headers)

    @asynccontextmanager
    async def get(
        self, key: str, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open bytes of `key` as pieces of at most 1 MiB; past its end there are none.

        Raises NoSuchObject, ObjectChanged when `if_match` is not its ETag, ObjectArchived
        when it has to be brought back first.
        """
        if end is not None and end <= start:
            await self.head(key)
            yield _nothing()
            return
        headers = {} if if_match is None else {"If-Match": f'"{if_match}"'}
        is_ranged = start > 0 or end is not None
        if is_ranged:
            headers["Range"] = f"bytes={start}-" + ("" if end is None else str(end - 1))
        what = self.http.what("GET", key)
        try:
            response = await self.http.open("GET", check_key(key), headers=headers)
        except RangeNotSatisfiable:
            yield _nothing()
            return
        async with response:
            if is_ranged and not _starts_at(response.headers, start):
                raise errors.RequestRejected(f"{what}: the store does not send ranges")
            yield self.http.pieces(response, what, piece_bytes=GET_PIECE_BYTES)

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        options: ObjectOptions | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        """Store a small object whole.

        Raises ObjectExists when told not to overwrite, BadDigest when other bytes arrived.
        """
        options = options or ObjectOptions()
        headers, md5, crc64nvme = option_headers(options), "", None
        if self.checks.crc64nvme:
            crc64nvme = f"{checksums.crc64nvme(body):016x}"
            headers["x-amz-checksum-crc64nvme"] = base64_of_hex(crc64nvme)
        else:
            md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
            headers["Content-MD5"] = base64_of_hex(md5)
        if if_none_match:
            headers["If-None-Match"] = "*"
        # The checksum is signed and covers the body; to sign over that as well costs far more.
        sent = BufferBody([body], len(body), stall_s=self.http.access.stall_s)
        answer = await self.http.send(
            "PUT", check_key(key), headers=headers, body=sent, missing=errors.NoSuchBucket
        )
        etag = self.checked_etag(answer, md5, self.http.what("PUT", key))
        return _new_object(key, len(body), etag, crc64nvme, options)

    async def delete(self, key: str) -> None:
        """Delete `key`; no error when it is not there."""
        try:
            await self.http.send("DELETE", check_key(key))
        except errors.NoSuchObject:
            return

    def checked_etag(self, answer: Answer, md5: str, what: str) -> str:
        """Return the bare ETag; raises BadDigest when it should be the MD5 and is not.

        `md5` is "" when it was not taken.
        """
        etag = answer.headers.get("ETag", "").strip('"')
        if not etag:
            raise errors.RequestRejected(f"{what}: the store answered without an ETag")
        # With KMS keys the ETag is no digest of the bytes.
        has_own_key = answer.headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")
        if md5 and self.checks.etag_is_md5 and not has_own_key and etag != md5:
            raise errors.BadDigest(f"{what}: sent MD5 {md5}, the store has {etag}")
        return etag


def _limits(checks: StoreChecks) -> StoreLimits:
    return StoreLimits(wants_md5=not checks.crc64nvme)


def object_info(key: str, headers: Mapping[str, str]) -> ObjectInfo:
    """Read what the headers of an answer say of an object."""
    modified = headers.get("Last-Modified")
    crc64nvme = hex_of_base64(headers.get("x-amz-checksum-crc64nvme"))
    return ObjectInfo(
        key=key,
        size_bytes=int(headers.get("Content-Length", "0")),
        etag=headers.get("ETag", "").strip('"') or None,
        crc64nvme=None if headers.get("x-amz-checksum-type") == "COMPOSITE" else crc64nvme,
        modified_at=None if modified is None else parsedate_to_datetime(modified),
        storage_class=headers.get("x-amz-storage-class"),
        content_type=headers.get("Content-Type"),
        metadata={
            name.lower().removeprefix(_META): metadata_of_header(value)
            for name, value in headers.items()
            if name.lower().startswith(_META)
        },
        restore=headers.get("x-amz-restore"),
    )


def option_headers(options: ObjectOptions) -> dict[str, str]:
    """Return the headers that make a new object as `options` say."""
    headers = {"Content-Type": options.content_type}
    if options.storage_class is not None:
        headers["x-amz-storage-class"] = options.storage_class
    if options.sse is not None:
        headers["x-amz-server-side-encryption"] = options.sse
    if options.sse_kms_key_id is not None:
        headers["x-amz-server-side-encryption-aws-kms-key-id"] = options.sse_kms_key_id
    for name, value in options.metadata.items():
        headers[_META + name] = header_of_metadata(value)
    if options.tags:
        headers["x-amz-tagging"] = urlencode(options.tags)
    return headers


def accepted(answer: Answer, what: str, *, if_none_match: bool = False) -> ET.Element:
    """Return the answer's document; a 200 can still carry an error, which is raised."""
    root = s3_xml.parse(answer.body)
    if root.tag != "Error":
        return root
    rejection = Rejection.read(answer.status, answer.headers, answer.body)
    condition = "If-None-Match" if if_none_match else None
    raise error_of(rejection, answer.headers, what=what, condition=condition)


def _new_object(
    key: str, size_bytes: int, etag: str, crc64nvme: str | None, options: ObjectOptions
) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size_bytes=size_bytes,
        etag=etag,
        crc64nvme=crc64nvme,
        storage_class=options.storage_class,
        content_type=options.content_type,
        metadata=options.metadata,
    )


def _starts_at(headers: Mapping[str, str], start: int) -> bool:
    return headers.get("Content-Range", "").startswith(f"bytes {start}-")


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
