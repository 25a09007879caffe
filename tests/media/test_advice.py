"""Advice on recordings: what they are, what should become Opus, and estimates that hold."""

from __future__ import annotations

import pytest
import pytest_asyncio
import shrink_samples as samples

from haulier.errors import UnreadableMedia, UnsupportedMedia, UsageError
from haulier.media.advice import LEAST_BYTES, AudioFormat, CompressionStrategy
from haulier.media.isolation import Workers

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    samples.sound(folder / "music.wav", seconds=30)
    return folder


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers():
    async with Workers(count=1) as pool:
        yield pool


@pytest.fixture(scope="module")
def strategy(workers):
    return CompressionStrategy(workers=workers, least_bytes=1000)


@pytest.mark.parametrize(
    ("name", "options", "expected", "is_compressed"),
    [
        ("a.wav", [], AudioFormat.WAV, False),
        ("a.aiff", [], AudioFormat.AIFF, False),
        ("a.flac", [], AudioFormat.FLAC, True),
        ("a.mp3", [], AudioFormat.MP3, True),
        ("a.aac", [], AudioFormat.AAC, True),
        ("a.m4a", [], AudioFormat.M4A, True),
        ("a.opus", [], AudioFormat.OPUS, True),
        ("a.ogg", ["-c:a", "libvorbis"], AudioFormat.OGG, True),
        ("inner.wav", ["-c:a", "adpcm_ms"], AudioFormat.WAV, True),
    ],
)
async def test_formats_are_told_by_content(
    folder, tmp_path, strategy, name, options, expected, is_compressed
):
    made = samples.make(
        tmp_path / name, "-i", str(folder / "music.wav"), "-t", "2", "-ac", "1", *options
    )
    path = made.rename(tmp_path / "recording.bin")
    analysis = await strategy.analyze_file(path)
    assert (analysis.format, analysis.is_compressed) == (expected, is_compressed)
    assert analysis.duration_s == pytest.approx(2, abs=0.1)
    assert (analysis.channels, analysis.size_bytes) == (1, path.stat().st_size)
    if is_compressed:
        recommended = await strategy.recommend_compression(analysis)
        assert recommended.recommended_format is expected
        assert recommended.reason == f"{expected} is compressed already"
        assert (recommended.compression_ratio, recommended.bandwidth_saved) == (1, 0)


SILENT_HALF = "volume=0:enable='lt(mod(t,40),20)'"


@pytest.mark.parametrize(
    ("pattern", "seconds", "options"),
    [
        ("sine=440:r=48000", 90, ["-ac", "2"]),
        ("anoisesrc=a=0.4:r=44100", 90, ["-ac", "1"]),
        ("anoisesrc=a=0.4:r=48000", 200, ["-ac", "2", "-af", SILENT_HALF]),
        ("anullsrc=r=44100:cl=mono", 90, []),
        ("anoisesrc=a=0.4:c=pink:r=48000", 7, ["-ac", "2"]),
    ],
    ids=["tone", "noise", "with pauses", "silence", "short"],
)
async def test_the_encoder_makes_what_was_estimated(tmp_path, strategy, pattern, seconds, options):
    path = tmp_path / "recording.wav"
    samples.make(path, "-f", "lavfi", "-i", pattern, "-t", str(seconds), *options)
    analysis = await strategy.analyze_file(path)
    recommended = await strategy.recommend_compression(analysis)
    assert recommended.recommended_format is AudioFormat.OPUS
    made = await strategy.encode(analysis, tmp_path / "recording.ogg")
    assert recommended.estimated_size == pytest.approx(made, rel=0.15)
    assert recommended.compression_ratio == recommended.estimated_size / path.stat().st_size
    assert recommended.bandwidth_saved == path.stat().st_size - recommended.estimated_size
    assert recommended.estimated_time_minutes > 0
    assert (await strategy.analyze_file(tmp_path / "recording.ogg")).duration_s == pytest.approx(
        seconds, abs=0.1
    )


async def test_the_time_is_told_by_what_pieces_take(tmp_path, workers):
    path = tmp_path / "recording.wav"
    samples.make(path, "-f", "lavfi", "-i", "sine=440:r=8000", "-t", "120", "-ac", "1")
    # One second to start, and one and six for the 60 s of pieces: half of the recording.
    moments = iter([100.0, 101.0, 200.0, 207.0])
    strategy = CompressionStrategy(workers=workers, least_bytes=1000, clock=lambda: next(moments))
    recommended = await strategy.recommend_compression(await strategy.analyze_file(path))
    assert recommended.estimated_time_minutes == pytest.approx((1 + 2 * 6) / 60)


async def test_from_50_mb_up_unless_told_otherwise(folder, workers, tmp_path):
    strategy = CompressionStrategy(workers=workers)
    assert LEAST_BYTES == 50 << 20
    assert await strategy.get_compression_ratio(folder / "music.wav") == 1
    path = tmp_path / "long.wav"
    samples.make(path, "-f", "lavfi", "-i", "sine=440:r=48000", "-t", "280", "-ac", "2")
    assert path.stat().st_size >= LEAST_BYTES
    assert 0.01 < await strategy.get_compression_ratio(path) < 0.15


async def test_what_is_no_recording_is_told(tmp_path, folder, strategy):
    text = tmp_path / "a.wav"
    text.write_bytes(b"RIFF only a name")
    with pytest.raises(UnreadableMedia, match=r"a\.wav"):
        await strategy.analyze_file(text)
    film = samples.film(tmp_path / "clip.mp4", size="64x64", seconds=1)
    with pytest.raises(UnsupportedMedia, match=r"clip\.mp4 is no recording: mp4 with video"):
        await strategy.analyze_file(film)
    analysis = await strategy.analyze_file(folder / "music.wav")
    with pytest.raises(UsageError, match="would replace the file it is made from"):
        await strategy.encode(analysis, folder / "music.wav")
