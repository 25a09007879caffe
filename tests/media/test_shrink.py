"""Films and sounds made to fit: never above the target, near it, whole, and nothing left behind."""

from __future__ import annotations

import asyncio
import hashlib
import os
from itertools import pairwise
from pathlib import Path

import av
import pytest
import pytest_asyncio
import shrink_samples as samples

from haulier.core.bitrate import AudioCodec, VideoCodec
from haulier.core.mime import MediaType
from haulier.errors import (
    DoesNotFit,
    MissingProgram,
    TargetMissing,
    UnreadableMedia,
    UnsupportedMedia,
    UsageError,
)
from haulier.media.compression import (
    CompressionManager,
    CompressionOptions,
    Outcome,
    parse_codec,
)
from haulier.media.encoders import Preset
from haulier.media.image_formats import ImageFormat
from haulier.media.isolation import Workers

pytestmark = pytest.mark.asyncio(loop_scope="module")
FAST = CompressionOptions(preset=Preset.FAST)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return samples.make_sources(tmp_path_factory.mktemp("films"))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers():
    async with Workers(count=1) as pool:
        yield pool


@pytest.fixture(scope="module")
def manager(workers):
    return CompressionManager(workers=workers, target_bytes=20 << 20)


def entries(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def streams(path: Path) -> dict[str, tuple]:
    """What a result holds, with each stream decoded to its end."""
    found = {}
    with av.open(str(path)) as container:
        for stream in container.streams:
            found[stream.type] = (stream.codec_context.codec.canonical_name, 0)
        for frame in container.decode():
            kind = "video" if isinstance(frame, av.VideoFrame) else "audio"
            found[kind] = (found[kind][0], found[kind][1] + 1)
            if kind == "video":
                found["size"] = (frame.width, frame.height)
                found["rotation"] = frame.rotation
        found["seconds"] = container.duration / av.time_base
    return found


def assert_lands(result, target: int) -> None:
    size_bytes = result.path.stat().st_size
    assert result.size_bytes == size_bytes
    assert 0.92 * target <= size_bytes <= target
    assert result.outcome is Outcome.COMPRESSED


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("noise.mp4", 150_000),
        ("noise.mp4", 600_000),
        ("tiny.mp4", 40_000),
        ("silent.mkv", 300_000),
        ("upright.mov", 200_000),
    ],
)
async def test_a_film_lands_just_below_the_target(sources, tmp_path, manager, name, target):
    path = sources / name
    before = hashlib.sha256(path.read_bytes()).digest()
    stages = []
    result = await manager.compress_file(
        path, target_bytes=target, out=tmp_path / "small", options=FAST,
        report=lambda stage, share: stages.append((stage, share)),
    )  # fmt: skip
    assert_lands(result, target)
    assert result.path == tmp_path / "small.mp4"
    assert entries(tmp_path) == {"small.mp4"}
    assert hashlib.sha256(path.read_bytes()).digest() == before
    was, now = streams(path), streams(result.path)
    assert now["video"] == ("h264", was["video"][1])
    assert now["size"] == was["size"] == (result.width, result.height)
    assert ("audio" in now) == ("audio" in was)
    assert now["seconds"] == pytest.approx(was["seconds"], abs=0.1)
    # Playing can begin while it loads.
    data = result.path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert stages[0][0] == "first pass"
    assert all(0 <= share <= 1 for _, share in stages)
    assert stages[-1][1] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("seconds", [1, 2])
async def test_a_film_of_few_frames_lands_too(tmp_path, manager, seconds):
    path = samples.film(tmp_path / "short.mp4", size="640x360", fps=25, seconds=seconds)
    for target in (60_000 * seconds, 200_000 * seconds):
        assert_lands(await manager.compress_file(path, target_bytes=target, options=FAST), target)


async def test_a_turned_film_comes_out_upright(sources, tmp_path, manager):
    result = await manager.compress_file(
        sources / "turned.mp4", target_bytes=300_000, out=tmp_path / "a.mp4", options=FAST
    )
    now = streams(result.path)
    assert now["size"] == (240, 320)
    assert not now["rotation"]


async def test_pixels_that_are_not_square_become_square(tmp_path, manager):
    path = samples.film(tmp_path / "wide.mp4", seconds=1, more=("-vf", "setsar=2"))
    result = await manager.compress_file(path, target_bytes=150_000, options=FAST)
    assert streams(result.path)["size"] == (640, 240)


async def test_frames_that_come_when_they_like_get_a_steady_rate(tmp_path, manager):
    path = tmp_path / "phone.mp4"
    wavering = ("-vf", "setpts='(N+0.4*mod(N,3))/25/TB'", "-fps_mode", "passthrough")
    samples.film(path, size="128x96", fps=25, more=wavering)
    result = await manager.compress_file(path, target_bytes=60_000, options=FAST)
    assert_lands(result, 60_000)
    with av.open(str(result.path)) as container:
        stream = container.streams.video[0]
        times = sorted(packet.pts for packet in container.demux(stream) if packet.size)
    steps = {after - before for before, after in pairwise(times)}
    assert len(steps) == 1
    assert streams(result.path)["seconds"] == pytest.approx(streams(path)["seconds"], abs=0.15)


async def test_colours_of_bright_screens_are_brought_into_range(tmp_path, manager):
    path = tmp_path / "bright.mkv"
    bright = ("-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p10le")
    bright += ("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc")
    samples.film(path, size="128x96", seconds=1, more=bright)
    result = await manager.compress_file(path, target_bytes=30_000, options=FAST)
    with av.open(str(result.path)) as container:
        context = container.streams.video[0].codec_context
    assert (context.pix_fmt, context.color_trc) == ("yuv420p", 1)


async def test_a_cover_is_no_film(tmp_path, manager, sources):
    path = tmp_path / "song.mp3"
    cover = ["-f", "lavfi", "-i", "color=red:s=64x64:d=0.04", "-map", "0", "-map", "1"]
    samples.make(
        path, "-i", str(sources / "music.wav"), *cover, "-frames:v", "1", "-c:v", "mjpeg",
        "-b:a", "256k", "-disposition:v", "attached_pic",
    )  # fmt: skip
    result = await manager.compress_file(path, target_bytes=200_000)
    assert (result.kind, result.path.name) == (MediaType.AUDIO, "song_compressed.ogg")


async def test_frames_and_lines_are_given_up_when_bits_are_few(tmp_path, manager):
    path = samples.film(tmp_path / "fast.mp4", size="640x360", fps=60, seconds=2)
    result = await manager.compress_file(path, target_bytes=80_000, options=FAST)
    assert_lands(result, 80_000)
    assert result.path == tmp_path / "fast_compressed.mp4"
    assert (result.width, result.height, result.fps) == (426, 240, 30)
    assert streams(result.path)["video"] == ("h264", 60)


async def test_a_film_that_would_be_spoilt_is_refused_and_what_fits_is_told(
    sources, tmp_path, manager
):
    path, out = sources / "noise.mp4", tmp_path / "small.mp4"
    with pytest.raises(DoesNotFit, match=r"noise\.mp4 lasts 3 s") as caught:
        await manager.compress_file(path, target_bytes=20_000, out=out, options=FAST)
    assert entries(tmp_path) == set()
    smallest = caught.value.smallest_bytes
    result = await manager.compress_file(path, target_bytes=smallest, out=out, options=FAST)
    assert_lands(result, smallest)


async def test_slides_land_too(tmp_path, manager):
    path = samples.film(
        tmp_path / "talk.mp4", pattern=samples.TALK, size="320x180", fps=25, seconds=5
    )
    result = await manager.compress_file(path, target_bytes=60_000, options=FAST)
    assert_lands(result, 60_000)
    assert streams(result.path)["video"] == ("h264", 125)
    result = await manager.compress_file(path, target_bytes=90_000, options=FAST)
    assert result.outcome is Outcome.VISUALLY_LOSSLESS
    assert result.corrections == 0


async def test_what_only_seems_to_stand_still_is_not_spoilt(tmp_path, manager):
    pattern = samples.SLIDES + ",noise=alls=3:allf=t"
    path = samples.film(tmp_path / "grain.mp4", pattern=pattern, fps=25)
    result = await manager.compress_file(path, target_bytes=40_000, options=FAST)
    assert 20_000 < result.size_bytes <= 40_000
    assert result.outcome is Outcome.COMPRESSED


async def test_what_is_as_good_as_its_source_stays_smaller(sources, tmp_path, manager):
    path = sources / "slides.mp4"
    target = path.stat().st_size - 1
    result = await manager.compress_file(
        path, target_bytes=target, out=tmp_path / "a.mp4", options=FAST
    )
    assert result.outcome is Outcome.VISUALLY_LOSSLESS
    assert result.size_bytes < 0.92 * target
    assert result.corrections <= 1


async def test_what_fits_is_copied(sources, tmp_path, manager):
    path = sources / "noise.mp4"
    result = await manager.compress_file(path, out=tmp_path / "small.mp4")
    assert result.outcome is Outcome.ALREADY_FITS
    assert result.path.read_bytes() == path.read_bytes()
    assert (result.compression_ratio, result.codec) == (1, None)


@pytest.mark.parametrize(
    ("codec", "suffix", "found"),
    [
        (VideoCodec.HEVC, ".mp4", ("hevc", "aac")),
        (VideoCodec.VP9, ".webm", ("vp9", "opus")),
        (VideoCodec.AV1, ".mp4", ("av1", "aac")),
    ],
)
async def test_other_codecs(sources, tmp_path, manager, codec, suffix, found):
    path = sources / "tiny.mp4"
    options = CompressionOptions(preset=Preset.FAST, codecs=(codec,))
    target = 50_000
    result = await manager.compress_file(
        path, target_bytes=target, out=tmp_path / "a.x", options=options
    )
    assert result.path == tmp_path / f"a{suffix}"
    assert result.size_bytes <= target
    now = streams(result.path)
    assert (now["video"], now["audio"][0]) == ((found[0], 45), found[1])


async def test_a_conversion_makes_no_file_larger(sources, tmp_path, manager):
    path = sources / "tiny.mp4"
    options = CompressionOptions(preset=Preset.FAST, codecs=(VideoCodec.VP9,))
    result = await manager.compress_file(path, out=tmp_path / "a.webm", options=options)
    assert streams(result.path)["video"][0] == "vp9"
    assert result.size_bytes <= path.stat().st_size


async def test_options_of_the_encoder_reach_it(sources, tmp_path, manager):
    options = CompressionOptions(
        preset=Preset.FAST, encoder_options={"profile:v": "baseline", "bf": "0"}
    )
    result = await manager.compress_file(
        sources / "tiny.mp4", target_bytes=50_000, out=tmp_path / "a.mp4", options=options
    )
    with av.open(str(result.path)) as container:
        assert container.streams.video[0].profile == "Constrained Baseline"


@pytest.mark.parametrize(
    ("codec", "target", "suffix"),
    [
        (None, 200_000, ".ogg"),
        (None, 80_000, ".ogg"),
        (AudioCodec.AAC, 200_000, ".m4a"),
        (AudioCodec.MP3, 200_000, ".mp3"),
    ],
)
async def test_sound_lands_just_below_the_target(sources, tmp_path, manager, codec, target, suffix):
    options = CompressionOptions(codecs=(codec,) if codec else ())
    result = await manager.compress_file(
        sources / "music.wav", target_bytes=target, out=tmp_path / "a", options=options
    )
    assert_lands(result, target)
    assert result.path.suffix == suffix
    now = streams(result.path)
    assert now["audio"][0].startswith(codec or "opus")
    assert now["seconds"] == pytest.approx(20, abs=0.2)


async def test_sound_that_can_not_be_told_from_its_source_stays_smaller(sources, tmp_path, manager):
    result = await manager.compress_file(
        sources / "music.wav", target_bytes=2_000_000, out=tmp_path / "a.ogg"
    )
    assert result.outcome is Outcome.VISUALLY_LOSSLESS
    assert result.size_bytes < 500_000


async def test_sound_that_would_be_spoilt_is_refused(sources, tmp_path, manager):
    with pytest.raises(DoesNotFit) as caught:
        await manager.compress_file(
            sources / "music.wav", target_bytes=30_000, out=tmp_path / "a.ogg"
        )
    result = await manager.compress_file(
        sources / "music.wav", target_bytes=caught.value.smallest_bytes, out=tmp_path / "a.ogg"
    )
    assert result.size_bytes <= caught.value.smallest_bytes


async def test_an_image_fits_too(tmp_path, manager):
    from PIL import Image

    path = tmp_path / "photo.png"
    Image.effect_noise((400, 300), 60).convert("RGB").save(path)
    result = await manager.compress_file(path, target_bytes=40_000)
    assert result.kind is MediaType.IMAGE
    assert result.size_bytes <= 40_000
    assert result.path == tmp_path / "photo_compressed.jpg"
    webp = CompressionOptions(codecs=(VideoCodec.VP9, ImageFormat.WEBP))
    result = await manager.compress_file(path, target_bytes=40_000, options=webp)
    assert result.path == tmp_path / "photo_compressed.webp"


# --- what goes wrong


async def test_an_ffmpeg_without_the_encoder_is_told(sources, tmp_path, workers):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho Unknown encoder >&2\nexit 1\n")
    program.chmod(0o755)
    manager = CompressionManager(workers=workers, target_bytes=50_000, ffmpeg=program)
    with pytest.raises(MissingProgram, match="can't encode h264 with libx264"):
        await manager.compress_file(sources / "tiny.mp4", out=tmp_path / "a.mp4")
    assert entries(tmp_path) == {"ffmpeg"}


async def test_simple_content_keeps_its_lines(tmp_path, manager):
    path = samples.film(
        tmp_path / "slides.avi", pattern=samples.SLIDES, size="640x360", seconds=5,
        more=("-c:v", "mjpeg", "-q:v", "1"),
    )  # fmt: skip
    result = await manager.compress_file(path, target_bytes=100_000, options=FAST)
    assert (result.width, result.height, result.fps) == (640, 360, 30)


async def test_what_lost_pixels_is_not_called_lossless(tmp_path, manager):
    pattern = samples.SLIDES + ",noise=alls=30:allf=t:enable='lt(t,0.3)'"
    path = samples.film(
        tmp_path / "slides.mp4", pattern=pattern, size="640x360", seconds=3, sound=False
    )
    result = await manager.compress_file(path, target_bytes=30_000, options=FAST)
    assert result.height < 360
    assert result.outcome is Outcome.COMPRESSED


async def test_short_films_that_come_in_bursts_land_too(tmp_path, manager):
    pattern = samples.NOISE + ",tpad=start_duration=1.5:start_mode=clone"
    path = samples.film(
        tmp_path / "burst.mp4", pattern=pattern, size="320x240", seconds=1, sound=False
    )
    result = await manager.compress_file(path, target_bytes=100_000, options=FAST)
    assert_lands(result, 100_000)


async def test_what_is_cancelled_leaves_nothing(sources, tmp_path, manager):
    begun = asyncio.Event()
    slow = CompressionOptions(preset=Preset.QUALITY, codecs=(VideoCodec.VP9,))
    task = asyncio.create_task(
        manager.compress_file(
            sources / "noise.mp4", target_bytes=600_000, out=tmp_path / "a.mp4", options=slow,
            report=lambda stage, _: begun.set() if stage == "encoding" else None,
        )
    )  # fmt: skip
    async with asyncio.timeout(60):
        await begun.wait()
    assert len(entries(tmp_path)) == 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert entries(tmp_path) == set()


async def test_a_film_that_is_cut_short_is_told_and_leaves_nothing(sources, tmp_path, manager):
    path = tmp_path / "cut.mkv"
    samples.make(path, "-i", str(sources / "noise.mp4"), "-c", "copy")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableMedia, match=r"cut\.mkv should last 3\.\d s"):
        await manager.compress_file(path, target_bytes=300_000, options=FAST)
    assert entries(tmp_path) == {"cut.mkv"}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", UnreadableMedia),
        (b"only text", UnsupportedMedia),
        (b"PK\3\4" + bytes(100), UnsupportedMedia),
        (b"#EXTM3U\n#EXTINF:3,\nnoise.mp4\n", UnsupportedMedia),
        (b"\0\0\0\x18ftypmp42" + bytes(100), UnreadableMedia),
        (b"ffconcat version 1.0\nfile noise.mp4\n", UnsupportedMedia),
        (None, TargetMissing),
    ],
)
async def test_what_is_no_media_is_refused(tmp_path, manager, content, error):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    before = entries(tmp_path)
    with pytest.raises(error, match=r"clip\.mp4"):
        await manager.compress_file(path, target_bytes=1000)
    assert entries(tmp_path) == before


async def test_the_source_is_never_the_result(sources, tmp_path, manager):
    path = tmp_path / "clip.mp4"
    path.write_bytes((sources / "noise.mp4").read_bytes())
    os.link(path, tmp_path / "same.mp4")
    for out in (path, tmp_path / "same.mp4", tmp_path / "clip.mov"):
        if out.suffix == ".mov":
            os.link(path, out)
        with pytest.raises(UsageError, match="would replace the file it is made from"):
            await manager.compress_file(path, target_bytes=300_000, out=out, options=FAST)
    assert path.read_bytes() == (sources / "noise.mp4").read_bytes()


async def test_no_more_files_at_once_than_allowed(sources, tmp_path, workers):
    manager = CompressionManager(workers=workers, target_bytes=50_000, max_concurrent=2)
    under_way, most = set(), []

    async def shrink(number):
        def report(*_):
            under_way.add(number)
            most.append(len(under_way))

        out = tmp_path / f"{number}.mp4"
        await manager.compress_file(sources / "tiny.mp4", out=out, options=FAST, report=report)
        under_way.discard(number)

    await asyncio.gather(*(shrink(number) for number in range(4)))
    assert max(most) == 2
    assert len(entries(tmp_path)) == 4


async def test_choices_that_make_no_sense(sources, manager):
    path = sources / "noise.mp4"
    with pytest.raises(UsageError, match="the target is 0 bytes"):
        await manager.compress_file(path, target_bytes=0)
    both = CompressionOptions(codecs=(VideoCodec.H264, VideoCodec.VP9))
    with pytest.raises(UsageError, match="can't both be had"):
        await manager.compress_file(path, options=both)
    with pytest.raises(UsageError, match="'xvid' is no codec"):
        parse_codec("xvid")
    with pytest.raises(UsageError, match="'hasty' is no preset"):
        CompressionManager(workers=None, target_bytes=1, ffmpeg_preset="hasty")
    assert parse_codec("AV1") is VideoCodec.AV1
