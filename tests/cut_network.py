"""A network between a browser and a server that breaks in mid-transfer."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer

_PIECE_BYTES = 16 << 10


class CutNetwork(ThreadingTCPServer):
    """Passes all on to `port`; breaks when one connection has carried `most_bytes` to it."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.port = port
        self.most_bytes: int | None = None
        self.is_broken = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def mend(self) -> None:
        self.most_bytes = None
        self.is_broken.clear()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Connection(BaseRequestHandler):
    server: CutNetwork

    def handle(self) -> None:
        if self.server.is_broken.is_set():
            return
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self.server.port)) as there,
        ):
            threading.Thread(target=self._bring_back, args=(there,), daemon=True).start()
            carried_bytes = 0
            while piece := self.request.recv(_PIECE_BYTES):
                there.sendall(piece)
                carried_bytes += len(piece)
                most_bytes = self.server.most_bytes
                if most_bytes is not None and carried_bytes > most_bytes:
                    self.server.is_broken.set()
                    return

    def _bring_back(self, there: socket.socket) -> None:
        with suppress(OSError):
            while piece := there.recv(_PIECE_BYTES):
                self.request.sendall(piece)
            self.request.shutdown(socket.SHUT_WR)
