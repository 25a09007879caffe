"""A haulier server as a store: a key is the path of a file there.

What the server keeps of a key are files and their versions: overwriting makes a version, deleting
puts the file into the server's trash. An upload is one session that takes its parts in order.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote, urlsplit

from haulier import errors
from haulier.core.checksums import combine_crc64nvme, crc64nvme, format_checksum
from haulier.core.records import format_time, parse_time
from haulier.net.guard import AddressGuard
from haulier.net.http import HttpClient
from haulier.net.refusals import REFUSALS, refusal_of
from haulier.net.tus import TusClient, pieces_of
from haulier.store.base import (
    Advance,
    ObjectInfo,
    ObjectOptions,
    OpenUpload,
    Part,
    PartReceipt,
    StoreLimits,
    no_advance,
)
from haulier.store.haulier_paths import key_of, split_key
from haulier.store.haulier_uploads import UploadsInOrder

_PAGE = 1000
_MOST_ANSWER_BYTES = 32 << 20


class HaulierStore:
    """The files of an account on a haulier server.

    Besides what `base` names, methods raise AccessDenied for a token that is missing or wrong,
    UnsafePath for keys that the server can't keep as they are, FileSizeError and QuotaExceeded
    for what is too large for it, StorageFull when its disk is full.

    Args:
        url: `https://host`, without a path.
        http: has the connections, and allows the host.
        token: proves whose files they are.
    """

    bucket: str | None = None
    limits = StoreLimits(
        min_part_bytes=1,
        max_part_bytes=1 << 40,
        max_parts=1_000_000,
        max_object_bytes=1 << 53,
        contiguous_parts=True,
        wants_md5=False,
        in_order=True,
    )

    def __init__(self, url: str, http: HttpClient, *, token: str) -> None:
        self.url = url
        self.scheme = urlsplit(url).scheme
        self._http = http
        self._headers = {"Authorization": f"Bearer {token}"}
        self.tus = TusClient(http, f"{url}/tus/", headers=self._headers)
        self._uploads = UploadsInOrder(self.tus, f"{url}/tus/")

    @classmethod
    def at(cls, url: str, token: str) -> Self:
        """Return the files of whoever has `token`, on connections of their own.

        Whoever names a server may mean one in their own network.
        """
        guard = AddressGuard([urlsplit(url).hostname or ""])
        return cls(url, HttpClient(guard=guard), token=token)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def check_account(self) -> dict[str, Any]:
        """Return what the server says of the account: `name`, `role`, `quota`, `used`.

        Raises:
            AccessDenied: the token is missing, wrong, or a viewer's.
        """
        account = await self._json("GET", "/auth/me")
        if account.get("role") == "viewer":
            raise errors.AccessDenied(
                f"{account.get('name')} may only look at {self.url}",
                hint="Ask an admin of the server for the role user.",
            )
        return account

    async def head(self, key: str) -> ObjectInfo:
        """Return what is known of `key`; raises NoSuchObject."""
        return _info_of(key, await self._file(key))

    @asynccontextmanager
    async def get(
        self, key: str, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open bytes of `key` as pieces of at most 1 MiB; past its end there are none.

        What is read is one version, whatever comes of the key meanwhile. Raises NoSuchObject;
        ObjectChanged when `if_match` is not its ETag.
        """
        file = await self._file(key)
        if if_match is not None and _etag_of(file) != if_match:
            raise errors.ObjectChanged(f"{self.url}/{key} is not the object it was")
        size_bytes = int(file["size"])
        stop = size_bytes if end is None else min(end, size_bytes)
        if start >= stop:
            yield _nothing()
            return
        url = f"{self.url}/api/files/{file['id']}/download?version={file['version']}"
        headers = {**self._headers, "Range": f"bytes={start}-{stop - 1}"}
        async with self._http.open("GET", url, headers=headers, accept=REFUSALS) as answer:
            if answer.status >= 300:
                raise await refusal_of(answer, f"{self.url}/{key}")
            if answer.status != 206:
                raise errors.RequestRejected(f"{self.url} does not answer ranges")
            yield answer.pieces()

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        options: ObjectOptions | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        """Store a small object whole; raises ObjectExists when told not to overwrite."""
        await self.tus.create(
            size_bytes=len(body),
            metadata=_metadata(key, options or ObjectOptions()),
            only_new=if_none_match,
            body=body,
            checksum=format_checksum("crc64nvme", crc64nvme(body)),
        )
        return await self.head(key)

    async def delete(self, key: str) -> None:
        """Put `key` into the server's trash; no error when it is not there."""
        try:
            file = await self._file(key)
            await self._json("DELETE", f"/api/files/{file['id']}")
        except errors.NoSuchObject:
            return

    async def share(self, key: str, *, until: datetime) -> str:
        """Return a URL by which anybody can read `key` up to a moment; raises NoSuchObject."""
        file = await self._file(key)
        wanted = {"expires_at": format_time(until)}
        made = await self._json("POST", f"/api/files/{file['id']}/shares", body=wanted)
        return str(made["url"])

    async def delete_for_good(self, key: str) -> None:
        """Delete `key` past the trash, and its folder when nothing else is there; no error when it
        is not there."""
        folder = split_key(key)[0]
        with suppress(errors.NoSuchObject):
            file = await self._file(key)
            await self._json("DELETE", f"/api/files/{file['id']}")
            await self._json("DELETE", f"/api/trash/{file['id']}")
        with suppress(errors.NoSuchObject):
            async for _ in self._below(folder):
                return
            async for one in self._pages("/api/folders", parent=folder.rpartition("/")[0]):
                if one["path"] == folder:
                    await self._json("DELETE", f"/api/folders/{one['id']}")

    async def start_upload(self, key: str, options: ObjectOptions) -> str:
        """Open an upload and return its id."""
        location = await self.tus.create(size_bytes=None, metadata=_metadata(key, options))
        return location.rsplit("/", 1)[-1]

    async def put_part(
        self,
        key: str,  # noqa: ARG002 - the upload knows it
        upload_id: str,
        part: Part,
        *,
        advance: Advance = no_advance,
        pace: Callable[[int], Awaitable[None]] | None = None,
    ) -> PartReceipt:
        """Store one part, once all before it are stored; durable when this returns.

        A part at a place that is taken by other bytes raises NoSuchUpload: what was sent can't
        be taken back, so the upload is of no use to whoever sends something else.
        """
        await self._uploads.append(upload_id, part, pieces_of(part.buffers, advance, pace))
        return _receipt(part.number, part.size_bytes, part.crc64nvme)

    async def list_parts(
        self,
        key: str,  # noqa: ARG002 - the upload knows it
        upload_id: str,
        *,
        sent: Sequence[PartReceipt] = (),
    ) -> list[PartReceipt]:
        """Return those of the parts that were `sent` that the server has, by number.

        It knows how far the upload came and the checksum up to there, not what were its parts:
        without `sent`, or when that does not agree, everything is one part.
        """
        state = await self._uploads.state(upload_id)
        crc, offset, found = 0, 0, []
        for part in sorted(sent, key=lambda one: one.number):
            if offset + part.size_bytes > state.offset or part.crc64nvme is None:
                break
            crc = combine_crc64nvme(crc, int(part.crc64nvme, 16), part.size_bytes)
            offset += part.size_bytes
            found.append(_receipt(part.number, part.size_bytes, part.crc64nvme))
        if (offset, f"{crc:016x}") == (state.offset, state.crc64nvme):
            return found
        return [_receipt(1, state.offset, state.crc64nvme)]

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[PartReceipt],
        *,
        crc64nvme: str | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        """Make the object visible from `parts`, which must be all that was sent.

        Raises ObjectExists when the key is taken and may not be overwritten, BadDigest when
        `crc64nvme` is not the CRC of the whole, RequestRejected when parts are missing,
        NoSuchUpload when the upload is gone.
        """
        state = await self._uploads.state(upload_id)
        size_bytes = sum(part.size_bytes for part in parts)
        if state.offset != size_bytes:
            raise errors.RequestRejected(
                f"{key}: the parts have {size_bytes} bytes, {self.url} has {state.offset}"
            )
        if crc64nvme not in {None, state.crc64nvme}:
            raise errors.BadDigest(
                f"{key}: CRC-64/NVME of the parts is {state.crc64nvme}, not {crc64nvme}"
            )
        # A session that was cut off while it became a file is finished by the same request.
        only_new = if_none_match and not state.is_complete
        await self._uploads.complete(upload_id, size_bytes, only_new=only_new)
        try:
            return await self.head(key)
        except errors.NoSuchObject as exc:
            raise errors.NoSuchUpload(f"{key} was completed, and deleted since") from exc

    async def abort_upload(self, key: str, upload_id: str) -> None:  # noqa: ARG002
        """Forget the upload and its parts; no error when it is gone already."""
        await self._uploads.abort(upload_id)

    async def list_objects(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Yield the objects whose key starts with `prefix`, in key order."""
        async for info in self._below(prefix.rpartition("/")[0]):
            if info.key.startswith(prefix):
                yield info

    async def list_uploads(self, prefix: str = "") -> AsyncIterator[OpenUpload]:
        """Yield the open uploads below `prefix`, those of every client of the account."""
        async for found in self._pages("/api/files/upload"):
            key = key_of(found["folder"], found["name"])
            if key.startswith(prefix) and found["order"] == "sequential":
                started = parse_time(found["created_at"])
                yield OpenUpload(key=key, upload_id=found["session_id"], started_at=started)

    async def _below(self, folder: str) -> AsyncIterator[ObjectInfo]:
        """Yield what lies in `folder` and deeper, in key order."""
        found: dict[str, dict[str, Any] | None] = {}
        async for file in self._pages("/api/files", folder=folder):
            found[key_of(folder, file["name"])] = file
        async for inner in self._pages("/api/folders", parent=folder):
            found[f"{inner['path']}/"] = None
        for key in sorted(found):
            one = found[key]
            if one is not None:
                yield _info_of(key, one)
                continue
            async for info in self._below(key.removesuffix("/")):
                yield info

    async def _file(self, key: str) -> dict[str, Any]:
        folder, name = split_key(key)
        answer = await self._json("GET", "/api/files", {"folder": folder, "name": name})
        for file in answer["items"]:
            return dict(file)
        raise errors.NoSuchObject(f"there is no {key} on {self.url}")

    async def _pages(self, path: str, **query: str) -> AsyncIterator[dict[str, Any]]:
        cursor: dict[str, str] = {}
        while True:
            page = await self._json("GET", path, {"limit": str(_PAGE), **query, **cursor})
            for item in page["items"]:
                yield item
            if page["next_cursor"] is None:
                return
            cursor = {"cursor": page["next_cursor"]}

    async def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        what = f"{self.url}{path}"
        asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in (query or {}).items())
        url = f"{what}?{asked}" if asked else what
        headers = self._headers | ({} if body is None else {"Content-Type": "application/json"})
        sent = None if body is None else json.dumps(body).encode()
        async with self._http.open(
            method, url, headers=headers, body=sent, accept=REFUSALS
        ) as answer:
            if answer.status >= 300:
                raise await refusal_of(answer, what)
            if answer.status == 204:
                return {}
            told = await answer.read(_MOST_ANSWER_BYTES)
        try:
            found = json.loads(told)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise errors.RequestRejected(
                f"{what} does not answer as a haulier server does",
                hint="Check the address: https://HOST or https://HOST/FOLDER.",
            )
        return found


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield


def _receipt(number: int, size_bytes: int, crc: str | None) -> PartReceipt:
    return PartReceipt(number=number, size_bytes=size_bytes, etag=crc or "", crc64nvme=crc)


def _metadata(key: str, options: ObjectOptions) -> dict[str, str]:
    folder, name = split_key(key)
    return {
        "filename": name,
        "filetype": options.content_type,
        "folder": folder,
        "tags": json.dumps({**options.metadata, **options.tags}),
    }


def _etag_of(file: dict[str, Any]) -> str:
    return f"{file['id']}-{file['version']}-{_crc_of(file)}"


def _crc_of(file: dict[str, Any]) -> str:
    return str(file["checksum"]).removeprefix("crc64nvme:")


def _info_of(key: str, file: dict[str, Any]) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size_bytes=int(file["size"]),
        etag=_etag_of(file),
        crc64nvme=_crc_of(file),
        modified_at=parse_time(file["modified_at"]),
        content_type=file["mime_type"],
        metadata=file["tags"],
    )
