"""`haulier bot max` from messages to files in a store and back, as a process and in this one."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from haulier import Settings
from haulier.catalog.catalog import Catalog
from haulier.catalog.filters import OperationFilter
from haulier.core.records import OperationRecord, OperationStatus
from haulier.errors import BadBotToken, ConfigurationError, OperationBusy
from haulier.jobs.max_bot import Receiving, run_max_bot
from haulier.testing.max_server import MaxServer
from haulier.testing.seaweed import SeaweedServer

pytestmark = [pytest.mark.servers, pytest.mark.processes, pytest.mark.timeout(300)]

ANN, BOB = 5, 6
DIALOG, GROUP = 1, -7
MIB = 1 << 20


@pytest.fixture
async def server() -> AsyncIterator[MaxServer]:
    async with MaxServer() as server:
        server.state.requests_per_s = server.state.messages_per_s = 10_000
        yield server
        assert server.state.leaks == []


def settings_of(server: MaxServer, data: Path, **more: Any) -> Settings:
    values = {"MAX_TOKEN": server.token, "MAX_API_URL": server.url, "MAX_USERS": str(ANN), **more}
    return Settings.load(data=data, **values)


@asynccontextmanager
async def bot(
    server: MaxServer, data: Path, receiving: Receiving | None = None, **more: Any
) -> AsyncIterator[list[str]]:
    told: list[str] = []
    running = asyncio.create_task(
        run_max_bot(
            settings_of(server, data, **more), receiving or Receiving(), on_ready=told.append
        )
    )
    try:
        await until(lambda: told or running.done())
        yield told
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until(what: Callable[[], Any], server: MaxServer | None = None) -> Any:
    try:
        async with asyncio.timeout(120):
            while not (found := what()):
                await asyncio.sleep(0.02)
    except TimeoutError:
        said = [] if server is None else texts(server)
        raise AssertionError(f"it did not come; the bot said {said}") from None
    return found


def answers(server: MaxServer, chat_id: int | None = None) -> list[dict[str, Any]]:
    return [
        one
        for one in server.state.messages.values()
        if one["sender"]["is_bot"] and chat_id in {None, one["recipient"]["chat_id"]}
    ]


def texts(server: MaxServer, chat_id: int | None = None) -> list[str]:
    return [one["body"]["text"] or "" for one in answers(server, chat_id)]


def files(server: MaxServer) -> list[dict[str, Any]]:
    return [one for one in answers(server) if one["body"]["attachments"]]


async def ask(server: MaxServer, text: str, **more: Any) -> str:
    """Write to the bot and return its last words about it."""
    chat_id = more.pop("chat_id", DIALOG)
    asked = server.receive(chat_id, text, **more)["message"]["body"]["mid"]

    def answered() -> str | None:
        for one in answers(server):
            if one.get("link", {}).get("message", {}).get("mid") == asked:
                return str(one["body"]["text"] or one["body"]["attachments"][0]["type"])
        return None

    return str(await until(answered, server))


def send(server: MaxServer, *contents: tuple[str, bytes, str], **more: Any) -> None:
    chat_id = more.pop("chat_id", DIALOG)
    server.receive(
        chat_id, None, [server.attachment(server.put_media(*each)) for each in contents], **more
    )


async def operations(data: Path, kind: str) -> list[OperationRecord]:
    async with await Catalog.open(data / "catalog.db") as catalog:
        return (await catalog.list_operations(OperationFilter(operation_type=kind))).items


def stored(data: Path) -> dict[str, bytes]:
    root = data / "store" / "chats"
    return {one.name: one.read_bytes() for one in root.rglob("*") if one.is_file()}


async def test_what_is_sent_is_kept_and_given_back(server: MaxServer, tmp_path: Path) -> None:
    film = random.Random(1).randbytes(9 * MIB)
    contents = ("file", b"remember the milk", "notes.txt"), ("video", film, "")
    async with bot(server, tmp_path):
        send(server, contents[0])
        await until(lambda: "Kept as 1. notes.txt (17 B" in "".join(texts(server)), server)
        send(server, contents[1], ("image", b"no picture at all", ""))
        await until(lambda: "Kept as 3." in "".join(texts(server)), server)
        listed = await ask(server, "/list")
        assert [line.split(".")[0] for line in listed.splitlines()] == ["3", "2", "1"]
        assert await ask(server, "/get 1") == "file"
        assert await ask(server, "/get NOTES.txt") == "file"
        assert "no links to give" in await ask(server, "/link 1")
        assert "notes.txt" in await ask(server, "milk notes"[5:])
        assert "No file of this chat" in await ask(server, "/find nothing of it")
        # One message tells all of it, and MAX had the files: nothing was uploaded.
        assert server.state.count("POST", "/uploads") == 0
    assert [each["body"]["attachments"][0]["filename"] for each in files(server)] == [
        "notes.txt"
    ] * 2
    assert film in stored(tmp_path).values()
    kept = await operations(tmp_path, "keep")
    assert [each.status for each in kept] == [OperationStatus.SUCCESS] * 3
    assert {each.user for each in kept} == {f"max:{ANN}"}
    assert len(await operations(tmp_path, "send")) == 2
    assert not list((tmp_path / "max" / "bot").iterdir())


async def test_what_max_forgot_is_sent_from_the_store(server: MaxServer, tmp_path: Path) -> None:
    content = random.Random(2).randbytes(3 * MIB)
    async with bot(server, tmp_path):
        send(server, ("file", content, "film.bin"))
        await until(lambda: "Kept as 1." in "".join(texts(server)), server)
        [known] = server.state.media
        del server.state.media[known]
        for _ in range(2):
            assert await ask(server, "/get 1") == "file"
        assert server.state.count("POST", "/uploads") == 1, "the second time by the new token"
    sent = [each["body"]["attachments"][0] for each in files(server)]
    assert [each["filename"] for each in sent] == ["film.bin"] * 2
    assert server.state.media[sent[0]["payload"]["token"]].content == content


async def test_one_message_tells_how_far_it_is(server: MaxServer, tmp_path: Path) -> None:
    server.state.faults.hold_downloads = held = asyncio.Event()
    async with bot(server, tmp_path):
        send(server, ("file", b"content", "film.mp4"))
        await until(lambda: "film.mp4  downloading" in "".join(texts(server)), server)
        [told] = answers(server)
        held.set()
        await until(lambda: "Kept as 1. film.mp4" in "".join(texts(server)), server)
        assert [one["body"]["mid"] for one in answers(server)] == [told["body"]["mid"]]


async def test_a_file_in_a_bucket_has_a_link_for_others(
    server: MaxServer, s3_server: SeaweedServer, tmp_path: Path
) -> None:
    content = random.Random(3).randbytes(9 * MIB)
    async with bot(
        server,
        tmp_path,
        AWS_S3_BUCKET=s3_server.make_bucket(),
        AWS_ENDPOINT_URL=s3_server.endpoint_url,
        AWS_ACCESS_KEY_ID=s3_server.access_key_id,
        AWS_SECRET_ACCESS_KEY=s3_server.secret_access_key,
        AWS_REGION="us-east-1",
    ):
        send(server, ("file", content, "отчёт.bin"))
        await until(lambda: "Kept as 1." in "".join(texts(server)), server)
        link = await ask(server, "/link 1")
        async with httpx2.AsyncClient() as client:
            fetched = await client.get(link)
        assert fetched.content == content
        server.state.media.clear()
        assert await ask(server, "/get 1") == "file"
        [sent] = server.state.media.values()
        assert (sent.name, sent.content) == ("отчёт.bin", content)
        assert "Deleted" in await ask(server, "/delete 1")
        async with httpx2.AsyncClient() as client:
            assert (await client.get(link)).status_code == 404
    assert not stored(tmp_path)
    assert not list((tmp_path / "max" / "bot").iterdir())


async def test_who_may_use_it(server: MaxServer, tmp_path: Path) -> None:
    server.state.chats[2] = "dialog"
    async with bot(server, tmp_path):
        server.push(
            {"update_type": "bot_started", "timestamp": 1, "chat_id": 2,
             "user": {"user_id": BOB, "first_name": "Bob", "is_bot": False}}
        )  # fmt: skip
        await until(lambda: f"Your id is {BOB}" in "".join(texts(server, 2)), server)
        send(server, ("file", b"x", "x.txt"), chat_id=2, user_id=BOB)
        await until(lambda: len(texts(server, 2)) == 2, server)
        assert f"Your id is {BOB}" in texts(server, 2)[1]
        # Among others it is only those who speak to it that it refuses.
        send(server, ("file", b"x", "x.txt"), chat_id=GROUP, user_id=BOB)
        server.receive(GROUP, "hello all", user_id=BOB)
        assert "may not use" in await ask(server, "/list", chat_id=GROUP, user_id=BOB)
        assert len(texts(server, GROUP)) == 1
    async with bot(server, tmp_path, MAX_USERS="*"):
        assert "kept in this chat yet" in await ask(server, "/list", chat_id=2, user_id=BOB)
    assert not stored(tmp_path)


async def test_each_chat_has_files_of_its_own(server: MaxServer, tmp_path: Path) -> None:
    async with bot(server, tmp_path, MAX_USERS=f"{ANN},{BOB}"):
        send(server, ("file", b"ours", "ours.txt"), chat_id=GROUP)
        await until(lambda: "Kept as 1." in "".join(texts(server, GROUP)), server)
        assert "kept in this chat yet" in await ask(server, "/list")
        assert "no file number 1" in await ask(server, "/get 1")
        assert "ours.txt" in await ask(server, "/list@keeper_bot", chat_id=GROUP, user_id=BOB)
        assert "somebody else" in await ask(server, "/delete 1", chat_id=GROUP, user_id=BOB)
        assert "Deleted 1. ours.txt" in await ask(server, "/delete 1", chat_id=GROUP)
        assert "no file number 1" in await ask(server, "/delete 1", chat_id=GROUP)
        assert not stored(tmp_path)
        # A number is never given to another file.
        send(server, ("file", b"more", "more.txt"), chat_id=GROUP)
        await until(lambda: "Kept as 2." in "".join(texts(server, GROUP)), server)


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ("/start", "I keep the files"),
        ("/HELP me", "I keep the files"),
        ("/get", "Write /get and the number"),
        ("/get 1234567890123", "Write /get and the number"),
        ("/link x", "Write /link and the number"),
        ("/link 1", "no file number 1"),
        ("/list 7", "no more files. /list shows"),
        ("/find", "Write /find and words"),
        ("/frobnicate", "I don't know /frobnicate"),
    ],
)
async def test_every_command_is_answered(
    server: MaxServer, tmp_path: Path, said: str, answered: str
) -> None:
    async with bot(server, tmp_path):
        assert answered in await ask(server, said)


async def test_many_files_are_shown_in_pages_and_found_by_words(
    server: MaxServer, tmp_path: Path
) -> None:
    async with bot(server, tmp_path):
        for number in range(11):
            send(
                server,
                ("file", b"a", f"Отчёт {number}.txt"),
                ("file", b"b", f"photo {number}.txt"),
            )
        await until(lambda: "Kept as 22." in "".join(texts(server)), server)
        first, second = await ask(server, "/list"), await ask(server, "/list 2")
        assert len(first.splitlines()) == 21
        assert first.splitlines()[-1] == "/list 2 shows older ones."
        assert [line.split(".")[0] for line in second.splitlines()] == ["2", "1"]
        assert len((await ask(server, "/find отчёт")).splitlines()) == 11
        assert "Which of them?" in await ask(server, "/get photo")
        assert await ask(server, "/get photo 3") == "file"
        assert "There is no file in this message" in await ask(server, "")


async def test_ten_people_at_once(server: MaxServer, tmp_path: Path) -> None:
    people = range(100, 110)
    for one in people:
        server.state.chats[one] = "dialog"
    async with bot(server, tmp_path, MAX_USERS="*", BOT_AT_ONCE=4):
        for one in people:
            content = random.Random(one).randbytes(MIB)
            send(server, ("file", content, f"{one}.bin"), chat_id=one, user_id=one)
            server.receive(one, "/list", user_id=one)
        for one in people:
            await until(lambda one=one: f"Kept as 1. {one}.bin" in "".join(texts(server, one)))
            assert await ask(server, "/get 1", chat_id=one, user_id=one) == "file"
    assert stored(tmp_path) == {f"{one}.bin": random.Random(one).randbytes(MIB) for one in people}


async def test_what_fails_is_told_in_words_and_spares_the_rest(
    server: MaxServer, tmp_path: Path
) -> None:
    gone = server.put_media("file", b"gone", "gone.txt")
    good = server.put_media("file", b"good", "good.txt")
    gone_told, good_told = server.attachment(gone), server.attachment(good)
    stray = {
        "type": "file", "filename": "stray.txt", "size": 1,
        "payload": {"url": "http://192.168.0.1/x", "token": "t"},
    }  # fmt: skip
    del server.state.media[gone.token]
    async with bot(server, tmp_path):
        server.receive(DIALOG, None, [gone_told, stray, good_told])
        await until(lambda: "Kept as 1. good.txt" in "".join(texts(server)), server)
    said = texts(server)[-1]
    assert "Not kept: `gone.txt`: it is not there any more." in said
    assert "Not kept: `stray.txt`: its link leads to no host of MAX." in said
    assert str(tmp_path) not in said
    ended = {one.target_name: one.status for one in await operations(tmp_path, "keep")}
    assert ended == {
        "gone.txt": OperationStatus.FAILED, "stray.txt": OperationStatus.FAILED,
        "good.txt": OperationStatus.SUCCESS,
    }  # fmt: skip


async def test_a_lost_answer_is_not_given_twice(server: MaxServer, tmp_path: Path) -> None:
    async with bot(server, tmp_path):
        server.state.faults.lose_messages = 1
        assert "I keep the files" in await ask(server, "/help")
        send(server, ("file", b"x", "x.txt"))
        await until(lambda: "Kept as 1." in "".join(texts(server)), server)
        server.state.faults.lose_messages = 1
        assert await ask(server, "/get 1") == "file"
        assert "x.txt" in await ask(server, "/list")
    assert len(files(server)) == 1
    assert sum("I keep the files" in one for one in texts(server)) == 1


async def start(
    server: MaxServer, data: Path, *options: str
) -> tuple[asyncio.subprocess.Process, str]:
    """Start the program; return it and what it says once it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "haulier", "bot", "max", *options,
        env={**os.environ, "HAULIER_DATA": str(data), "MAX_TOKEN": server.token,
             "MAX_API_URL": server.url, "MAX_USERS": str(ANN)},
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    return process, (await asyncio.wait_for(process.stderr.readline(), 60)).decode().strip()


async def end(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 60) == 130


async def test_the_command_takes_a_place_and_a_webhook(server: MaxServer, tmp_path: Path) -> None:
    place, url = tmp_path / "elsewhere", "https://bot.example/max"
    options = ["--to", place.as_uri(), "--webhook", url, "--host", "127.0.0.1", "--port", "0"]
    process, line = await start(server, tmp_path, *options)
    here = line.removeprefix("listening on ") + "/max"
    assert here.startswith("http://127.0.0.1:")
    attached = server.attachment(server.put_media("file", b"content", "x.txt"))
    update = server.receive(DIALOG, None, [attached])
    secret = server.state.subscriptions[url]["secret"]
    assert await server.deliver(here, update, secret) == 200
    await until(lambda: "Kept as 1." in "".join(texts(server)), server)
    await end(process)
    assert [one.read_bytes() for one in place.rglob("x.txt")] == [b"content"]
    assert not stored(tmp_path)
    process, line = await start(server, tmp_path, "--end-webhooks")
    assert line == "polling"
    await end(process)
    assert not server.state.subscriptions


@pytest.mark.parametrize("when", ["fetching", "telling", "giving"])
async def test_killed_on_the_way_it_goes_on_and_nothing_is_said_twice(
    server: MaxServer, tmp_path: Path, when: str
) -> None:
    faults = server.state.faults
    if when == "giving":
        async with bot(server, tmp_path):
            send(server, ("file", b"content", "x.txt"))
            await until(lambda: "Kept as 1." in "".join(texts(server)), server)
    if when == "fetching":
        faults.hold_downloads = asyncio.Event()
    faults.hold_messages = int(when != "fetching")
    first, _ = await start(server, tmp_path)
    if when == "giving":
        server.receive(DIALOG, "/get 1")
    else:
        send(server, ("file", b"content", "x.txt"))
    if when == "fetching":
        await until(lambda: server.state.count("GET", "/get/", host="files"), server)
    await until(lambda: faults.hold_messages == 0, server)
    first.kill()
    await first.wait()
    faults.hold_downloads = None
    second, line = await start(server, tmp_path)
    assert line == "polling"
    try:
        server.receive(DIALOG, "/help")
        await until(lambda: "I keep the files" in "".join(texts(server)), server)
        wanted = "Kept as 1."
        await until(lambda: any(wanted in one for one in texts(server)), server)
        await until(lambda: server.state.committed == len(server.state.updates), server)
        if when == "giving":
            await until(lambda: files(server), server)
            async with asyncio.timeout(60):
                while not await operations(tmp_path, "send") or (
                    (await operations(tmp_path, "send"))[0].status is not OperationStatus.SUCCESS
                ):
                    await asyncio.sleep(0.1)
    finally:
        await end(second)
    assert stored(tmp_path) == {"x.txt": b"content"}
    assert sum("Kept as 1." in one for one in texts(server)) == 1
    assert len(answers(server)) == (3 if when == "giving" else 2)
    [kept] = await operations(tmp_path, "keep")
    assert kept.status is OperationStatus.SUCCESS


async def test_a_webhook_is_served_and_is_in_the_way_of_polling(
    server: MaxServer, tmp_path: Path
) -> None:
    url = "https://bot.example/max"
    async with bot(server, tmp_path, Receiving(webhook=url)) as told:
        [line] = told
        assert line.startswith("listening on http://127.0.0.1:")
        here = line.removeprefix("listening on ") + "/max"
        secret = server.state.subscriptions[url]["secret"]
        update = server.receive(DIALOG, "/help")
        assert await server.deliver(here, update, "another-secret") == 403
        for _ in range(2):  # MAX comes again when it thinks that it was not heard
            assert await server.deliver(here, update, secret) == 200
        await until(lambda: texts(server), server)
        assert "kept in this chat yet" in await ask_by(server, here, secret, "/list")
        assert len(texts(server)) == 2
    with pytest.raises(ConfigurationError, match=r"has a webhook \(https://bot\.example\)"):
        await run_max_bot(settings_of(server, tmp_path), Receiving())
    async with bot(server, tmp_path, Receiving(end_webhooks=True)):
        assert not server.state.subscriptions
        await until(lambda: server.state.committed == len(server.state.updates), server)
        assert "I keep" in await ask(server, "/help")
    assert sum("I keep" in one for one in texts(server)) == 2, "what came by webhook is known"


async def ask_by(server: MaxServer, url: str, secret: str, text: str) -> str:
    before = len(texts(server))
    assert await server.deliver(url, server.receive(DIALOG, text), secret) == 200
    await until(lambda: len(texts(server)) > before, server)
    return texts(server)[-1]


async def test_what_is_wrong_with_how_it_is_started(server: MaxServer, tmp_path: Path) -> None:
    with pytest.raises(BadBotToken):
        await run_max_bot(settings_of(server, tmp_path, MAX_TOKEN="wrong"), Receiving())
    with pytest.raises(ConfigurationError, match="MAX_TOKEN"):
        await run_max_bot(Settings.load(data=tmp_path), Receiving())
    with pytest.raises(ConfigurationError, match="https"):
        await run_max_bot(settings_of(server, tmp_path), Receiving(webhook="http://x"))
    async with bot(server, tmp_path):
        with pytest.raises(OperationBusy, match="runs already"):
            await run_max_bot(settings_of(server, tmp_path), Receiving())
