"""What files of video and sound are said to be."""

from __future__ import annotations

import json
import struct
import subprocess
from dataclasses import asdict

import av
import pytest
import pytest_asyncio
from video_samples import claiming_side, lasting, samples  # noqa: F401 - a fixture by name

from haulier.errors import MediaTooDemanding, TargetMissing, UnreadableMedia, UnsupportedMedia
from haulier.media.isolation import Workers
from haulier.media.probe import Chapter, Hdr, SubtitleStream, probe_media

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers():
    async with Workers(count=1) as pool:
        yield pool


@pytest.fixture
def probe(samples, workers):  # noqa: F811 - the fixture of that name
    async def run(name, **options):
        return await probe_media(samples(name), workers=workers, **options)

    return run


async def test_a_video_with_sound(probe, samples):  # noqa: F811
    found = await probe("card.mp4")
    size_bytes = samples("card.mp4").stat().st_size
    assert (found.container, found.size_bytes) == ("mp4", size_bytes)
    assert found.duration_s == pytest.approx(2, abs=0.05)
    assert found.bit_rate == round(size_bytes * 8 / found.duration_s)
    assert not found.duration_estimated
    assert found.tags["title"] == "Hi ж"
    video = found.video
    assert (video.codec, video.profile, video.pixel_format, video.bit_depth) == (
        "h264", "Constrained Baseline", "yuv420p", 8,
    )  # fmt: skip
    assert (video.width, video.height, video.coded_width, video.coded_height) == (320, 180) * 2
    assert (video.rotation, video.sample_aspect_ratio, video.hdr) == (0, 1, Hdr.NONE)
    assert video.display_aspect_ratio == pytest.approx(16 / 9)
    assert (video.fps, video.fps_min, video.fps_max) == pytest.approx((25, 25, 25))
    assert not video.variable_frame_rate
    assert video.bit_rate > 100_000
    (audio,) = found.audio
    assert (audio.codec, audio.profile, audio.channels, audio.layout) == ("aac", "LC", 1, "mono")
    assert (audio.sample_rate, audio.bits_per_sample) == (44_100, None)
    assert audio.language == "deu"


@pytest.mark.parametrize(
    ("name", "container", "codec"),
    [
        ("fragmented.mp4", "mp4", "h264"),
        ("card.ts", "mpegts", "h264"),
        ("card.webm", "matroska", "vp8"),
        ("bare.h264", "h264", "h264"),
    ],
)
async def test_containers(probe, name, container, codec):
    found = await probe(name)
    assert (found.container, found.video.codec) == (container, codec)
    assert found.duration_s == pytest.approx(2, abs=0.05)
    assert found.video.fps == pytest.approx(25, abs=0.5)
    assert not found.video.variable_frame_rate


@pytest.mark.parametrize(
    ("name", "faststart"),
    [("card.mp4", True), ("late-index.mp4", False), ("card.ts", None)],
)
async def test_where_the_index_stands(probe, name, faststart):
    assert (await probe(name)).faststart is faststart


async def test_a_turned_video_is_measured_as_it_is_shown(probe):
    video = (await probe("turned.mp4")).video
    assert (video.width, video.height, video.rotation) == (128, 192, 270)
    assert (video.coded_width, video.coded_height) == (192, 128)


async def test_pixels_that_are_no_squares(probe):
    video = (await probe("anamorphic.mp4")).video
    assert (video.width, video.height, video.coded_width) == (256, 128, 192)
    assert video.sample_aspect_ratio == pytest.approx(4 / 3)
    assert video.display_aspect_ratio == 2


async def test_a_variable_frame_rate_is_told(probe):
    video = (await probe("variable.mp4")).video
    assert video.variable_frame_rate
    assert video.fps_min < 10 < video.fps < video.fps_max == pytest.approx(25)


@pytest.mark.parametrize(("name", "hdr"), [("hdr10.mp4", Hdr.HDR10), ("hlg.mkv", Hdr.HLG)])
async def test_high_dynamic_range_is_told(probe, name, hdr):
    video = (await probe(name)).video
    assert (video.hdr, video.bit_depth, video.profile) == (hdr, 10, "Main 10")


async def test_dolby_vision_is_told_by_its_configuration(samples, workers):  # noqa: F811
    # Profile 8.4: what older players take for HLG.
    config = struct.pack(">BBHI", 1, 0, 8 << 9 | 1 << 3 | 0b101, 4 << 28) + bytes(16)
    path = samples.altered("hdr10.mp4", lambda data: with_box(data, b"dvvC" + config), "dv.mp4")
    assert (await probe_media(path, workers=workers)).video.hdr is Hdr.DOLBY_VISION


def with_box(data, box):
    """Put a box at the end of the video's description, which the sizes of its parents count."""
    box = struct.pack(">I", len(box) + 4) + box
    end = data.index(b"hvc1", data.index(b"stsd")) - 4
    end += struct.unpack_from(">I", data, end)[0]
    grown = bytearray(data[:end] + box + data[end:])
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hvc1"):
        at = data.index(name, data.index(b"moov")) - 4
        struct.pack_into(">I", grown, at, struct.unpack_from(">I", data, at)[0] + len(box))
    return bytes(grown)


async def test_chapters_and_subtitles(probe):
    found = await probe("chapters.mkv")
    assert found.chapters == (
        Chapter(start_s=0, end_s=1, title="One"),
        Chapter(start_s=1, end_s=2, title=None),
    )
    assert found.subtitles == (SubtitleStream(codec="subrip", language="rus", title=None),)
    assert found.audio[0].title == "Ton"
    assert found.tags["title"] == "Chapters ж"


@pytest.mark.parametrize(
    ("name", "container", "codec", "bits"),
    [
        ("tone.wav", "wav", "pcm_s16le", 16),
        ("tone.flac", "flac", "flac", 24),
        ("tone.ogg", "ogg", "vorbis", None),
        ("tone.opus", "ogg", "opus", None),
        ("tone.m4a", "mp4", "aac", None),
        ("tagged.mp3", "mp3", "mp3", None),
    ],
)
async def test_sound(probe, name, container, codec, bits):
    found = await probe(name)
    (audio,) = found.audio
    assert (found.container, found.video, audio.codec) == (container, None, codec)
    assert audio.bits_per_sample == bits
    assert found.duration_s == pytest.approx(2, abs=0.06)
    assert not found.duration_estimated
    assert not found.cover_art


@pytest.mark.parametrize("name", ["tone.ogg", "tone.opus", "tone.m4a"])
async def test_tags_are_found_wherever_they_stand(probe, name):
    assert (await probe(name)).tags["title"] == "Ton ж"


async def test_channels_have_places(probe):
    (audio,) = (await probe("surround.m4a")).audio
    assert (audio.channels, audio.layout) == (6, "5.1")


async def test_a_cover_is_no_video(probe):
    found = await probe("cover.mp3")
    assert (found.video, found.cover_art, found.tags["artist"]) == (None, True, "Ada")


@pytest.mark.parametrize(("name", "true_s", "off_s"), [("plain.mp3", 20, 5), ("tone.aac", 2, 0.01)])
async def test_a_guessed_duration_is_told_as_one(probe, name, true_s, off_s):
    guess = await probe(name)
    assert guess.duration_estimated
    assert abs(guess.duration_s - true_s) > off_s
    exact = await probe(name, exact=True)
    assert not exact.duration_estimated
    assert exact.duration_s == pytest.approx(true_s, abs=0.1)
    assert exact.audio[0].bit_rate == pytest.approx(exact.bit_rate, rel=0.05)


async def test_a_video_without_times_has_the_length_of_its_frames(probe):
    found = await probe("bare.h264")
    assert (found.duration_s, found.duration_estimated) == (2, True)


@pytest.mark.parametrize("claim_s", [1e15, float("nan"), float("inf"), -5.0])
async def test_an_absurd_duration_is_not_believed(samples, workers, claim_s):  # noqa: F811
    path = samples.altered("card.webm", lambda data: lasting(data, claim_s * 1000), "long.webm")
    assert (await probe_media(path, workers=workers)).duration_s == pytest.approx(2, abs=0.05)


async def test_absurdly_many_pixels_are_refused(samples, workers):  # noqa: F811
    path = samples.altered("square.webm", lambda data: claiming_side(data, 12_000), "wide.webm")
    with pytest.raises(MediaTooDemanding, match=r"wide\.webm claims frames of 12000 x 12000"):
        await probe_media(path, workers=workers)


async def test_absurdly_many_streams_are_refused(probe):
    with pytest.raises(MediaTooDemanding, match=r"many\.mkv has more than 256 streams"):
        await probe("many.mkv")


async def test_an_index_without_data_tells_no_duration(samples, workers):  # noqa: F811
    path = samples.altered(
        "fragmented.mp4", lambda data: data[: data.index(b"moof") - 4], "init.mp4"
    )
    found = await probe_media(path, workers=workers)
    assert (found.duration_s, found.bit_rate, found.video.fps) == (None, None, None)
    assert found.duration_estimated


@pytest.mark.parametrize(("name", "kept"), [("card.mp4", 30_000), ("card.ts", 20_000)])
async def test_what_is_cut_short_still_tells_what_it_is(samples, workers, name, kept):  # noqa: F811
    found = await probe_media(samples.cut(name, kept), workers=workers)
    assert (found.video.codec, found.video.width) == ("h264", 320)


@pytest.mark.parametrize(
    ("name", "data", "error", "words"),
    [
        ("noise.mp4", b"\x00\x01noise" * 500, UnreadableMedia, "can't be read"),
        ("empty.mp4", b"", UnreadableMedia, "is empty"),
        ("text.mp4", b"hello world\n" * 50, UnreadableMedia, "can't be read"),
    ],
)
async def test_what_is_no_media(tmp_path, workers, name, data, error, words):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(error, match=words) as raised:
        await probe_media(path, workers=workers)
    assert str(tmp_path) not in raised.value.message


async def test_an_index_that_was_cut_off_is_damage(samples, workers):  # noqa: F811
    with pytest.raises(UnreadableMedia, match=r"late-index\.mp4 can't be read"):
        await probe_media(samples.cut("late-index.mp4", 30_000), workers=workers)


async def test_subtitles_alone_are_no_media(samples, workers, tmp_path):  # noqa: F811
    path = tmp_path / "words.mkv"
    samples("card.mp4")
    command = ["ffmpeg", "-loglevel", "error", "-i", samples.folder / "words.srt", path]
    subprocess.run(command, check=True)
    with pytest.raises(UnsupportedMedia, match="neither video nor sound"):
        await probe_media(path, workers=workers)


async def test_a_missing_file(tmp_path, workers):
    with pytest.raises(TargetMissing):
        await probe_media(tmp_path / "none.mp4", workers=workers)


async def test_a_playlist_opens_no_other_file(samples, workers):  # noqa: F811
    path = samples.altered("list.m3u8", bytes, "playlist.mp4")
    plain = subprocess.run(["ffprobe", "-v", "error", "-show_format", path], capture_output=True)
    assert b"format_name=hls" in plain.stdout
    with pytest.raises(UnreadableMedia, match=r"playlist\.mp4 can't be read"):
        await probe_media(path, workers=workers)


async def test_a_concat_script_opens_no_other_file(samples, workers):  # noqa: F811
    samples("card.mp4")
    path = samples.folder / "script.mp4"
    path.write_text("ffconcat version 1.0\nfile card.mp4\n")
    with av.open(path) as plain:
        assert plain.format.name == "concat"
        assert plain.streams.video
    with pytest.raises(UnreadableMedia, match=r"script\.mp4 can't be read"):
        await probe_media(path, workers=workers)


async def test_a_probe_is_plain_data(probe):
    told = json.dumps(asdict(await probe("chapters.mkv")))
    assert json.loads(told)["video"]["hdr"] == "none"
