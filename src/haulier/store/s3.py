"""S3 and everything that speaks like it, as a store."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Self
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from awscrt import checksums

from haulier import errors
from haulier.store import s3_xml
from haulier.store.base import (
    Advance,
    ObjectInfo,
    ObjectOptions,
    OpenUpload,
    Part,
    PartReceipt,
    StoreChecks,
    StoreLimits,
    no_advance,
)
from haulier.store.keys import check_key
from haulier.store.s3_bodies import BufferBody, Pace, StreamBody
from haulier.store.s3_credentials import S3Access
from haulier.store.s3_digests import (
    base64_of_hex,
    header_of_metadata,
    hex_of_base64,
    metadata_of_header,
)
from haulier.store.s3_errors import (
    ConditionalConflict,
    RangeNotSatisfiable,
    Rejection,
    RestoreUnderWay,
    error_of,
)
from haulier.store.s3_http import Answer, S3Http
from haulier.store.s3_probe import probe

GET_PIECE_BYTES = 1 << 20
MAX_LINK_AGE_S = 7 * 24 * 3600
NO_CHECKS = StoreChecks(crc64nvme=False, etag_is_md5=False, if_none_match=False)

_META = "x-amz-meta-"
_RESTART = "the key was written to meanwhile; S3 wants the upload sent anew"


class S3Store:
    """The objects of one bucket.

    `checks` are what the endpoint was seen to do (`probe`); the checksum an upload is
    opened with is the one its parts must carry, so hand in the same checks on a resume.
    Where CRC-64/NVME is checked, MD5 would say nothing more and is not asked for.
    Keys are as `check_key` allows. Every method raises AccessDenied, NoSuchBucket,
    RequestRejected, and the kinds of Transient, besides what `base` names.
    """

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
        etag = self._checked_etag(answer, md5, self.http.what("PUT", key))
        return _new_object(key, len(body), etag, crc64nvme, options)

    async def delete(self, key: str) -> None:
        """Delete `key`; no error when it is not there."""
        try:
            await self.http.send("DELETE", check_key(key))
        except errors.NoSuchObject:
            return

    async def start_upload(self, key: str, options: ObjectOptions) -> str:
        """Open an upload and return its id."""
        headers = option_headers(options)
        if self.checks.crc64nvme:
            headers["x-amz-checksum-algorithm"] = "CRC64NVME"
            headers["x-amz-checksum-type"] = "FULL_OBJECT"
        answer = await self.http.send(
            "POST",
            check_key(key),
            query={"uploads": ""},
            headers=headers,
            missing=errors.NoSuchBucket,
        )
        upload_id = s3_xml.text(s3_xml.parse(answer.body), "UploadId")
        if upload_id is None:
            raise errors.ServiceFault(f"{self.url}/{key}: the store opened no upload")
        return upload_id

    async def put_part(
        self,
        key: str,
        upload_id: str,
        part: Part,
        *,
        advance: Advance = no_advance,
        pace: Pace | None = None,
    ) -> PartReceipt:
        """Store one part, whose checksum the store compares before it answers.

        `pace` is awaited before each piece that is sent. Raises BadDigest when what arrived
        is not what `part` says, NoSuchUpload when the upload is gone.
        """
        if self.checks.crc64nvme:
            headers = {"x-amz-checksum-crc64nvme": base64_of_hex(part.crc64nvme)}
        else:
            headers = {"Content-MD5": base64_of_hex(part.md5)}
        stall_s = self.http.access.stall_s
        answer = await self.http.send(
            "PUT",
            check_key(key),
            query={"partNumber": str(part.number), "uploadId": upload_id},
            headers=headers,
            body=BufferBody(
                part.buffers, part.size_bytes, advance=advance, pace=pace, stall_s=stall_s
            ),
            missing=errors.NoSuchUpload,
        )
        what = f"part {part.number} of {self.url}/{key}"
        crc64nvme = hex_of_base64(answer.headers.get("x-amz-checksum-crc64nvme"))
        if crc64nvme not in {None, part.crc64nvme}:
            raise errors.BadDigest(f"{what}: the store computed another CRC-64/NVME")
        return PartReceipt(
            number=part.number,
            size_bytes=part.size_bytes,
            etag=self._checked_etag(answer, part.md5, what),
            crc64nvme=crc64nvme,
        )

    async def stream_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        size_bytes: int,
        pieces: AsyncIterator[bytes],
        crc64nvme: Callable[[], str],
    ) -> PartReceipt:
        """Store a part while its bytes are still on their way.

        The checksum follows the bytes, and the store compares it before it answers. Where the
        endpoint does not check CRC-64/NVME, an MD5 is held against the ETag. Raises like
        `put_part`; a part that broke off is not kept.
        """
        body = StreamBody(
            pieces,
            size_bytes,
            crc64nvme=crc64nvme if self.checks.crc64nvme else None,
            wants_md5=self.limits.wants_md5,
            stall_s=self.http.access.stall_s,
        )
        answer = await self.http.send(
            "PUT",
            check_key(key),
            query={"partNumber": str(number), "uploadId": upload_id},
            headers=body.framing,
            body=body,
            missing=errors.NoSuchUpload,
        )
        what = f"part {number} of {self.url}/{key}"
        found, wanted = hex_of_base64(answer.headers.get("x-amz-checksum-crc64nvme")), crc64nvme()
        if found not in {None, wanted}:
            raise errors.BadDigest(f"{what}: the store computed another CRC-64/NVME")
        etag = self._checked_etag(answer, body.md5, what)
        return PartReceipt(number=number, size_bytes=size_bytes, etag=etag, crc64nvme=found)

    async def list_parts(self, key: str, upload_id: str) -> list[PartReceipt]:
        """Return every part stored so far, by number; raises NoSuchUpload."""
        query = {"uploadId": upload_id, "max-parts": "1000"}
        found: list[PartReceipt] = []
        while True:
            answer = await self.http.send(
                "GET", check_key(key), query=query, missing=errors.NoSuchUpload
            )
            root = s3_xml.parse(answer.body)
            found += s3_xml.receipts(root)
            marker = s3_xml.text(root, "NextPartNumberMarker")
            if not _is_truncated(root) or marker is None:
                return sorted(found, key=lambda receipt: receipt.number)
            query["part-number-marker"] = marker

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[PartReceipt],
        *,
        crc64nvme: str | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        """Make the object visible from `parts`.

        Raises ObjectExists when the key is taken and may not be overwritten, NoSuchUpload
        when the upload is gone (perhaps because an earlier call completed it: ask `head`)
        or when somebody else wrote the key meanwhile, for which S3 demands a new upload.
        """
        headers = {}
        if if_none_match:
            headers["If-None-Match"] = "*"
        if self.checks.crc64nvme and crc64nvme is not None:
            headers["x-amz-checksum-crc64nvme"] = base64_of_hex(crc64nvme)
            headers["x-amz-checksum-type"] = "FULL_OBJECT"
        try:
            answer = await self.http.send(
                "POST",
                check_key(key),
                query={"uploadId": upload_id},
                headers=headers,
                body=s3_xml.complete_document(parts),
                missing=errors.NoSuchUpload,
            )
            root = accepted(answer, self.http.what("POST", key), if_none_match=if_none_match)
        except ConditionalConflict as exc:
            raise errors.NoSuchUpload(f"{self.url}/{key}: {_RESTART}") from exc
        return ObjectInfo(
            key=key,
            size_bytes=sum(part.size_bytes for part in parts),
            etag=(s3_xml.text(root, "ETag") or "").strip('"') or None,
            crc64nvme=hex_of_base64(s3_xml.text(root, "ChecksumCRC64NVME")),
        )

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """Forget the upload and its parts; no error when it is gone already."""
        try:
            await self.http.send(
                "DELETE",
                check_key(key),
                query={"uploadId": upload_id},
                missing=errors.NoSuchUpload,
            )
        except errors.NoSuchUpload:
            return

    async def list_objects(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Yield the objects whose key starts with `prefix`, in the store's order of keys."""
        query = {"list-type": "2", "encoding-type": "url", "prefix": prefix}
        while True:
            answer = await self.http.send("GET", query=query, missing=errors.NoSuchBucket)
            root = s3_xml.parse(answer.body)
            for element in root.iterfind("Contents"):
                yield ObjectInfo(
                    key=s3_xml.key_at(element, "Key"),
                    size_bytes=int(element.findtext("Size", "0")),
                    etag=element.findtext("ETag", "").strip('"') or None,
                    modified_at=s3_xml.time_at(element, "LastModified"),
                    storage_class=s3_xml.text(element, "StorageClass"),
                )
            token = s3_xml.text(root, "NextContinuationToken")
            if not _is_truncated(root) or token is None:
                return
            query["continuation-token"] = token

    async def list_uploads(self, prefix: str = "") -> AsyncIterator[OpenUpload]:
        """Yield the open multipart uploads below `prefix`."""
        # Not with encoding-type=url: SeaweedFS claims it here and sends the keys as they are.
        query = {"uploads": "", "prefix": prefix}
        while True:
            answer = await self.http.send("GET", query=query, missing=errors.NoSuchBucket)
            root = s3_xml.parse(answer.body)
            for element in root.iterfind("Upload"):
                yield OpenUpload(
                    key=element.findtext("Key", ""),
                    upload_id=element.findtext("UploadId", ""),
                    started_at=s3_xml.time_at(element, "Initiated"),
                )
            if not _is_truncated(root):
                return
            query["key-marker"] = root.findtext("NextKeyMarker", "")
            query["upload-id-marker"] = root.findtext("NextUploadIdMarker", "")

    def sign_get(
        self, key: str, *, expires_s: int, answer_with: Mapping[str, str] | None = None
    ) -> str:
        """Return a URL by which anybody can read `key` for `expires_s` seconds (to 7 days).

        The answer will have the headers `answer_with`.

        Blocks while credentials are looked up, if no request was sent yet. Raises UsageError
        when `expires_s` is out of bounds, AccessDenied without credentials.
        """
        if not 0 < expires_s <= MAX_LINK_AGE_S:
            raise errors.UsageError(
                f"a link can't be good for {expires_s} s", hint="S3 allows 1 second to 7 days."
            )
        query = {f"response-{name.lower()}": text for name, text in (answer_with or {}).items()}
        return self.http.sign_url(check_key(key), expires_s=expires_s, query=query)

    async def probe(self, prefix: str = "") -> StoreChecks:
        """Try a wrong checksum and a conditional write on a small object under `prefix`,
        and leave nothing behind."""
        return await probe(self, prefix)

    async def request_restore(self, key: str, *, days: int = 7, tier: str = "Standard") -> None:
        """Ask for a readable copy of `key` for `days` days; no error when one is under way.

        Raises NoSuchObject, RequestRejected when the object is in no archive class.
        """
        try:
            await self.http.send(
                "POST",
                check_key(key),
                query={"restore": ""},
                body=s3_xml.restore_document(days, tier),
            )
        except RestoreUnderWay:
            return

    def _checked_etag(self, answer: Answer, md5: str, what: str) -> str:
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


def _is_truncated(root: ET.Element) -> bool:
    return root.findtext("IsTruncated") == "true"


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
