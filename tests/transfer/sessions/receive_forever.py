"""A process that receives uploads and says what it acknowledged, until it is killed.

Run as `receive_forever.py ROOT DURABILITY`. It prints one line for each acknowledgement, after the
engine returned: `chunk SESSION NUMBER`, `offset SESSION COUNT`, `done SESSION`. Byte i of a session
whose seed is s is known to the test (`content`).
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from haulier.catalog.catalog import Catalog
from haulier.core.sessions.session import Order, SessionStatus
from haulier.transfer.sessions.stage import Durability
from sessions_engine import build

CHUNK = 64 << 10
SIZE = 20 * CHUNK + 17


def content(seed: str) -> bytes:
    return random.Random(seed).randbytes(SIZE)


async def pieces(data: bytes):
    for start in range(0, len(data), 10_000):
        yield data[start : start + 10_000]
        await asyncio.sleep(0)


def say(*words: object) -> None:
    print(*words, flush=True)


async def send_chunks(receiving, seed: str) -> None:
    data = content(seed)
    session = await receiving.start(SIZE, chunk_size=CHUNK, details={"seed": seed})
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


async def send_run(receiving, seed: str) -> None:
    data = content(seed)
    session = await receiving.start(SIZE, order=Order.SEQUENTIAL, details={"seed": seed})
    while session.status is SessionStatus.RECEIVING:
        run = data[session.offset : session.offset + 3 * CHUNK]
        session = await receiving.engine.append(session.session_id, session.offset, pieces(run))
        say("offset", session.session_id, session.offset)
    say("done", session.session_id)


async def main(root: Path, durability: Durability) -> None:
    async with await Catalog.open(root / "catalog.db") as catalog:
        receiving = build(root, catalog, durability=durability, now_from_system=True)
        await receiving.sweeper.sweep()
        say("ready")
        number = 0
        while True:
            number += 1
            await asyncio.gather(
                send_chunks(receiving, f"chunks {number}"), send_run(receiving, f"run {number}")
            )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Durability(sys.argv[2])))
