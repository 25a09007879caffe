"""Multipart uploads to S3: parts from memory, from a stream, and from other objects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from urllib.parse import quote

from haulier import errors
from haulier.store import s3_xml
from haulier.store.base import (
    Advance,
    ObjectInfo,
    ObjectOptions,
    OpenUpload,
    Part,
    PartReceipt,
    no_advance,
)
from haulier.store.keys import check_key
from haulier.store.s3_bodies import BufferBody, Pace, StreamBody
from haulier.store.s3_digests import base64_of_hex, hex_of_base64
from haulier.store.s3_errors import ConditionalConflict
from haulier.store.s3_objects import S3Objects, accepted, option_headers

_RESTART = "the key was written to meanwhile; S3 wants the upload sent anew"


class S3Multipart(S3Objects):
    """Opens, fills, completes and finds multipart uploads; see `S3Store`."""

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
            etag=self.checked_etag(answer, part.md5, what),
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
        etag = self.checked_etag(answer, body.md5, what)
        return PartReceipt(number=number, size_bytes=size_bytes, etag=etag, crc64nvme=found)

    async def copy_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        source_key: str,
        start: int,
        end: int,
        *,
        if_match: str | None = None,
    ) -> PartReceipt:
        """Store bytes `start` up to but not including `end` of `source_key` as a part.

        They don't come here. Raises NoSuchUpload, NoSuchObject when there is no such source,
        ObjectChanged when `if_match` is not its ETag, RequestRejected where the endpoint can't
        copy.
        """
        headers = {
            "x-amz-copy-source": quote(f"/{self.bucket}/{check_key(source_key)}"),
            "x-amz-copy-source-range": f"bytes={start}-{end - 1}",
        }
        if if_match is not None:
            headers["x-amz-copy-source-if-match"] = f'"{if_match}"'
        what = f"part {number} of {self.url}/{key}"
        answer = await self.http.send(
            "PUT",
            check_key(key),
            query={"partNumber": str(number), "uploadId": upload_id},
            headers=headers,
            missing=errors.NoSuchUpload,
        )
        copied = accepted(answer, what)
        etag = copied.findtext("ETag", "").strip('"')
        if not etag:
            raise errors.RequestRejected(f"{what}: the store answered without an ETag")
        crc64nvme = hex_of_base64(s3_xml.text(copied, "ChecksumCRC64NVME"))
        return PartReceipt(number=number, size_bytes=end - start, etag=etag, crc64nvme=crc64nvme)

    async def list_parts(
        self,
        key: str,
        upload_id: str,
        *,
        sent: Sequence[PartReceipt] = (),  # noqa: ARG002 - the bucket knows its parts
    ) -> list[PartReceipt]:
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
            if not s3_xml.is_truncated(root) or marker is None:
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
            if not s3_xml.is_truncated(root):
                return
            query["key-marker"] = root.findtext("NextKeyMarker", "")
            query["upload-id-marker"] = root.findtext("NextUploadIdMarker", "")
