"""Connections that nobody can hold open for nothing: uvicorn's HTTP protocol with limits.

Stock uvicorn waits without end for the head of a request or the rest of its body, and takes a
head of any size. Here a client that goes silent is let go, and so is one that never comes to
the point.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MOST_HEAD_BYTES = 64 << 10


class GuardedProtocol(HttpToolsProtocol):
    """Closes connections that are slower, or whose requests' heads are larger, than makes sense.

    `head_s` is how long the head of a request may take in all, `stall_s` how long nothing may
    come of a body that the application waits for, and `drain_s` how long nothing of an answer may
    be taken; all in seconds.
    """

    head_s = 20.0
    stall_s = 60.0
    drain_s = 120.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.expect_within(self.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self.expect_within(None)
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head:
            return
        # The parser keeps what is not complete, without a bound of its own.
        self._head_bytes += len(data)
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self.expect_within(self.head_s)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self.expect_within(self.stall_s)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.expect_within(self.stall_s)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.expect_within(None)
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self.expect_within(None)
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_deadline = self.loop.call_later(self.drain_s, self.transport.abort)

    def resume_writing(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None
        super().resume_writing()

    def expect_within(self, seconds: float | None) -> None:
        """Let the client go unless more comes of its request within so many seconds."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._let_go)

    def _let_go(self) -> None:
        if self._waits_for_the_application():
            self.expect_within(self.stall_s)
        elif self._in_head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _waits_for_the_application(self) -> bool:
        asks_first = self.cycle is not None and self.cycle.waiting_for_100_continue
        return self.flow.read_paused or asks_first

    def _refuse(self, status: HTTPStatus) -> None:
        self.expect_within(None)
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        self.transport.write(f"{head}content-length: 0\r\nconnection: close\r\n\r\n".encode())
        self.transport.close()


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """Closes WebSockets whose client takes nothing for `drain_s` seconds.

    uvicorn's would wait for such a client's bytes to be taken before it closes.
    """

    drain_s = 60.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # It logs each handshake with its query, in which there may be a ticket.
        self.logger = self.logger.getChild("websocket")
        self.logger.setLevel(logging.WARNING)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._deadline = self.loop.call_later(self.drain_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._forget_deadline()
        super().resume_writing()

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
