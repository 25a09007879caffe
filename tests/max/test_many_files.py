"""Many small files: as many as MAX lets through, uploaded ahead, shown in their order."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from haulier.max.client import MESSAGES_PER_S, REQUESTS_PER_S, MaxClient
from haulier.max.files import FileManager
from haulier.max.outgoing import MOST_ATTACHMENTS
from haulier.testing.max_server import MaxServer
from haulier.testing.max_state import MaxState

CHAT = -7
COUNT = 1000


class Clock:
    """Stands still but for those who wait: what passes is what the limits demand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0)


def picture(number: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0" + number.to_bytes(3))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not what():
            await asyncio.sleep(0.01)


@pytest.mark.servers
@pytest.mark.parametrize(
    ("kind", "per_s"),
    [
        # 12 in a message, of which 2 go in a second; and 13 requests for these.
        ("image", min(MOST_ATTACHMENTS * MESSAGES_PER_S, REQUESTS_PER_S * 12 / 13)),
        ("file", min(MESSAGES_PER_S, REQUESTS_PER_S / 2)),
    ],
)
async def test_a_thousand_take_no_longer_than_the_limits_demand(
    server: MaxServer, kind: str, per_s: float
) -> None:
    clock = Clock()
    async with MaxClient(
        server.token, api_url=server.url, clock=clock, sleep=clock.sleep
    ) as client:
        sources = [picture(n) if kind == "image" else b"%d" % n for n in range(COUNT)]
        sent = await FileManager(client).send_files(CHAT, sources)
    assert [one.error for one in sent] == [None] * COUNT
    assert {one.type for one in sent} == {kind}
    assert COUNT / clock.now_s >= 0.95 * per_s
    assert server.state.count("POST", "/uploads") == COUNT
    in_a_message = MOST_ATTACHMENTS if kind == "image" else 1
    assert server.state.count("POST", "/messages") == -(-COUNT // in_a_message)
    assert all(one.status < 300 for one in server.state.seen)
    shown = [
        each["payload"]["token"]
        for message in server.state.messages.values()
        for each in message["body"]["attachments"]
    ]
    assert shown == [one.token for one in sent]


async def test_the_next_are_uploaded_while_a_message_is_on_its_way(
    client: MaxClient, state: MaxState
) -> None:
    state.faults.hold_messages = 1
    sending = asyncio.create_task(
        FileManager(client).send_files(CHAT, [picture(n) for n in range(48)])
    )
    await until(lambda: state.count("POST", "/messages"))
    await until(lambda: state.count("POST", "/uploads") == 48)
    assert state.count("POST", "/messages") == 1, "the others wait for their turn"
    sending.cancel()
    with suppress(asyncio.CancelledError):
        await sending


@pytest.mark.parametrize(("size", "at_once"), [(100, 16), (2 << 20, 3)])
async def test_so_many_are_uploaded_at_once(
    client: MaxClient, state: MaxState, make_file: Callable[..., Path], size: int, at_once: int
) -> None:
    state.faults.stall_uploads.extend([0] * 100)
    files = [make_file(f"{n}.bin", size) for n in range(20)]
    manager = FileManager(client)
    sending = [asyncio.create_task(manager.send_file(CHAT, file)) for file in files]
    await until(lambda: state.count("POST", "/upload/", host="files") == at_once)
    await asyncio.sleep(0.1)
    assert state.count("POST", "/upload/", host="files") == at_once
    for task in sending:
        task.cancel()
    await asyncio.gather(*sending, return_exceptions=True)


@pytest.mark.parametrize("delay_s", [0, 0.01, 0.03, 0.1, 0.2])
async def test_cancelling_anywhere_leaves_nothing_temporary(
    client: MaxClient, tmp_path: Path, delay_s: float
) -> None:
    manager = FileManager(client, scratch=tmp_path)
    sending = asyncio.create_task(manager.send_files(CHAT, [picture(n) for n in range(60)]))
    await asyncio.sleep(delay_s)
    sending.cancel()
    with suppress(asyncio.CancelledError):
        await sending
    assert list(tmp_path.iterdir()) == []
    code = [getattr(one.get_coro(), "cr_code", None) for one in asyncio.all_tasks()]
    assert not [one for one in code if one is not None and "/haulier/max/" in one.co_filename]


async def test_one_that_fails_is_passed_by(
    client: MaxClient, state: MaxState, make_file: Callable[..., Path]
) -> None:
    state.limits["file"] = 50
    files = [make_file(f"{n}.txt", 100 if n % 3 == 1 else 10) for n in range(10)]
    files[5] = files[5].with_name("gone.txt")
    sent = await FileManager(client).send_files(CHAT, files, text="look")
    failed = [number for number, one in enumerate(sent) if one.error is not None]
    assert failed == [1, 4, 5, 7]
    messages = list(state.messages.values())
    assert [one["body"]["text"] for one in messages] == ["look", *[None] * 5]
    assert [one["body"]["attachments"][0]["filename"] for one in messages] == [
        file.name for number, file in enumerate(files) if number not in failed
    ]
