"""Hashes that are taken as bytes come in: of sessions that others may end, too."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import Order
from haulier.transfer.sessions.order import HashesInOrder


async def test_sessions_that_end_elsewhere_are_not_remembered_for_ever(on_local):
    wanted = f"sha256:{hashlib.sha256(b'abc').hexdigest()}"
    session = await on_local.start(3, order=Order.SEQUENTIAL, wanted_checksum=wanted)
    hashes = HashesInOrder(most_sessions=2)
    for session_id in ("first", "second", "third"):
        hashes.begin(replace(session, session_id=session_id))
    assert hashes.claim("first", 0) is None
    assert hashes.result("first", 0) is None, "a job reads its file once more"
    for session_id in ("second", "third"):
        checksum = hashes.claim(session_id, 0)
        checksum.update(b"abc")
        hashes.advance(session_id, Span(0, 3), checksum)
        assert hashes.result(session_id, 3) == wanted
        hashes.forget(session_id)
        assert hashes.result(session_id, 3) is None
