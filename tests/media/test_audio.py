"""What sound says of itself, how loud it is, and its waveform."""

from __future__ import annotations

import mutagen.flac
import numpy as np
import pytest
import pytest_asyncio
from PIL import Image
from video_samples import samples  # noqa: F401 - a fixture by name

from haulier.errors import UnreadableMedia, UnsupportedMedia, UsageError
from haulier.media.audio import (
    AudioTags,
    CoverArt,
    Loudness,
    cover_thumbnail,
    measure_loudness,
    read_tags,
    waveform_peaks,
    waveform_picture,
)
from haulier.media.image_formats import ImageFormat
from haulier.media.isolation import Workers
from haulier.media.sound_reading import Peaks

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALBUM = AudioTags(
    title="Lied ж", artists=("Ada",), album="Werk", album_artist="Alle", composer="Carl",
    genres=("Jazz",), date="2024-05-06", track=3, tracks=12, disc=1, discs=2, comment="leise",
    cover=None,
)  # fmt: skip


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers():
    async with Workers(count=1) as pool:
        yield pool


@pytest.mark.parametrize("kind", ["mp3", "m4a", "flac", "ogg", "aiff", "mka"])
async def test_tags_are_the_same_whatever_keeps_them(samples, workers, kind):  # noqa: F811
    assert await read_tags(samples(f"album.{kind}"), workers=workers) == ALBUM


async def test_several_artists(samples, workers, tmp_path):  # noqa: F811
    path = tmp_path / "a.flac"
    path.write_bytes(samples("tone.flac").read_bytes())
    file = mutagen.flac.FLAC(path)
    file["artist"] = ["Ada", "Bob"]
    file["tracknumber"] = ["x/y"]
    file.save()
    tags = await read_tags(path, workers=workers)
    assert (tags.artists, tags.track, tags.tracks) == (("Ada", "Bob"), None, None)


async def test_sound_without_tags(samples, workers):  # noqa: F811
    tags = await read_tags(samples("tone.wav"), workers=workers)
    assert (tags.title, tags.artists, tags.track, tags.cover) == (None, (), None, None)


async def test_damaged_tags_cost_no_more_than_themselves(samples, workers):  # noqa: F811
    path = samples.altered(
        "tagged.mp3", lambda data: data[:10] + b"\xff" * 30 + data[40:], "bad-tags.mp3"
    )
    assert (await read_tags(path, workers=workers)).album is None


@pytest.mark.parametrize("name", ["cover.mp3", "cover.m4a", "cover.flac"])
async def test_a_cover_is_told_and_made_smaller(samples, workers, tmp_path, name):  # noqa: F811
    tags = await read_tags(samples(name), workers=workers)
    assert (tags.title, tags.artists) == ("Song", ("Ada",))
    size_bytes = tags.cover.size_bytes
    assert tags.cover == CoverArt(
        mime_type="image/jpeg", width=64, height=48, size_bytes=size_bytes
    )
    made = await cover_thumbnail(samples(name), tmp_path / "a.png", workers=workers, max_side=32)
    assert (made.width, made.height) == (32, 24)
    with Image.open(made.path) as image:
        red, green, blue = image.getpixel((16, 12))
    assert red > 230
    assert max(green, blue) < 40


async def test_no_cover(samples, workers, tmp_path):  # noqa: F811
    with pytest.raises(UnsupportedMedia, match=r"tone\.wav has no cover picture"):
        await cover_thumbnail(samples("tone.wav"), tmp_path / "a.png", workers=workers)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["half.wav", "chapters.mkv", "album.mp3", "surround.m4a"])
async def test_a_waveform_has_as_many_points_as_asked_for(samples, workers, name):  # noqa: F811
    wave = await waveform_peaks(samples(name), points=100, workers=workers)
    assert len(wave.lows) == len(wave.highs) == len(wave.means) == 100
    assert wave.duration_s == pytest.approx(2, abs=0.1)
    for low, mean, high in zip(wave.lows, wave.means, wave.highs, strict=True):
        assert -1 <= low <= mean <= max(high, -low) <= 1


async def test_a_waveform_shows_when_it_is_loud(samples, workers):  # noqa: F811
    wave = await waveform_peaks(samples("half.wav"), points=10, workers=workers)
    assert wave.highs == pytest.approx([0] * 5 + [0.5] * 5, abs=0.01)
    assert wave.lows == pytest.approx([0] * 5 + [-0.5] * 5, abs=0.01)
    assert wave.means == pytest.approx([0] * 5 + [0.5 / 2**0.5] * 5, abs=0.03)


@pytest.mark.parametrize("points", [1, 7, 800, 5000])
async def test_the_loudest_sample_is_in_any_waveform(samples, workers, points):  # noqa: F811
    wave = await waveform_peaks(samples("tone.wav"), points=points, workers=workers)
    assert max(wave.highs) == pytest.approx(1 / 8, abs=1e-4)
    assert min(wave.lows) == pytest.approx(-1 / 8, abs=1e-4)


@pytest.mark.parametrize("frame", [1, 100, 255, 256, 257, 1152, 5000])
async def test_peaks_do_not_depend_on_how_sound_is_cut(frame):
    sound = np.random.default_rng(1).uniform(-1, 1, (2, 5000)).astype(np.float32)
    whole, pieces = Peaks(), Peaks()
    whole.add(sound)
    for at in range(0, 5000, frame):
        pieces.add(sound[:, at : at + frame])
    for ours, theirs in zip(pieces.at(20), whole.at(20), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    lows, highs, means = whole.at(1)
    assert (lows[0], highs[0]) == (sound.min(), sound.max())
    assert means[0] == pytest.approx(np.sqrt((sound**2).mean()), rel=0.02)


async def test_a_waveform_is_drawn(samples, workers, tmp_path):  # noqa: F811
    made = await waveform_picture(
        samples("half.wav"), tmp_path / "a.png", workers=workers, width_px=200, height_px=50,
        color="#ff0000",
    )  # fmt: skip
    assert (made.width, made.height, made.format) == (200, 50, ImageFormat.PNG)
    with Image.open(made.path) as image:
        alpha = np.asarray(image.getchannel("A")) / 255
        assert image.getpixel((150, 25)) == (255, 0, 0, 255)
    silent, loud = alpha[:, :98], alpha[:, 102:]
    assert (silent[[10, 20, 30, 40]] == 0).all()
    assert (silent[24:26] > 0.4).all()
    assert loud[1].mean() == pytest.approx(0.55, abs=0.1)
    assert (loud[15:35] == 1).all()


async def test_a_waveform_on_white(samples, workers, tmp_path):  # noqa: F811
    made = await waveform_picture(samples("tone.wav"), tmp_path / "a.jpg", workers=workers)
    assert (made.width, made.height) == (800, 160)
    with Image.open(made.path) as image:
        assert min(image.getpixel((400, 0))) > 60


async def test_silence_is_a_line(samples, workers, tmp_path):  # noqa: F811
    made = await waveform_picture(samples("silence.wav"), tmp_path / "a.png", workers=workers)
    with Image.open(made.path) as image:
        alpha = np.asarray(image.getchannel("A"))
    assert (alpha[80] > 0).all()
    assert (alpha[:75] == 0).all()


@pytest.mark.parametrize(
    ("name", "lufs", "range_lu", "peak_db"),
    [("ebu-1.wav", -23, 0, -23), ("ebu-3.wav", -23, 0, -23), ("ebu-range.wav", None, 10, -20)],
)
async def test_loudness_is_that_of_the_standard(samples, workers, name, lufs, range_lu, peak_db):  # noqa: F811
    found = await measure_loudness(samples(name), workers=workers)
    assert lufs is None or found.integrated_lufs == pytest.approx(lufs, abs=0.1)
    assert name == "ebu-3.wav" or found.range_lu == pytest.approx(range_lu, abs=1)
    assert found.true_peak_dbtp == pytest.approx(peak_db, abs=0.2)


async def test_silence_has_no_loudness(samples, workers):  # noqa: F811
    found = await measure_loudness(samples("silence.wav"), workers=workers)
    assert found == Loudness(integrated_lufs=None, range_lu=None, true_peak_dbtp=None)


async def test_a_blink_is_too_short_to_be_measured(samples, workers):  # noqa: F811
    with pytest.raises(UnreadableMedia, match=r"blink\.wav: too little"):
        await measure_loudness(samples("blink.wav"), workers=workers)


async def test_a_damaged_stretch_costs_itself_only(samples, workers):  # noqa: F811
    path = samples.altered(
        "tagged.mp3", lambda data: data[:6000] + b"\x55" * 2000 + data[8000:], "hole.mp3"
    )
    wave = await waveform_peaks(path, points=10, workers=workers)
    assert wave.duration_s > 1.5


async def test_video_without_sound(samples, workers, tmp_path):  # noqa: F811
    path = samples("card.webm")
    for call in (
        read_tags(path, workers=workers),
        waveform_peaks(path, workers=workers),
        measure_loudness(path, workers=workers),
        waveform_picture(path, tmp_path / "a.png", workers=workers),
    ):
        with pytest.raises(UnsupportedMedia, match=r"card\.webm has no sound"):
            await call


@pytest.mark.parametrize(
    "options", [{"width_px": 0}, {"height_px": 0}, {"quality": 0}, {"color": "red;"}]
)
async def test_pictures_that_make_no_sense(samples, workers, tmp_path, options):  # noqa: F811
    with pytest.raises(UsageError):
        await waveform_picture(samples("tone.wav"), tmp_path / "a.png", workers=workers, **options)


@pytest.mark.parametrize("points", [0, 100_001])
async def test_points_that_make_no_sense(samples, workers, points):  # noqa: F811
    with pytest.raises(UsageError):
        await waveform_peaks(samples("tone.wav"), workers=workers, points=points)
