"""kill -9 of the receiving process at random moments: nothing acknowledged is lost or wrong."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from receive_forever import content

from haulier.catalog.catalog import Catalog
from haulier.core.sessions.session import Order, SessionStatus
from sessions_engine import body_of, build

SCRIPT = Path(__file__).with_name("receive_forever.py")
KILLS = 6


def run_until_killed(root: Path, durability: str, acknowledgements: int) -> list[list[str]]:
    """Let the process acknowledge so much, then kill it; return its whole words."""
    process = subprocess.Popen(
        [sys.executable, SCRIPT, root, durability],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPT.parents[2]), *sys.path])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.split())
        if len(lines) > acknowledgements:
            break
    process.kill()
    rest, _ = process.communicate()
    assert process.returncode == -9, "it ended by itself"
    complete = rest[: rest.rfind("\n") + 1]
    return lines + [line.split() for line in complete.splitlines()]


@pytest.mark.parametrize("durability", ["none", "chunk"])
async def test_what_was_acknowledged_is_there_after_every_kill(tmp_path, durability):
    chance = random.Random(durability)
    chunks, offsets, done = defaultdict(set), defaultdict(int), set()
    for _ in range(KILLS):
        words = await asyncio.to_thread(
            run_until_killed, tmp_path, durability, chance.randrange(1, 60)
        )
        for kind, *rest in words:
            if kind == "chunk":
                chunks[rest[0]].add(int(rest[1]))
            elif kind == "offset":
                offsets[rest[0]] = int(rest[1])
            elif kind == "done":
                done.add(rest[0])
    assert done, "no upload was completed, so little was tried"

    async with await Catalog.open(tmp_path / "catalog.db") as catalog:
        receiving = build(tmp_path, catalog, now_from_system=True)
        await receiving.sweeper.sweep()
        for session_id in {*chunks, *offsets, *done}:
            await _check(receiving, session_id, chunks, offsets, done)
        await receiving.stage.aclose()


async def _check(receiving, session_id, chunks, offsets, done) -> None:
    session = await receiving.engine.get(session_id)
    data = content(session.details["seed"])
    assert session_id not in done or session.status is SessionStatus.COMPLETED
    received = await receiving.engine.received(session)
    if session.order is Order.SEQUENTIAL:
        assert session.offset >= offsets[session_id]
    else:
        assert all(received.find(number) for number in chunks[session_id])
    # Going on from what the server says leads to the same bytes.
    if session.status is SessionStatus.RECEIVING and session.order is Order.SEQUENTIAL:
        session = await receiving.engine.append(
            session_id, session.offset, body_of(data[session.offset :])
        )
    elif session.status is SessionStatus.RECEIVING and not received.missing():
        # Killed between the last chunk's row and the answer to it: the client asks again.
        session = await receiving.engine.complete(session_id)
    elif session.status is SessionStatus.RECEIVING:
        for first, last in received.missing():
            for number in range(first, last + 1):
                span = session.grid.span(number)
                receipt = await receiving.engine.put_chunk(
                    session_id, number, body_of(data[span.offset : span.end])
                )
                session = receipt.session
    assert session.status is SessionStatus.COMPLETED
    assert receiving.bytes_of(session) == data
