"""Uploads: tokens by type, both ways, and everything that can go wrong on the way."""

import asyncio
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from haulier import errors
from haulier.core.progress import ProgressBoard
from haulier.max.client import MaxClient
from haulier.max.uploads import Uploader
from haulier.testing.max_server import MaxServer
from haulier.testing.max_state import MaxState

MIB = 1 << 20
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0"
MakeFile = Callable[..., Path]


def stored(state: MaxState, token: str) -> bytes:
    assert state.media[token].is_whole
    return state.media[token].content


@pytest.mark.parametrize("type_", ["image", "video", "audio", "file"])
@pytest.mark.parametrize("size", [1000, 3 * MIB + 5])
async def test_every_type_goes_both_ways(
    client: MaxClient, state: MaxState, make_file: MakeFile, type_: str, size: int
) -> None:
    path = make_file('Отчёт "1" %41.png', size, PNG)
    uploaded = await Uploader(client, chunk_bytes=MIB).upload(path, type_, mime_type="image/png")
    assert stored(state, uploaded.token) == path.read_bytes()
    assert state.media[uploaded.token].name == path.name
    assert state.media[uploaded.token].type == type_
    posts = [one for one in state.seen if one.host == "files"]
    kinds = {one.headers["Content-Type"].partition(";")[0] for one in posts}
    assert kinds == ({"multipart/form-data"} if size < MIB else {"application/octet-stream"})
    assert len(posts) == (4 if size > MIB and type_ in {"video", "audio"} else 1)


async def test_a_type_that_max_has_not_is_refused_before_anything_is_asked(
    client: MaxClient, state: MaxState
) -> None:
    with pytest.raises(errors.UsageError, match="photo"):
        await client.get_upload_url("photo")
    assert state.seen == []


async def test_http_is_made_https_where_the_api_is(client: MaxClient, state: MaxState) -> None:
    slot = await client.get_upload_url("file")
    assert slot.url.startswith("http://127.0.0.1"), "the double has no certificate"
    assert slot.token is None
    client.api_url = "https://platform"
    state.faults.answers.append(("POST /uploads", 200, b'{"url": "http://u.example/x?sig=1"}'))
    assert (await client.get_upload_url("file")).url == "https://u.example/x?sig=1"


async def test_a_big_upload_cut_ten_times_sends_nothing_twice(
    client: MaxClient, state: MaxState, make_file: MakeFile
) -> None:
    path = make_file("big.bin", 64 * MIB)
    state.faults.cut_uploads.extend([5 * MIB + 17] * 10)
    board = ProgressBoard()
    meter = board.start("1", path.name)
    uploaded = await Uploader(client).upload(path, "file", meter=meter)
    assert stored(state, uploaded.token) == path.read_bytes()
    assert sum(one.body_bytes for one in state.seen if one.host == "files") == 64 * MIB
    assert len(state.slots) == 1
    [event] = board.sample()
    assert (event.done_bytes, event.total_bytes) == (64 * MIB, 64 * MIB)


async def test_a_host_that_forgets_a_cut_request_gets_it_again(
    client: MaxClient, state: MaxState, make_file: MakeFile
) -> None:
    state.faults.forget_cut = True
    state.faults.cut_uploads.extend([MIB, 10, 2 * MIB])
    path = make_file("film.mp4", 5 * MIB)
    uploaded = await Uploader(client, chunk_bytes=2 * MIB).upload(path, "video")
    assert stored(state, uploaded.token) == path.read_bytes()


@pytest.mark.parametrize("type_", ["video", "file"])
async def test_an_expired_url_is_replaced(
    client: MaxClient, state: MaxState, make_file: MakeFile, type_: str
) -> None:
    state.faults.expire_after.extend([2 * MIB + 1, MIB])
    path = make_file("big.bin", 4 * MIB)
    uploaded = await Uploader(client).upload(path, type_)
    assert stored(state, uploaded.token) == path.read_bytes()
    assert len(state.slots) == 3


async def test_urls_that_never_last_end_it(
    client: MaxClient, state: MaxState, make_file: MakeFile
) -> None:
    state.faults.expire_after.extend([MIB] * 20)
    with pytest.raises((errors.ChatError, errors.Transient)):
        await Uploader(client).upload(make_file("big.bin", 4 * MIB), "file")
    assert len(state.slots) <= 6


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("type_", ["video", "image"])
async def test_a_lost_answer_to_the_last_bytes(
    client: MaxClient, state: MaxState, make_file: MakeFile, type_: str, repeats: bool
) -> None:
    state.faults.lose_upload_answers = 1
    state.repeats_last_answer = repeats
    path = make_file("big.png", 3 * MIB, PNG)
    uploaded = await Uploader(client).upload(path, type_)
    assert stored(state, uploaded.token) == path.read_bytes()
    assert len(state.slots) == (2 if type_ == "image" and not repeats else 1)


async def test_a_small_upload_whose_answer_is_lost_is_sent_again(
    client: MaxClient, state: MaxState, make_file: MakeFile
) -> None:
    state.faults.lose_upload_answers = 1
    state.faults.cut_uploads.append(10)
    path = make_file("note.txt", 500)
    board = ProgressBoard()
    meter = board.start("1", path.name)
    uploaded = await Uploader(client).upload(path, "file", meter=meter)
    assert stored(state, uploaded.token) == path.read_bytes()
    assert len(state.slots) == 3
    assert board.sample()[0].done_bytes == 500


async def test_a_standing_transfer_is_cut_and_goes_on(
    server: MaxServer, client: MaxClient, state: MaxState, make_file: MakeFile
) -> None:
    client.transfers._stall_timeout_s = 0.3
    state.faults.stall_uploads.append(2 * MIB)
    path = make_file("big.bin", 24 * MIB)
    uploaded = await Uploader(client).upload(path, "file")
    assert stored(state, uploaded.token) == path.read_bytes()


async def test_a_file_that_changes_meanwhile_is_not_sent(
    client: MaxClient, state: MaxState, make_file: MakeFile, tmp_path: Path
) -> None:
    path = make_file("big.bin", 8 * MIB)
    state.faults.cut_uploads.append(3 * MIB)
    states = tmp_path / "states"
    uploading = asyncio.create_task(Uploader(client, state_folder=states).upload(path, "file"))
    while not any(one.host == "files" for one in state.seen):
        await asyncio.sleep(0)
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(1, 1))
    with pytest.raises(errors.SourceChanged, match="changed while"):
        await uploading
    uploaded = await Uploader(client, state_folder=states).upload(path, "file")
    assert stored(state, uploaded.token) == path.read_bytes()


async def test_a_change_between_two_runs_is_noticed(
    client: MaxClient, state: MaxState, make_file: MakeFile, tmp_path: Path
) -> None:
    path = make_file("big.bin", 8 * MIB)
    times = path.stat()
    state.faults.cut_uploads.extend([5 * MIB] + [0] * 20)
    uploader = Uploader(client, state_folder=tmp_path / "states")
    with pytest.raises(errors.Transient):
        await uploader.upload(path, "file")
    with path.open("r+b") as file:
        file.seek(2 * MIB)
        file.write(b"other")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    state.faults.cut_uploads.clear()
    uploaded = await uploader.upload(path, "file")
    assert stored(state, uploaded.token) == path.read_bytes()
    assert len(state.slots) == 2


async def test_another_run_goes_on_and_sends_only_the_rest(
    client: MaxClient, state: MaxState, make_file: MakeFile, tmp_path: Path
) -> None:
    path = make_file("big.bin", 8 * MIB)
    state.faults.cut_uploads.extend([5 * MIB + 3] + [0] * 20)
    folder = tmp_path / "states"
    with pytest.raises(errors.Transient):
        await Uploader(client, state_folder=folder).upload(path, "file")
    [kept] = folder.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    with kept.open("ab") as file:
        file.write(b'{"crc": "00')  # the line that a killed process was writing
    state.faults.cut_uploads.clear()
    board = ProgressBoard()
    meter = board.start("1", path.name)
    uploaded = await Uploader(client, state_folder=folder).upload(path, "file", meter=meter)
    assert stored(state, uploaded.token) == path.read_bytes()
    assert sum(one.body_bytes for one in state.seen if one.host == "files") == 8 * MIB
    assert len(state.slots) == 1
    assert list(folder.iterdir()) == []
    assert meter._credited == 5 * MIB + 3


@pytest.mark.parametrize("rubbish", [b"", b"\xff\n", b"{}\n", b'{"format": 9}\n', b"[1]\n"])
async def test_a_damaged_state_counts_for_nothing(
    client: MaxClient, state: MaxState, make_file: MakeFile, tmp_path: Path, rubbish: bytes
) -> None:
    path = make_file("big.bin", 2 * MIB)
    state.faults.cut_uploads.extend([MIB] + [0] * 20)
    folder = tmp_path / "states"
    with pytest.raises(errors.Transient):
        await Uploader(client, state_folder=folder).upload(path, "file")
    [kept] = folder.iterdir()
    kept.write_bytes(rubbish)
    state.faults.cut_uploads.clear()
    uploaded = await Uploader(client, state_folder=folder).upload(path, "file")
    assert stored(state, uploaded.token) == path.read_bytes()


async def test_a_token_outlives_what_failed_after_the_upload(
    client: MaxClient, state: MaxState, make_file: MakeFile, tmp_path: Path
) -> None:
    path = make_file("big.bin", 2 * MIB)
    uploader = Uploader(client, state_folder=tmp_path / "states")
    tokens = []
    try:
        async with uploader.uploading(path, "file") as uploaded:
            tokens.append(uploaded.token)
            raise KeyError
    except KeyError:
        pass
    async with uploader.uploading(path, "file") as uploaded:
        tokens.append(uploaded.token)
    assert tokens[0] == tokens[1]
    assert len(state.slots) == 1
    assert (await uploader.upload(path, "file")).token != tokens[0]


async def test_the_same_file_is_not_sent_by_two_at_once(
    client: MaxClient, make_file: MakeFile, tmp_path: Path
) -> None:
    path = make_file("big.bin", 2 * MIB)
    uploader = Uploader(client, state_folder=tmp_path / "states")
    async with uploader.uploading(path, "file"):
        with pytest.raises(errors.OperationBusy):
            await uploader.upload(path, "file")


async def test_cancelling_leaves_no_open_file_and_a_state_to_go_on_from(
    client: MaxClient, state: MaxState, make_file: MakeFile, tmp_path: Path
) -> None:
    path = make_file("big.bin", 24 * MIB)
    state.faults.stall_uploads.append(3 * MIB)
    uploader = Uploader(client, state_folder=tmp_path / "states")
    before = len(os.listdir("/proc/self/fd"))
    uploading = asyncio.create_task(uploader.upload(path, "file"))
    while not any(one.body_bytes >= 3 * MIB for one in state.seen):
        await asyncio.sleep(0.01)
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    await client.aclose()
    await asyncio.sleep(0.05)
    paths = [
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.lexists(f"/proc/self/fd/{fd}")
    ]
    assert not [one for one in paths if one.startswith((str(path), str(tmp_path / "states")))]
    assert before > 0
    slot = next(iter(state.slots.values()))
    slot.is_busy = False
    uploaded = await uploader.upload(path, "file")
    assert stored(state, uploaded.token) == path.read_bytes()
    assert len(state.slots) == 1


@pytest.mark.parametrize("size", [100, 2 * MIB])
@pytest.mark.parametrize(
    ("type_", "status", "text"),
    [
        ("video", 200, "<retval>-1</retval>"),
        ("audio", 200, '{"error_code": 5, "error_data": "bad"}'),
        ("file", 413, "too large"),
    ],
)
async def test_a_refusal_is_no_success(
    client: MaxClient,
    state: MaxState,
    make_file: MakeFile,
    type_: str,
    status: int,
    text: str,
    size: int,
) -> None:
    state.faults.upload_answers.append((status, text))
    with pytest.raises(errors.ChatError, match=r"a.bin was not taken"):
        await Uploader(client).upload(make_file("a.bin", size), type_)


async def test_nothing_is_kept_of_what_max_does_not_take(
    client: MaxClient, state: MaxState, make_file: MakeFile, tmp_path: Path
) -> None:
    state.faults.upload_answers.append((200, '{"error_code": 4, "error_data": "no"}'))
    with pytest.raises(errors.ChatError):
        await Uploader(client, state_folder=tmp_path / "states").upload(
            make_file("a.bin", 2 * MIB), "file"
        )
    assert list((tmp_path / "states").iterdir()) == []


@pytest.mark.parametrize("size", [100, 2 * MIB])
@pytest.mark.parametrize("text", ["", "fine", "<html>", "[]", '{"photos": {}}', '{"token": 5}'])
async def test_an_answer_without_a_token_is_asked_again(
    client: MaxClient, state: MaxState, make_file: MakeFile, text: str, size: int
) -> None:
    state.faults.upload_answers.append((200, text))
    uploaded = await Uploader(client).upload(make_file("a.bin", size), "file")
    assert state.media[uploaded.token].is_whole


async def test_an_empty_answer_is_enough_for_a_video(
    client: MaxClient, state: MaxState, make_file: MakeFile
) -> None:
    state.faults.upload_answers.append((200, ""))
    uploaded = await Uploader(client).upload(make_file("a.mp4", 100), "video")
    assert uploaded.token in state.media


async def test_no_image_is_refused_by_the_host(client: MaxClient, make_file: MakeFile) -> None:
    with pytest.raises(errors.ChatError, match="no image"):
        await Uploader(client).upload(make_file("a.png", 2 * MIB), "image")


async def test_what_can_not_be_sent_is_refused_before_anything_is_asked(
    client: MaxClient, state: MaxState, tmp_path: Path
) -> None:
    uploader = Uploader(client)
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    cases: list[tuple[str, Any]] = [
        ("gone", errors.TargetMissing),
        ("empty", errors.UsageError),
        ("pipe", errors.TargetUnreadable),
        (".", errors.TargetUnreadable),
    ]
    for name, kind in cases:
        with pytest.raises(kind):
            await uploader.upload(tmp_path / name, "file", name="x")
    assert state.seen == []
