"""tus 1.0 as a client speaks it: one method for each request, and what its answer says.

Nothing is tried again here, and nothing is kept: whoever calls knows what an upload needs to go
on. A body is held in memory, or can be read again, for as long as its request lasts.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from haulier import errors
from haulier.net.http import HttpClient
from haulier.net.http_session import HttpAnswer
from haulier.net.links import printable
from haulier.net.refusals import REFUSALS, refusal_of

VERSION = "1.0.0"
PIECE_BYTES = 256 << 10
_OCTETS = "application/offset+octet-stream"
_ONLY_NEW = {"If-None-Match": "*"}

Buffer = bytes | bytearray | memoryview
Pace = Callable[[int], Awaitable[None]]
"""Awaited with the number of bytes about to be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TusOffer:
    """What a server can do; `most_bytes` is None where it tells no limit."""

    extensions: frozenset[str]
    checksums: frozenset[str]
    most_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TusState:
    """How far an upload came.

    `size_bytes` is None while its length is deferred; `crc64nvme`, 16 hex digits, is that of the
    bytes before the offset, where the server tells it.
    """

    offset: int
    size_bytes: int | None
    crc64nvme: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether everything is there."""
        return self.offset == self.size_bytes


class TusClient:
    """Uploads at one place.

    Every method raises Transient for what may work later, AccessDenied for a token that is
    missing or wrong, RequestRejected for what the server will never take, and whatever else
    `refusal_of` tells apart.

    Args:
        http: has the connections.
        endpoint: where uploads are made, `https://host/tus/`.
        headers: sent along to that host and to no other, for what proves who is asking.
    """

    def __init__(
        self, http: HttpClient, endpoint: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        self._http = http
        self._endpoint = endpoint
        self._headers = dict(headers or {})

    async def offer(self) -> TusOffer:
        """Ask what the server can do."""
        async with self._open("OPTIONS", self._endpoint, {}) as answer:
            if answer.status >= 300:
                raise await refusal_of(answer, f"asking {printable(self._endpoint)}")
            return TusOffer(
                extensions=_words(answer.headers.get("Tus-Extension")),
                checksums=_words(answer.headers.get("Tus-Checksum-Algorithm")),
                most_bytes=_number(answer, "Tus-Max-Size"),
            )

    async def create(
        self,
        *,
        size_bytes: int | None,
        metadata: Mapping[str, str],
        only_new: bool = False,
        body: bytes | None = None,
        checksum: str | None = None,
        asks_first: bool = False,
    ) -> str:
        """Make an upload, and return its URL.

        Args:
            size_bytes: of the whole; None where it is not known yet.
            metadata: `filename`, `filetype`, and what else the server understands.
            only_new: refuse it where there is a file of its name.
            body: everything, for what is small, to be sent in the same request.
            checksum: `algorithm:hex` of `body`.
            asks_first: send `body` when the server wants it, so that a refusal costs none of it.

        Raises:
            ObjectExists: with `only_new`, there is one.
            BadDigest: `body` arrived as other bytes.
            RequestRejected: the server takes no bytes with this request.
        """
        length = {"Upload-Length": str(size_bytes)}
        headers = {"Upload-Defer-Length": "1"} if size_bytes is None else length
        headers |= {"Upload-Metadata": encode_metadata(metadata), **(_ONLY_NEW if only_new else {})}
        headers["Content-Length"] = str(len(body or b""))
        if body is not None:
            headers |= {"Content-Type": _OCTETS, **_checksum_header(checksum)}
            headers |= {"Expect": "100-continue"} if asks_first else {}
        what = f"an upload at {printable(self._endpoint)}"
        pieces = None if body is None else _pieces([body])
        async with self._open("POST", self._endpoint, headers, pieces) as answer:
            location = answer.headers.get("Location")
            if answer.status >= 300:
                raise await refusal_of(answer, what, missing=errors.RequestRejected)
            if not location:
                raise errors.RequestRejected(
                    f"{what}: the answer names no place", hint="Is this a tus server?"
                )
            if body and _number(answer, "Upload-Offset") != len(body):
                raise errors.RequestRejected(f"{what}: the server did not take its bytes with it")
            return urljoin(answer.url, location)

    async def state(self, url: str) -> TusState:
        """Ask how far an upload came.

        Raises:
            NoSuchUpload: the server does not know it any more.
        """
        async with self._open("HEAD", url, {}) as answer:
            if answer.status >= 300:
                raise await refusal_of(answer, printable(url), missing=errors.NoSuchUpload)
            offset = _number(answer, "Upload-Offset")
            if offset is None:
                raise errors.ServiceFault(f"{printable(url)}: the answer has no offset")
            return TusState(
                offset=offset,
                size_bytes=_number(answer, "Upload-Length"),
                crc64nvme=_crc64nvme_of(answer.headers.get("Upload-Checksum")),
            )

    async def append(
        self,
        url: str,
        offset: int,
        body: Callable[[], AsyncIterator[memoryview]] | Sequence[Buffer],
        length: int,
        *,
        size_bytes: int | None = None,
        checksum: str | None = None,
        only_new: bool = False,
    ) -> int:
        """Send bytes behind `offset`, and return the offset that the server has then.

        Args:
            url: of the upload.
            offset: where the bytes lie.
            body: the bytes, or what makes them piece by piece.
            length: how many they are.
            size_bytes: of the whole, where it was not told before.
            checksum: `algorithm:hex` of the bytes; none count then before all have come.
            only_new: make no file where there is one of its name by now.

        Raises:
            SessionConflict: the upload stands elsewhere, or another request took over.
            NoSuchUpload: the server does not know it any more.
            BadDigest: other bytes arrived; none were kept.
            ObjectExists: with `only_new`, there is a file of its name; the upload is ended.
        """
        headers = {
            "Upload-Offset": str(offset),
            "Content-Type": _OCTETS,
            "Content-Length": str(length),
            **({} if size_bytes is None else {"Upload-Length": str(size_bytes)}),
            **_checksum_header(checksum),
            **(_ONLY_NEW if only_new else {}),
        }
        pieces = body if callable(body) else _pieces(body)
        async with self._open("PATCH", url, headers, pieces if length else None) as answer:
            if answer.status >= 300:
                raise await refusal_of(answer, printable(url), missing=errors.NoSuchUpload)
            reached = _number(answer, "Upload-Offset")
            if reached is None:
                raise errors.ServiceFault(f"{printable(url)}: the answer has no offset")
            return reached

    async def terminate(self, url: str) -> None:
        """End an upload and have its bytes forgotten; no error when it is gone already."""
        async with self._open("DELETE", url, {}) as answer:
            if answer.status >= 300 and answer.status not in {404, 410}:
                raise await refusal_of(answer, printable(url))

    def _open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Callable[[], AsyncIterator[memoryview]] | None = None,
    ) -> AbstractAsyncContextManager[HttpAnswer]:
        return self._http.open(
            method,
            url,
            headers={"Tus-Resumable": VERSION, **self._private(url), **headers},
            body=body,
            accept=REFUSALS,
        )

    def _private(self, url: str) -> Mapping[str, str]:
        # A server says itself where its uploads are, and might name a stranger.
        return self._headers if urlsplit(url)[:2] == urlsplit(self._endpoint)[:2] else {}


def encode_metadata(pairs: Mapping[str, str]) -> str:
    """Return `Upload-Metadata`."""
    return ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items()
    )


def pieces_of(
    buffers: Sequence[Buffer], advance: Callable[[int], None], pace: Pace | None
) -> Callable[[], AsyncIterator[memoryview]]:
    """Return what makes a body of `buffers`.

    Args:
        buffers: the bytes.
        advance: told the bytes that were handed over; negative when they are sent anew.
        pace: awaited before each piece.
    """
    counted = 0

    async def pieces() -> AsyncIterator[memoryview]:
        nonlocal counted
        advance(-counted)
        counted = 0
        for buffer in buffers:
            view = memoryview(buffer).cast("B")
            for start in range(0, len(view), PIECE_BYTES):
                piece = view[start : start + PIECE_BYTES]
                if pace is not None:
                    await pace(len(piece))
                yield piece
                counted += len(piece)
                advance(len(piece))

    return pieces


def _pieces(buffers: Sequence[Buffer]) -> Callable[[], AsyncIterator[memoryview]]:
    return pieces_of(buffers, lambda _: None, None)


def _checksum_header(checksum: str | None) -> dict[str, str]:
    if checksum is None:
        return {}
    algorithm, _, digits = checksum.partition(":")
    return {"Upload-Checksum": f"{algorithm} {base64.b64encode(bytes.fromhex(digits)).decode()}"}


def _crc64nvme_of(value: str | None) -> str | None:
    algorithm, _, encoded = (value or "").partition(" ")
    if algorithm != "crc64nvme":
        return None
    try:
        return base64.b64decode(encoded, validate=True).hex()
    except binascii.Error:
        return None


def _words(value: str | None) -> frozenset[str]:
    return frozenset(word.strip() for word in (value or "").split(",") if word.strip())


def _number(answer: HttpAnswer, name: str) -> int | None:
    value = answer.headers.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None
