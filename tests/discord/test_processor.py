"""Files brought into a channel: in order, once, and told as it is."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import discord
from haulier import BatchProcessor, DiscordUploadProcessor, MediaFile, MediaType
from haulier.core.records import utc_now
from haulier.discord.places import Place, RequestPlace
from haulier.discord.status import DiscordStatusLine
from haulier.errors import DoesNotFit, HaulierError
from haulier.testing.discord_server import DiscordServer
from haulier.testing.discord_state import MIB, Fault
from haulier.transfer.consignments import Consignment, ConsignmentState, MemoryLedger
from haulier.transfer.processors import SilentLine

Photo = Callable[..., MediaFile]
KEYS = {
    "platform", "total_files", "successful_uploads", "failed_uploads", "compression_attempts",
    "successful_compressions", "total_size_mb", "batches_processed", "processing_time_seconds",
    "upload_time_seconds",
}  # fmt: skip


class Waits:
    """Sleeps not, and notes for how long it would have."""

    def __init__(self) -> None:
        self.all: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.all.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def processor(waits: Waits) -> DiscordUploadProcessor:
    return DiscordUploadProcessor(updates=False, sleep=waits)


def arrived(server: DiscordServer) -> list[list[str]]:
    return [[each.filename for each in sent.attachments] for sent in server.state.deliveries]


def all_names(server: DiscordServer) -> list[str]:
    return [name for each in arrived(server) for name in each]


async def test_files_arrive_byte_for_byte_in_order(
    server: DiscordServer, channel: Any, photo: Photo
) -> None:
    files = [photo(f"{n:02}.jpg", 2000 + n) for n in range(23)]
    result = await DiscordUploadProcessor().upload_files(files, channel, "Discord")
    names = arrived(server)
    assert [len(each) for each in names] == [10, 10, 3]
    assert all_names(server) == [file.filename for file in files]
    hashes = [each.sha256 for sent in server.state.deliveries for each in sent.attachments]
    assert hashes == [hashlib.sha256(file.path.read_bytes()).hexdigest() for file in files]
    assert result.success
    assert result.error is None
    assert result.message == "Uploaded 23 files (45 KiB)."
    assert (result.files_processed, result.successful_uploads, result.failed_uploads) == (23, 23, 0)
    assert set(result.metadata) == KEYS
    assert result.metadata["platform"] == "Discord"
    assert result.metadata["batches_processed"] == 3
    assert result.metadata["total_size_mb"] == sum(file.size_bytes for file in files) / MIB


async def test_one_message_tells_how_far_it_is(
    server: DiscordServer, channel: Any, photo: Photo
) -> None:
    files = [photo(f"{n}.jpg") for n in range(21)]
    await DiscordUploadProcessor().upload_files(files, channel)
    told = [each for each in server.state.messages.values() if not each.attachments]
    assert len(told) == 1
    assert told[0].edits[-1] == "Uploaded 21 files (21 KiB)."
    # Edits that come too soon are left out, the last one never.
    assert len(told[0].edits) == 1
    assert server.state.bodies[0]["content"] == "Uploading batch 1 of 3… 0 of 21 files done"


async def test_a_text_too_long_for_one_message_goes_on_in_the_next(
    server: DiscordServer, channel: Any
) -> None:
    place = Place(RequestPlace(channel, footer="<https://example.org/post>"))
    status = DiscordStatusLine(place)
    links = [f"[{n}.mp4](<https://example.org/{n}/{'x' * 500}>)" for n in range(8)]
    await status.tell("Fetching…", at_once=True)
    await status.tell("\n".join(links), at_once=True)
    shown = [each.content for each in server.state.messages.values()]
    assert [len(text) <= 2000 for text in shown] == [True] * 3
    assert shown[0].endswith("\n<https://example.org/post>")
    told = "\n".join([shown[0].rpartition("\n")[0], *shown[1:]])
    assert told.split("\n") == links
    await status.tell("Done.", at_once=True)
    shown = [each.content for each in server.state.messages.values()]
    assert shown == ["Done.\n<https://example.org/post>", "…", "…"]


async def test_a_status_that_somebody_deleted_stops_nothing(
    server: DiscordServer, channel: Any, photo: Photo, processor: DiscordUploadProcessor
) -> None:
    status = DiscordStatusLine(Place(channel), interval_s=0.0)
    await status.tell("Found 1 file.")
    server.state.messages.clear()
    ledger = MemoryLedger()
    result = await processor.deliver(
        [photo("a.jpg")], channel, "discord", ledger=ledger, status=status
    )
    assert result.success
    assert arrived(server) == [["a.jpg"]]


async def test_a_link_that_leaves_no_room_is_left_out(server: DiscordServer, channel: Any) -> None:
    status = DiscordStatusLine(Place(RequestPlace(channel, footer=f"<https://{'x' * 1950}>")))
    text = "Uploading batch 1 of 3…" * 4
    await status.tell(text, at_once=True)
    assert [each.content for each in server.state.messages.values()] == [text]


async def test_nobody_is_mentioned_and_messages_carry_nonces(
    server: DiscordServer, channel: Any, photo: Photo, processor: DiscordUploadProcessor
) -> None:
    await processor.upload_files([photo("@everyone.jpg")], channel)
    assert server.state.deliveries[0].allowed_mentions == {"parse": []}
    body = server.state.bodies[-1]
    assert body["enforce_nonce"] is True
    assert len(body["nonce"]) == 24


# --- what goes wrong on the way


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", status=503),
        Fault("rate", via=False),
        Fault("rate", via=False, is_global=True),
        Fault("drop", after_bytes=0),
        Fault("drop", after_bytes=70_000),
        Fault("lose"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}-{fault.after_bytes}-{fault.is_global}",
)
async def test_what_discord_py_does_not_try_again_is(
    server: DiscordServer,
    channel: Any,
    photo: Photo,
    processor: DiscordUploadProcessor,
    waits: Waits,
    fault: Fault,
) -> None:
    server.state.faults.append(fault)
    result = await processor.upload_files([photo("a.jpg", 200_000), photo("b.jpg")], channel)
    assert result.success
    assert arrived(server) == [["a.jpg", "b.jpg"]]
    assert len(waits.all) == 1


@pytest.mark.parametrize(
    "fault", [Fault("status", status=500), Fault("status", status=502), Fault("rate"),
              Fault("rate", is_global=True)],
    ids=["500", "502", "429", "429-global"],
)  # fmt: skip
async def test_what_discord_py_tries_again_is_left_to_it(
    server: DiscordServer,
    channel: Any,
    photo: Photo,
    processor: DiscordUploadProcessor,
    waits: Waits,
    fault: Fault,
) -> None:
    server.state.faults.append(fault)
    assert (await processor.upload_files([photo("a.jpg")], channel)).success
    assert arrived(server) == [["a.jpg"]]
    assert waits.all == []


async def test_waits_double_and_a_named_time_is_kept(
    server: DiscordServer, channel: Any, photo: Photo, waits: Waits
) -> None:
    processor = DiscordUploadProcessor(3, 0.5, updates=False, sleep=waits)
    server.state.faults.extend(
        [Fault("status"), Fault("rate", via=False, retry_after_s=7.25), Fault("status")]
    )
    assert (await processor.upload_files([photo("a.jpg")], channel)).success
    assert waits.all == [0.5, 7.25, 2.0]


async def test_it_gives_up_after_so_many_attempts_and_says_so(
    server: DiscordServer, channel: Any, photo: Photo, waits: Waits
) -> None:
    server.state.faults.extend([Fault("status")] * 9)
    files = [photo(f"{n}.jpg") for n in range(11)]
    result = await DiscordUploadProcessor(updates=False, sleep=waits).upload_files(files, channel)
    assert waits.all == [2.0, 4.0, 8.0]
    assert len(server.state.faults) == 5, "the second message is not even tried"
    assert not result.success
    assert result.message == "Upload failed: none of 11 files arrived."
    assert result.error == "the chat does not answer; try again in some minutes."


async def test_a_lost_answer_to_the_last_attempt_is_looked_for(
    server: DiscordServer, channel: Any, photo: Photo, waits: Waits
) -> None:
    server.state.faults.append(Fault("lose"))
    processor = DiscordUploadProcessor(0, updates=False, sleep=waits)
    assert (await processor.upload_files([photo("a.jpg")], channel)).success
    assert arrived(server) == [["a.jpg"]]


# --- what is too large


async def test_a_message_too_large_is_sent_in_halves(
    server: DiscordServer, channel: Any, photo: Photo, processor: DiscordUploadProcessor
) -> None:
    server.state.most_message_bytes = 260_000
    files = [photo(f"{n}.jpg", 100_000) for n in range(6)]
    result = await processor.upload_files(files, channel)
    assert result.success
    assert all_names(server) == [f"{n}.jpg" for n in range(6)]
    assert result.metadata["batches_processed"] == len(arrived(server))


async def test_a_file_too_large_is_made_smaller(
    server: DiscordServer, channel: Any, photo: Photo
) -> None:
    server.state.limit_bytes = 50_000

    async def smaller(file: MediaFile) -> MediaFile:
        copy = photo("copy.jpg", 40_000)
        return dataclasses.replace(copy, is_compressed=True, original_path=file.path)

    processor = DiscordUploadProcessor(updates=False, smaller=smaller)
    files = [photo("a.jpg"), photo("large.jpg", 100_000), photo("b.jpg")]
    result = await processor.upload_files(files, channel)
    assert result.success
    assert all_names(server) == ["a.jpg", "copy.jpg", "b.jpg"]
    assert result.metadata["compression_attempts"] == 1
    assert result.metadata["successful_compressions"] == 1


async def test_one_that_can_not_be_made_smaller_spares_the_others(
    server: DiscordServer, channel: Any, photo: Photo
) -> None:
    server.state.limit_bytes = 50_000

    async def refuse(file: MediaFile) -> MediaFile:
        raise DoesNotFit(f"{file.path} does not fit", smallest_bytes=3 * MIB)

    processor = DiscordUploadProcessor(updates=False, smaller=refuse)
    files = [photo("a.jpg"), photo("large.jpg", 100_000), photo("b.jpg")]
    result = await processor.upload_files(files, channel)
    assert not result.success
    assert result.message == "Partly uploaded: 2 of 3 files arrived."
    assert result.error is not None
    assert result.error.startswith("`large.jpg`: too large")
    assert "3" in result.error
    assert str(files[1].path.parent) not in result.error


# --- who may not, and what may not leave


async def test_no_permission_stops_it_and_is_told_as_advice(
    server: DiscordServer, channel: Any, photo: Photo, processor: DiscordUploadProcessor
) -> None:
    server.state.may_send = False
    result = await processor.upload_files([photo(f"{n}.jpg") for n in range(12)], channel)
    assert result.failed_uploads == 12
    assert result.error == "the bot may not do this here: let it send messages and attach files."
    assert sum(call == ("POST", "/channels/3001/messages") for call in server.state.calls) == 1


async def test_an_unknown_channel(
    server: DiscordServer, channel: Any, photo: Photo, processor: DiscordUploadProcessor
) -> None:
    other = discord.PartialMessageable(state=channel._state, id=999)
    result = await processor.upload_files([photo("a.jpg")], other)
    assert result.error == "the channel is not there any more, or the bot can't see it."


async def test_what_changed_vanished_or_is_no_media_stays(
    server: DiscordServer, channel: Any, photo: Photo, tmp_path: Path, processor: Any
) -> None:
    files = [photo(name) for name in ("good.jpg", "gone.jpg", "grown.jpg", "link.jpg", "x.jpg")]
    os.remove(files[1].path)
    with open(files[2].path, "ab") as grown:
        grown.write(b"more")
    os.remove(files[3].path)
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(1000))
    os.symlink(secret, files[3].path)
    files[4] = dataclasses.replace(files[4], media_type=MediaType.UNKNOWN)
    result = await processor.upload_files(files, channel)
    assert arrived(server) == [["good.jpg"]]
    assert result.failed_uploads == 4
    assert str(tmp_path) not in str(result)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb\u202egpj.exe", "abgpj.exe.jpg"),
        ("..hidden.jpg", "hidden.jpg"),
        ("page.html", "page.html.jpg"),
        ("x" * 200 + ".jpg", "x" * 56 + "…" + "x" * 56 + ".jpg"),
        ("фото 1.jpg", "фото 1.jpg"),
        ('a";\\b.jpg', "b.jpg"),
    ],
)
async def test_names_are_cleaned(
    server: DiscordServer, channel: Any, photo: Photo, processor: Any, name: str, shown: str
) -> None:
    file = dataclasses.replace(photo("plain.jpg"), filename=name)
    result = await processor.upload_files([file], channel)
    assert result.success, result
    assert arrived(server) == [[shown]] or len(arrived(server)[0][0].encode()) <= 120


async def test_the_token_is_in_no_log_and_no_message(
    server: DiscordServer, channel: Any, photo: Photo, processor: Any, caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    server.state.faults.extend([Fault("status", status=400), Fault("status", status=401)])
    result = await processor.upload_files([photo("a.jpg"), photo("b.jpg")], channel)
    assert not result.success
    assert server.token not in caplog.text + str(result)


# --- taken up again


async def save_begun(server: DiscordServer, ledger: MemoryLedger, *files: MediaFile) -> Consignment:
    begun = Consignment(files=files, state=ConsignmentState.SENDING, began_at=utc_now())
    await ledger.save([begun])
    return begun


async def test_what_arrived_before_the_crash_is_not_sent_again(
    server: DiscordServer, channel: Any, photo: Photo, processor: DiscordUploadProcessor
) -> None:
    files = [photo(f"{n}.jpg", 1000 + n) for n in range(20)]
    ledger = MemoryLedger()
    await processor.deliver(files[:10], channel, "discord", ledger=ledger, status=SilentLine())
    sent = await ledger.load()
    # As a killed process leaves it: the first message is made, and its answer was not noted.
    begun = dataclasses.replace(sent[0], state=ConsignmentState.SENDING, message_id=None)
    await ledger.save([begun, Consignment(files=tuple(files[10:]))])
    server.state.forget_nonces()
    result = await processor.deliver([], channel, "discord", ledger=ledger, status=SilentLine())
    assert result.successful_uploads == 20
    assert all_names(server) == [f.filename for f in files]


async def test_what_did_not_arrive_is_sent(
    server: DiscordServer, channel: Any, photo: Photo, processor: DiscordUploadProcessor
) -> None:
    ledger = MemoryLedger()
    await save_begun(server, ledger, photo("a.jpg"))
    result = await processor.deliver([], channel, "discord", ledger=ledger, status=SilentLine())
    assert result.success
    assert arrived(server) == [["a.jpg"]]


async def test_without_the_history_an_old_message_is_told_as_uncertain(
    server: DiscordServer, channel: Any, photo: Photo, processor: DiscordUploadProcessor
) -> None:
    server.state.may_read_history = False
    ledger = MemoryLedger()
    begun = await save_begun(server, ledger, photo("a.jpg"))
    old = utc_now().replace(year=2025)
    await ledger.save([dataclasses.replace(begun, began_at=old)])
    result = await processor.deliver([], channel, "discord", ledger=ledger, status=SilentLine())
    assert arrived(server) == []
    assert result.error is not None
    assert "may have arrived" in result.error
    server.state.may_read_history = True
    assert (
        await processor.deliver([], channel, "discord", ledger=ledger, status=SilentLine())
    ).success


async def test_a_crash_at_any_saving_loses_nothing_and_sends_nothing_twice(
    server: DiscordServer, channel: Any, photo: Photo
) -> None:
    files = [photo(f"{n}.jpg", 1000 + n) for n in range(7)]
    batches = BatchProcessor(preferred_max_files=2)

    class Crashing(MemoryLedger):
        left = 0

        async def save(self, consignments: Any) -> None:
            if Crashing.left == 0:
                raise asyncio.CancelledError
            Crashing.left -= 1
            await super().save(consignments)

    for savings in range(1, 9):
        server.state.messages.clear()
        ledger = Crashing()
        Crashing.left = savings
        processor = DiscordUploadProcessor(updates=False, batches=batches)
        with pytest.raises(asyncio.CancelledError):
            await processor.deliver(files, channel, "discord", ledger=ledger, status=SilentLine())
        Crashing.left = 1000
        server.state.forget_nonces()
        result = await processor.deliver([], channel, "discord", ledger=ledger, status=SilentLine())
        assert result.successful_uploads == 7, savings
        assert sorted(all_names(server)) == [file.filename for file in files]


# --- the places


def test_the_limit_is_what_the_setting_says(channel: Any) -> None:
    assert DiscordUploadProcessor(limit_mb=8).limit_bytes(channel) == 8 * MIB


async def test_the_limit_is_discords_own_where_nothing_is_told(channel: Any) -> None:
    assert DiscordUploadProcessor().limit_bytes(channel) == 20 * MIB - 1024


async def test_errors_are_never_of_discord_py(
    server: DiscordServer, channel: Any, photo: Photo, processor: DiscordUploadProcessor
) -> None:
    server.state.faults.append(Fault("status", status=418))
    result = await processor.upload_files([photo("a.jpg")], channel)
    assert result.error == "`a.jpg`: the chat refused this."
    assert not isinstance(result.error, HaulierError)
