"""A process that receives uploads and says what it acknowledged, until it is killed.

Run as `receive_forever.py ROOT DURABILITY`, or with `s3` and the bucket's coordinates in the
environment instead of a durability. It prints one line for each acknowledgement, after the
engine returned: `chunk SESSION NUMBER`, `offset SESSION COUNT`, `done SESSION`. Byte i of a session
whose seed is s is known to the test (`content`).
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from haulier.catalog.catalog import Catalog
from haulier.core.sessions.session import Order, SessionStatus
from haulier.store.base import StoreChecks
from haulier.store.s3 import S3Store
from haulier.store.s3_credentials import S3Access
from haulier.transfer.sessions.s3_place import S3Place
from haulier.transfer.sessions.s3_stage import S3Stage
from haulier.transfer.sessions.stage import Durability
from sessions_engine import build, sealed_stage

CHUNK = 64 << 10
S3_CHUNK = 5 << 20
PIECE = 10_000


def size_of(chunk: int) -> int:
    return 20 * chunk + 17 if chunk == CHUNK else 3 * chunk + 17


def content(seed: str, chunk: int = CHUNK) -> bytes:
    return random.Random(seed).randbytes(size_of(chunk))


def stage_in_s3(catalog, server: dict[str, str]) -> S3Stage:
    access = S3Access(
        endpoint_url=server["ENDPOINT"],
        access_key_id=server["KEY"],
        secret_access_key=server["SECRET"],
    )
    checks = StoreChecks(crc64nvme=True, etag_is_md5=True, if_none_match=True)
    return S3Stage(S3Place(store=S3Store(server["BUCKET"], access=access, checks=checks)), catalog)


async def pieces(data: bytes):
    step = PIECE if len(data) < S3_CHUNK else 256 << 10
    for start in range(0, len(data), step):
        yield data[start : start + step]
        await asyncio.sleep(0)


def say(*words: object) -> None:
    print(*words, flush=True)


async def send_chunks(receiving, seed: str, chunk: int) -> None:
    data = content(seed, chunk)
    session = await receiving.start(len(data), chunk_size=chunk, details={"seed": seed})
    numbers = list(range(1, session.grid.total + 1))
    random.Random(seed).shuffle(numbers)

    async def put(number: int) -> None:
        span = session.grid.span(number)
        receipt = await receiving.engine.put_chunk(
            session.session_id, number, pieces(data[span.offset : span.end])
        )
        say("chunk", session.session_id, number)
        if receipt.session.status is SessionStatus.COMPLETED:
            say("done", session.session_id)

    for start in range(0, len(numbers), 3):
        await asyncio.gather(*(put(number) for number in numbers[start : start + 3]))


async def send_run(receiving, seed: str, chunk: int) -> None:
    data = content(seed, chunk)
    session = await receiving.start(len(data), order=Order.SEQUENTIAL, details={"seed": seed})
    while session.status is SessionStatus.RECEIVING:
        # In S3 what is sent at once makes no whole part.
        length = 3 * chunk + 7 if chunk == CHUNK else chunk // 3
        run = data[session.offset : session.offset + length]
        session = await receiving.engine.append(session.session_id, session.offset, pieces(run))
        say("offset", session.session_id, session.offset)
    say("done", session.session_id)


async def main(root: Path, place: str) -> None:
    async with await Catalog.open(root / "catalog.db") as catalog:
        if place == "s3":
            chunk, how = S3_CHUNK, {"stage": stage_in_s3(catalog, dict(os.environ))}
        elif place == "sealed":
            chunk, how = CHUNK, {"stage": sealed_stage(root, catalog)}
        else:
            chunk, how = CHUNK, {"durability": Durability(place)}
        receiving = build(root, catalog, now_from_system=True, **how)
        await receiving.sweeper.sweep()
        say("ready")
        number = 0
        while True:
            number += 1
            await asyncio.gather(
                send_chunks(receiving, f"chunks {number}", chunk),
                send_run(receiving, f"run {number}", chunk),
            )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
