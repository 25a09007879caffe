"""kill -9 of the receiving process at random moments: nothing acknowledged is lost or wrong."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest
from receive_forever import CHUNK, S3_CHUNK, content, stage_in_s3

from haulier.catalog.catalog import Catalog
from haulier.core.sessions.session import Order, SessionStatus
from sessions_engine import body_of, build, sealed_stage

SCRIPT = Path(__file__).with_name("receive_forever.py")
KILLS = 6


def run_until_killed(
    root: Path, place: str, acknowledgements: int, environment: dict[str, str]
) -> list[list[str]]:
    """Let the process acknowledge so much, then kill it; return its whole words."""
    process = subprocess.Popen(
        [sys.executable, SCRIPT, root, place],
        env={
            **os.environ,
            **environment,
            "PYTHONPATH": os.pathsep.join([str(SCRIPT.parents[2]), *sys.path]),
        },
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
    told = await Told.until_killed(tmp_path, durability, random.Random(durability), KILLS, {})
    async with await Catalog.open(tmp_path / "catalog.db") as catalog:
        receiving = build(tmp_path, catalog, now_from_system=True)
        await told.check(receiving, CHUNK)
        await receiving.stage.aclose()


async def test_what_was_acknowledged_is_sealed_after_every_kill(tmp_path):
    told = await Told.until_killed(tmp_path, "sealed", random.Random("sealed"), KILLS, {})
    async with await Catalog.open(tmp_path / "catalog.db") as catalog:
        stage = sealed_stage(tmp_path, catalog)
        receiving = build(tmp_path, catalog, stage=stage, now_from_system=True)
        await told.check(receiving, CHUNK)
        assert await stage.session_ids() == []
        await stage.aclose()


@pytest.mark.servers
async def test_what_was_acknowledged_is_in_s3_after_every_kill(tmp_path, s3_server):
    """Each process knows only the catalog and the bucket, as another host would."""
    server = {
        "ENDPOINT": s3_server.endpoint_url,
        "KEY": s3_server.access_key_id,
        "SECRET": s3_server.secret_access_key,
        "BUCKET": s3_server.make_bucket(),
    }
    told = await Told.until_killed(tmp_path, "s3", random.Random("s3"), 4, server)
    async with await Catalog.open(tmp_path / "catalog.db") as catalog:
        stage = stage_in_s3(catalog, server)
        receiving = build(tmp_path, catalog, stage=stage, now_from_system=True)
        await told.check(receiving, S3_CHUNK)
        await stage.aclose()


@dataclass
class Told:
    """What processes acknowledged before they were killed."""

    chunks: dict[str, set[int]]
    offsets: dict[str, int]
    done: set[str]

    @property
    def sessions(self) -> set[str]:
        return {*self.chunks, *self.offsets, *self.done}

    @classmethod
    async def until_killed(cls, root, place, chance, kills, environment):
        told = cls(defaultdict(set), defaultdict(int), set())
        most = 60 if place != "s3" else 25
        for _ in range(kills):
            words = await asyncio.to_thread(
                run_until_killed, root, place, chance.randrange(1, most), environment
            )
            for kind, *rest in words:
                if kind == "chunk":
                    told.chunks[rest[0]].add(int(rest[1]))
                elif kind == "offset":
                    told.offsets[rest[0]] = int(rest[1])
                elif kind == "done":
                    told.done.add(rest[0])
        assert told.done, "no upload was completed, so little was tried"
        return told

    async def check(self, receiving, chunk) -> None:
        await receiving.sweeper.sweep()
        for session_id in self.sessions:
            await _check(receiving, session_id, self.chunks, self.offsets, self.done, chunk)


async def _check(receiving, session_id, chunks, offsets, done, chunk) -> None:
    session = await receiving.engine.get(session_id)
    data = content(session.details["seed"], chunk)
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
    assert await receiving.bytes_of(session) == data
