"""Uploads in one request: a form with one part, streamed from the disk."""

from __future__ import annotations

import secrets
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial

from haulier import errors
from haulier.core.checksums import crc64nvme
from haulier.core.progress import Meter
from haulier.max.client import MaxClient
from haulier.max.upload_answers import token_of
from haulier.max.upload_types import UploadSlot, UploadType
from haulier.net.http import error_of_status
from haulier.net.threads import in_thread
from haulier.transfer.source_file import SourceFile

_MOST_ANSWER_BYTES = 1 << 20
_BOUNDARY_BYTES = 16
_ALL_STATUSES = range(300, 600)
_REFUSALS = frozenset({400, 413, 415})


async def upload_multipart(
    client: MaxClient,
    source: SourceFile,
    *,
    type_: UploadType,
    name: str,
    mime_type: str,
    meter: Meter | None = None,
    boundary: Callable[[int], str] = secrets.token_hex,
) -> tuple[str, int]:
    """Send a file in one request; another slot is used for each attempt.

    Args:
        client: asks for slots, and has the connections.
        source: the file; read block by block.
        type_: what it is to MAX.
        name: what it is called there.
        mime_type: its MIME type.
        meter: told the bytes; ending it is the caller's affair.
        boundary: returns random text of so many bytes, which stands around the file.

    Returns:
        Its token, and the CRC-64/NVME of what was sent.

    Raises:
        SourceChanged: the file was written to meanwhile.
        ChatError: MAX does not take the file.
        Transient: attempts are used up. Others: as `MaxClient.get_upload_url`.
    """

    async def attempt() -> tuple[str, int]:
        slot = await client.get_upload_url(type_)
        form = _Form(
            source, name=name, mime_type=mime_type, boundary=boundary(_BOUNDARY_BYTES), meter=meter
        )
        try:
            return await _send(client, slot, form, name), form.crc
        except BaseException:
            form.take_back()
            raise

    sent = await client.retries.run(attempt)
    source.check()
    return sent


async def _send(client: MaxClient, slot: UploadSlot, form: _Form, name: str) -> str:
    async with client.transfers.open(
        "POST", slot.url, headers=form.headers, body=form.pieces, accept=_ALL_STATUSES
    ) as answer:
        body = await answer.read(_MOST_ANSWER_BYTES)
    if answer.status in _REFUSALS:
        raise errors.ChatError(f"{name} was not taken: HTTP {answer.status}")
    if answer.status >= 300:
        error = error_of_status(answer.status, answer.headers, f"sending {name}")
        if isinstance(error, errors.Transient):
            raise error
        raise errors.ConnectionLost(f"{name}: the upload URL is refused (HTTP {answer.status})")
    token = token_of(slot, body, name)
    if token is None:
        raise errors.ServiceFault(f"{name}: the upload's answer has no token")
    return token


class _Form:
    """The body of one request, and its headers."""

    def __init__(
        self, source: SourceFile, *, name: str, mime_type: str, boundary: str, meter: Meter | None
    ) -> None:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        self._head = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="data"; filename="{quoted}"\r\n'
            f"Content-Type: {mime_type}\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._source = source
        self._meter = meter
        self._counted = self.crc = 0
        length = len(self._head) + source.size_bytes + len(self._tail)
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(length),
        }

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the form as it is to be sent."""
        yield self._head
        for index in range(self._source.blocks):
            block = await in_thread(partial(self._read, index))
            self.crc = crc64nvme(block, self.crc)
            yield block
            self._count(len(block))
        yield self._tail

    def take_back(self) -> None:
        """Have the meter forget what was sent in vain."""
        self._count(-self._counted)

    def _read(self, index: int, _stop: threading.Event) -> bytes:
        return self._source.read_block(index)

    def _count(self, count: int) -> None:
        self._counted += count
        if self._meter is not None:
            self._meter.add(count)
