"""Deliveries into a chat of MAX: in order, once, and told as it is."""

from __future__ import annotations

import dataclasses
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from haulier import MediaFile, MediaType, Settings, UploadManager
from haulier.core.records import utc_now
from haulier.errors import UsageError
from haulier.max.client import MaxClient
from haulier.max.models import Message, Update
from haulier.max.outgoing import To
from haulier.max.processor import MaxUploadProcessor, where
from haulier.testing.max_server import MaxServer
from haulier.testing.max_state import MaxState
from haulier.transfer.consignments import Consignment, ConsignmentState, MemoryLedger
from haulier.transfer.processors import SilentLine

CHAT = -7
MIME = {MediaType.IMAGE: "image/jpeg", MediaType.AUDIO: "audio/mpeg", MediaType.VIDEO: "video/mp4"}
Make = Callable[..., MediaFile]


def jpeg(seed: int) -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", (16, 16), random.Random(seed).randbytes(768)).save(out, "JPEG")
    return out.getvalue()


def svg(seed: int) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg"><title>{seed}</title></svg>'.encode()


@pytest.fixture
def media(tmp_path: Path) -> Make:
    def make(name: str, content: bytes, kind: MediaType = MediaType.IMAGE) -> MediaFile:
        path = tmp_path / name
        path.write_bytes(content)
        return MediaFile(
            path=path, filename=name, size_bytes=len(content), media_type=kind, mime_type=MIME[kind]
        )

    return make


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def processor(client: MaxClient, waits: list[float]) -> MaxUploadProcessor:
    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    return MaxUploadProcessor(client, updates=False, sleep=sleep)


def arrived(state: MaxState) -> list[list[str]]:
    """The types of what is attached, message by message."""
    told = [message["body"]["attachments"] for message in state.messages.values()]
    return [[one["type"] for one in each] for each in told if each]


def contents(state: MaxState) -> list[bytes]:
    return [
        state.media[one["payload"]["token"]].content
        for message in state.messages.values()
        for one in message["body"]["attachments"] or ()
    ]


def sound(seed: int) -> bytes:
    return b"ID3\x04\0\0\0\0\0\0" + (b"\xff\xfb\x90\0" + random.Random(seed).randbytes(413)) * 8


async def test_pictures_go_together_and_all_else_alone(
    state: MaxState, processor: MaxUploadProcessor, media: Make
) -> None:
    files = [media(f"{n:02}.jpg", jpeg(n)) for n in range(14)]
    files.insert(13, media("song.mp3", sound(1), MediaType.AUDIO))
    result = await processor.upload_files(files, CHAT, "MAX")
    assert arrived(state) == [["image"] * 12, ["image"], ["audio"], ["image"]]
    assert contents(state) == [file.path.read_bytes() for file in files]
    assert (result.success, result.successful_uploads, result.error) == (True, 15, None)
    assert result.metadata["platform"] == "MAX"
    assert result.metadata["batches_processed"] == 4


async def test_one_message_tells_how_far_it_is(
    server: MaxServer, state: MaxState, client: MaxClient, media: Make
) -> None:
    result = await MaxUploadProcessor(client).upload_files([media("a.jpg", jpeg(1))], CHAT)
    told = [each["body"]["text"] for each in state.messages.values() if each["body"]["text"]]
    assert told == [result.message]
    assert state.count("PUT", "/messages") == 1


async def test_what_max_does_not_show_goes_as_a_file_and_spares_the_others(
    state: MaxState, processor: MaxUploadProcessor, media: Make
) -> None:
    files = [media("a.jpg", jpeg(1)), media("drawing.svg", svg(1)), media("b.jpg", jpeg(2))]
    result = await processor.upload_files(files, CHAT)
    assert result.success
    assert sorted(each for message in arrived(state) for each in message) == [
        "file", "image", "image",
    ]  # fmt: skip


async def test_a_file_that_can_not_be_sent_fails_alone(
    state: MaxState, processor: MaxUploadProcessor, media: Make, tmp_path: Path
) -> None:
    gone = media("gone.jpg", jpeg(3))
    gone.path.unlink()
    link = media("link.jpg", jpeg(4))
    link.path.rename(tmp_path / "secret.jpg")
    link.path.symlink_to(tmp_path / "secret.jpg")
    empty = media("empty.jpg", b"")
    files = [media("a.jpg", jpeg(1)), gone, link, empty, media("b.jpg", jpeg(2))]
    result = await processor.upload_files(files, CHAT)
    assert (result.successful_uploads, result.failed_uploads) == (2, 3)
    assert sorted(contents(state)) == sorted([jpeg(1), jpeg(2)])
    assert result.error is not None
    assert str(tmp_path) not in result.error
    for name in ("gone.jpg", "link.jpg", "empty.jpg"):
        assert name in result.error


async def test_a_lost_answer_is_not_sent_again_when_it_may_have_arrived(
    state: MaxState, processor: MaxUploadProcessor, media: Make
) -> None:
    state.faults.lose_messages = 1
    result = await processor.upload_files([media("a.jpg", jpeg(1))], CHAT)
    assert arrived(state) == [["image"]]
    assert not result.success
    assert "may have arrived" in (result.error or "")


async def test_a_lost_answer_to_a_file_is_found_by_its_name_and_size(
    state: MaxState, processor: MaxUploadProcessor, media: Make
) -> None:
    state.faults.lose_messages = 1
    result = await processor.upload_files([media("drawing.svg", svg(1))], CHAT)
    assert arrived(state) == [["file"]]
    assert result.success


def begun(file: MediaFile) -> Consignment:
    return Consignment(files=(file,), state=ConsignmentState.SENDING, began_at=utc_now())


async def test_what_a_run_that_died_had_begun_is_sent_when_nothing_like_it_is_there(
    server: MaxServer, state: MaxState, processor: MaxUploadProcessor, media: Make
) -> None:
    other = server.put_media("image", b"somebody's")
    server.receive(CHAT, None, [server.attachment(other)])
    ledger = MemoryLedger([begun(media("a.jpg", jpeg(1)))])
    result = await processor.deliver([], CHAT, "max", ledger=ledger, status=SilentLine())
    assert result.success
    [kept] = await ledger.load()
    assert kept.state is ConsignmentState.SENT
    assert contents(state) == [b"somebody's", jpeg(1)]


async def test_what_a_run_that_died_had_sent_is_not_sent_again(
    state: MaxState, processor: MaxUploadProcessor, media: Make
) -> None:
    file = media("drawing.svg", svg(1))
    await processor.upload_files([file], CHAT)
    ledger = MemoryLedger([begun(file), Consignment(files=(file,))])
    result = await processor.deliver([], CHAT, "max", ledger=ledger, status=SilentLine())
    assert result.success
    assert arrived(state) == [["file"], ["file"]]
    first, second = await ledger.load()
    assert first.message_id != second.message_id


async def test_a_dialog_known_by_its_user_alone_can_not_be_looked_into(
    state: MaxState, processor: MaxUploadProcessor, media: Make
) -> None:
    ledger = MemoryLedger([begun(media("a.jpg", jpeg(1)))])
    result = await processor.deliver([], "user:5", "max", ledger=ledger, status=SilentLine())
    assert arrived(state) == []
    assert "may have arrived" in (result.error or "")


async def test_a_closed_chat_ends_the_delivery(
    state: MaxState, processor: MaxUploadProcessor, media: Make
) -> None:
    state.denied.add(CHAT)
    files = [media("a.jpg", jpeg(1)), media("s.mp3", sound(1), MediaType.AUDIO)]
    result = await processor.upload_files(files, CHAT)
    assert result.failed_uploads == 2
    assert result.error == "the bot may not do this here: let it send messages and attach files."


@pytest.mark.parametrize(
    ("ctx", "chat"),
    [
        (-7, "-7"),
        ("-7", "-7"),
        ("user:5", "user:5"),
        (To(user_id=5), "user:5"),
        (Message(mid="m", chat_id=-7), "-7"),
        (Update(type="message_created", chat_id=-7), "-7"),
    ],
)
def test_a_chat_is_named_in_many_ways(ctx: Any, chat: str) -> None:
    assert str(where(ctx)) == chat


@pytest.mark.parametrize("ctx", [None, 1.5, "general", Message(mid="m"), object()])
def test_what_names_no_chat_is_refused(ctx: Any) -> None:
    with pytest.raises(UsageError, match="no chat of MAX"):
        where(ctx)


async def test_a_directory_is_delivered_by_the_upload_manager(
    server: MaxServer, state: MaxState, tmp_path: Path
) -> None:
    directory = tmp_path / "requests" / "42_1"
    directory.mkdir(parents=True)
    for number in range(3):
        (directory / f"{number}.jpg").write_bytes(jpeg(number))
    settings = Settings.load(data=tmp_path / "data", MAX_TOKEN=server.token, MAX_API_URL=server.url)
    async with UploadManager(settings=settings) as manager:
        result = await manager.process_downloaded_files(directory, CHAT, "max")
    assert result.success
    assert arrived(state) == [["image"] * 3]
    assert sorted(contents(state)) == sorted(jpeg(number) for number in range(3))
    assert not directory.exists()
    assert server.token not in json.dumps(dataclasses.asdict(result))
