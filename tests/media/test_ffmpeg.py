"""One run of ffmpeg: what it tells, what it may open, and that nothing of it outlives its caller."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import shrink_samples as samples

from haulier.core.bitrate import AudioCodec, VideoCodec
from haulier.errors import EncoderFailed, MediaTooDemanding, MissingProgram, UsageError
from haulier.media.encoders import Encoders, check_options
from haulier.media.ffmpeg import Encoded, find_ffmpeg, input_of, run_ffmpeg

ENDLESS = ["-re", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=25", "-f", "null", "-"]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return samples.film(tmp_path_factory.mktemp("film") / "film.mp4", size="128x96")


async def run(arguments, tmp_path, **options):
    defaults = {"name": "clip.mp4", "cwd": tmp_path, "timeout_s": 30}
    return await run_ffmpeg(find_ffmpeg(), arguments, **{**defaults, **options})


async def test_it_tells_how_far_it_is_and_what_it_came_to(tmp_path, film):
    shares = []
    encoded = await run(
        [*input_of(film), "-c:v", "libx264", "-f", "null", "-"],
        tmp_path,
        on_progress=lambda so_far: shares.append(so_far.time_s),
    )
    assert isinstance(encoded, Encoded)
    assert encoded.frames == 90
    assert encoded.time_s == pytest.approx(3, abs=0.1)
    assert shares == sorted(shares)
    assert shares[-1] == encoded.time_s


async def test_its_last_words_are_told_without_inner_paths(tmp_path):
    broken = tmp_path / "inner" / "broken.mp4"
    broken.parent.mkdir()
    broken.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    with pytest.raises(EncoderFailed, match=r"clip\.mp4 can't be encoded") as caught:
        await run([*input_of(broken), "-f", "null", "-"], tmp_path)
    assert "broken.mp4" in caught.value.message
    assert "inner" not in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{other}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{other}'\n",
    ],
    ids=["playlist", "concat script"],
)
async def test_a_file_that_names_others_is_not_followed(tmp_path, film, text):
    other = tmp_path / "other.ts"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", film, "-c", "copy", other],
        check=True,
    )
    trap = tmp_path / "trap.mp4"
    trap.write_text(text.format(other=other))
    with pytest.raises(EncoderFailed):
        await run([*input_of(trap), "-f", "null", "-"], tmp_path)


async def test_a_name_that_looks_like_an_option_or_a_protocol_is_a_file(tmp_path, film):
    for name in ("-y.mp4", "concat:a|b.mp4"):
        (tmp_path / name).write_bytes((film).read_bytes())
        encoded = await run([*input_of(tmp_path / name), "-f", "null", "-"], tmp_path)
        assert encoded.frames == 90


def encoders_running(cwd: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            here = os.readlink(entry / "cwd")
        except OSError:
            continue
        if b"ffmpeg" in os.path.basename(words[0]) and here == str(cwd):
            found.append(entry.name)
    return found


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def test_what_takes_too_long_is_killed(tmp_path):
    with pytest.raises(MediaTooDemanding, match=r"longer than 0\.5 s"):
        await run(ENDLESS, tmp_path, timeout_s=0.5)
    assert encoders_running(tmp_path) == []


async def test_what_is_cancelled_is_killed(tmp_path):
    task = asyncio.create_task(run(ENDLESS, tmp_path))
    await until(lambda: encoders_running(tmp_path))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert encoders_running(tmp_path) == []


_DOOMED = """
import asyncio, sys
from pathlib import Path
from haulier.media.ffmpeg import find_ffmpeg, run_ffmpeg

asyncio.run(run_ffmpeg(find_ffmpeg(), sys.argv[2:], name="x", cwd=Path(sys.argv[1]), timeout_s=60))
"""


async def test_nothing_outlives_a_caller_that_is_killed(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", _DOOMED, str(tmp_path), *ENDLESS])
    try:
        await until(lambda: encoders_running(tmp_path))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    await until(lambda: not encoders_running(tmp_path))


async def test_memory_is_limited(tmp_path):
    with pytest.raises(EncoderFailed):
        await run(["-version"], tmp_path, memory_bytes=32 << 20)


# --- encoders


@pytest.mark.parametrize("codec", [*VideoCodec, *AudioCodec])
async def test_every_codec_is_there(codec):
    await Encoders(find_ffmpeg()).require(codec)


async def test_an_encoder_that_does_not_work_is_missing_and_tried_once(tmp_path):
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\necho tried >> {tmp_path}/log\nexit 1\n")
    program.chmod(0o755)
    encoders = Encoders(program)
    for _ in range(2):
        with pytest.raises(MissingProgram, match="can't encode h264 with libx264"):
            await encoders.require(VideoCodec.H264)
    assert (tmp_path / "log").read_text() == "tried\n"


def test_without_ffmpeg_the_packaged_one_is_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_ffmpeg()
    assert "imageio_ffmpeg" in str(found)
    assert subprocess.run([found, "-version"], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("codec", "options", "message"),
    [
        (VideoCodec.H264, {"vf": "movie=secret.mp4"}, "'vf' is no option of h264"),
        (VideoCodec.H264, {"tune": "film -i other"}, "tune can't be"),
        (VideoCodec.H264, {"bf": "17"}, "bf can't be '17'"),
        (VideoCodec.H264, {"bf": "٣"}, "bf can't be"),
        (VideoCodec.VP9, {"tune": "film"}, "'tune' is no option of vp9"),
    ],
)
def test_only_known_options_of_an_encoder_pass(codec, options, message):
    with pytest.raises(UsageError, match=message):
        check_options(codec, options)


def test_known_options_pass():
    check_options(VideoCodec.H264, {"tune": "film", "bf": "3", "profile:v": "main"})
