"""The fault proxy itself: what it does with clients that go away."""

from __future__ import annotations

import gc
import socket
from urllib.parse import urlsplit

from haulier.testing.faults import FaultProxy


def test_a_request_is_carried_to_its_end_when_the_client_goes_away():
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        upstream.settimeout(60)
        with FaultProxy(f"http://127.0.0.1:{upstream.getsockname()[1]}") as proxy:
            client = socket.create_connection(("127.0.0.1", urlsplit(proxy.url).port or 0))
            client.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            server, _ = upstream.accept()
            with server:
                server.settimeout(60)
                assert server.recv(4096).startswith(b"GET /x ")
                client.close()
                # An exchange nobody holds would be collected, with a warning that fails the test.
                gc.collect()
                server.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                server.shutdown(socket.SHUT_WR)
                assert server.recv(1) == b""
        assert [(one.target, one.status) for one in proxy.seen] == [("/x", 204)]
