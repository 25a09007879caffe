"""Whole stories: a big file through a bad network, a killed process, a bot that answers."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from haulier.max.bot import MaxBot
from haulier.max.client import MaxClient
from haulier.max.files import FileManager
from haulier.max.models import Update
from haulier.max.uploads import Uploader
from haulier.testing.max_server import MaxServer
from haulier.testing.max_state import MaxState

MIB = 1 << 20
SIZE = 128 * MIB
LEAST_WAIT_S = 0.05

SENDER = """
import asyncio, sys
from pathlib import Path
from haulier.max.client import MaxClient
from haulier.max.files import FileManager
from haulier.max.uploads import Uploader

async def main(url, token, path, states):
    async with MaxClient(token, api_url=url) as client:
        files = FileManager(client, uploader=Uploader(client, state_folder=Path(states)))
        print((await files.send_file(1, Path(path))).message.mid)

asyncio.run(main(*sys.argv[1:]))
"""


def make_big(path: Path) -> str:
    digest, source = hashlib.sha256(), random.Random(7)
    with path.open("wb") as file:
        for _ in range(SIZE // MIB):
            block = source.randbytes(MIB)
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def attached(state: MaxState) -> list[str]:
    return [
        one["payload"]["token"]
        for message in state.messages.values()
        for one in message["body"]["attachments"]
    ]


@pytest.mark.processes
async def test_a_file_over_100_mb_cut_ten_times_is_sent_and_comes_back(
    server: MaxServer, client: MaxClient, state: MaxState, tmp_path: Path
) -> None:
    path = tmp_path / "отпуск 2026.iso"
    digest = make_big(path)
    state.faults.cut_uploads.extend(range(5 * MIB, 15 * MIB, MIB))
    state.faults.not_ready = 5
    files = FileManager(client, uploader=Uploader(client, state_folder=tmp_path / "states"))
    sent = await files.send_file(-7, path, text="look")
    assert len(state.messages) == len(state.slots) == 1
    assert sum(one.body_bytes for one in state.seen if one.host == "files") == SIZE
    path.unlink()
    assert sent.message is not None
    update = Update.of(server.receive(-7, None, [dict(sent.message.attachments[0].raw)]))
    assert update.message is not None
    state.faults.cut_downloads.extend(range(MIB, 11 * MIB, MIB))
    saved = await files.download(update.message.attachments[0], tmp_path)
    assert saved.path == path
    assert digest_of(path) == digest
    assert not state.faults.cut_downloads


@pytest.mark.processes
async def test_a_killed_process_is_gone_on_from_by_another(
    server: MaxServer, state: MaxState, tmp_path: Path
) -> None:
    path, states = tmp_path / "big.iso", tmp_path / "states"
    digest = make_big(path)
    state.faults.stall_uploads.append(60 * MIB)
    arguments = [server.url, server.token, str(path), str(states)]
    first = await asyncio.create_subprocess_exec(sys.executable, "-c", SENDER, *arguments)
    while not any(one.body_bytes >= 60 * MIB for one in state.seen):
        await asyncio.sleep(LEAST_WAIT_S)
    first.send_signal(signal.SIGKILL)
    await first.wait()
    assert state.messages == {}
    slot = next(iter(state.slots.values()))
    slot.is_busy = False
    second = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SENDER, *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await second.communicate()
    assert second.returncode == 0
    assert list(state.messages) == [out.decode().strip()]
    assert list(state.slots.values()) == [slot]
    assert sum(one.body_bytes for one in state.seen if one.host == "files") == SIZE
    [token] = attached(state)
    assert digest_of(state.media[token].path) == digest
    assert os.listdir(states) == []


async def test_a_bot_keeps_what_it_is_sent_and_gives_it_back(
    server: MaxServer, client: MaxClient, state: MaxState, tmp_path: Path
) -> None:
    bot, files = MaxBot(client), FileManager(client)

    @bot.on_message(attachments=True)
    async def keep(update: Update) -> None:
        assert update.message is not None
        for attachment in update.message.attachments:
            await files.download(attachment, tmp_path, mid=update.message.mid)

    @bot.on_message(command="give")
    async def give(update: Update) -> None:
        assert update.message is not None
        assert update.message.chat_id is not None
        await files.send_document(update.message.chat_id, tmp_path / "notes.txt")
        bot.stop()

    media = server.put_media("file", b"remember the milk", "notes.txt")
    server.receive(-7, None, [server.attachment(media)])
    server.receive(-7, "/give back")
    async with asyncio.timeout(60):
        await bot.poll()
    assert (tmp_path / "notes.txt").read_bytes() == b"remember the milk"
    assert state.media[attached(state)[-1]].content == b"remember the milk"
