"""Pictures out of videos."""

from __future__ import annotations

import pytest
import pytest_asyncio
from PIL import Image
from video_samples import BLUE, GREEN, GREY, RED, samples  # noqa: F401 - a fixture by name

from haulier.errors import UnreadableMedia, UnsupportedMedia, UsageError
from haulier.media.image_formats import ImageFormat
from haulier.media.isolation import Workers
from haulier.media.videos import contact_sheet, video_thumbnail

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers():
    async with Workers(count=1) as pool:
        yield pool


@pytest.fixture
def thumbnail(samples, workers, tmp_path):  # noqa: F811 - the fixture of that name
    async def run(name, **options):
        return await video_thumbnail(
            samples(name), tmp_path / "out.png", workers=workers, **options
        )

    return run


def corners(path):
    """The colours of the four corners, row by row."""
    with Image.open(path) as image:
        right, bottom = image.width - 4, image.height - 4
        spots = ((3, 3), (right, 3), (3, bottom), (right, bottom))
        return [image.getpixel(spot)[:3] for spot in spots]


def are_close(found, wanted, off):
    pairs = zip(found, wanted, strict=True)
    return all(abs(a - b) <= off for got, want in pairs for a, b in zip(got, want, strict=True))


async def test_a_thumbnail_has_the_colours_of_the_video(thumbnail, tmp_path):
    made = await thumbnail("corners.mp4", max_side=96)
    assert (made.width, made.height, made.format) == (96, 64, ImageFormat.PNG)
    assert made.size_bytes == made.path.stat().st_size
    assert are_close(corners(made.path), [RED, GREEN, BLUE, GREY], 8)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.png"]


async def test_a_turned_video_stands_upright(thumbnail):
    made = await thumbnail("turned.mp4")
    assert (made.width, made.height) == (128, 192)
    assert are_close(corners(made.path), [GREEN, GREY, RED, BLUE], 8)


async def test_pixels_that_are_no_squares_are_widened(thumbnail):
    made = await thumbnail("anamorphic.mp4")
    assert (made.width, made.height) == (256, 128)


async def test_nothing_is_enlarged(thumbnail):
    made = await thumbnail("corners.mp4", max_side=4000)
    assert (made.width, made.height) == (192, 128)


async def test_high_dynamic_range_is_mapped_to_ordinary_screens(thumbnail):
    made = await thumbnail("corners-hdr10.mp4")
    # Untouched, its grey would be 108 and its red 125, 79, 62.
    assert are_close(corners(made.path), [RED, GREEN, BLUE, GREY], 25)


@pytest.mark.parametrize(
    "name", ["card.mp4", "chapters.mkv", "card.ts", "card.webm", "bare.h264", "fragmented.mp4"]
)
async def test_a_moment_is_met_to_the_frame(thumbnail, name):
    made = await thumbnail(name, at_s=1.3)
    assert made.at_s == pytest.approx(1.28, abs=0.041)


async def test_the_frame_of_a_moment_is_the_one_that_is_shown_then(samples, thumbnail):  # noqa: F811
    black = await thumbnail("late-start.mp4", at_s=1.99)
    assert are_close(corners(black.path), [(0, 0, 0)] * 4, 2)
    card = await thumbnail("late-start.mp4", at_s=2.0)
    assert not are_close(corners(card.path), [(0, 0, 0)] * 4, 60)


async def test_the_last_moment_has_a_picture(thumbnail):
    assert (await thumbnail("card.mp4", at_s=2)).at_s == pytest.approx(1.96)


async def test_a_moment_behind_the_end_is_told(thumbnail):
    with pytest.raises(UsageError, match=r"card\.mp4 lasts 2\.0 s, and has no picture at 12\.5 s"):
        await thumbnail("card.mp4", at_s=12.5)


@pytest.mark.parametrize("name", ["late-start.mp4", "one-key-frame.mp4"])
async def test_the_best_is_not_black(thumbnail, name):
    assert (await thumbnail(name)).at_s >= 2


async def test_the_best_is_not_blurred(thumbnail):
    assert (await thumbnail("blurred.mp4")).at_s >= 2


async def test_the_first_key_frame_is_taken_where_one_is_asked_for(thumbnail):
    assert (await thumbnail("blurred.mp4", best_of=1)).at_s < 0.5


async def test_a_video_that_shows_nothing_still_has_a_picture(thumbnail):
    made = await thumbnail("black.mp4")
    assert are_close(corners(made.path), [(0, 0, 0)] * 4, 2)


async def test_a_sheet_has_evenly_spaced_moments(samples, workers, tmp_path):  # noqa: F811
    made = await contact_sheet(
        samples("corners.mp4"), tmp_path / "a.png", workers=workers, columns=2, rows=3, max_side=96
    )
    assert (made.width, made.height) == (2 * (96 + 8) + 8, 3 * (64 + 8) + 8)
    assert made.moments_s == pytest.approx([(n + 0.5) * 4 / 6 for n in range(6)], abs=0.34)
    with Image.open(made.path) as sheet:
        for left in (8, 112):
            for top in (8, 80, 152):
                assert are_close([sheet.getpixel((left + 10, top + 10))], [RED], 8)
                assert are_close([sheet.getpixel((left + 90, top + 10))], [GREEN], 8)
        assert sheet.getpixel((104 + 3, 20)) == (24, 24, 24)


async def test_a_sheet_of_one_key_frame_shows_different_pictures(samples, workers, tmp_path):  # noqa: F811
    made = await contact_sheet(
        samples("one-key-frame.mp4"), tmp_path / "a.jpg", workers=workers, columns=4, rows=2
    )
    assert len(set(made.moments_s)) == 8
    assert made.format is ImageFormat.JPEG


async def test_a_video_cut_short_has_a_picture(samples, workers, tmp_path):  # noqa: F811
    path = samples.cut("card.mp4", 60_000)
    made = await video_thumbnail(path, tmp_path / "a.png", workers=workers)
    assert made.width == 320


async def test_a_video_without_any_picture_is_damaged(samples, workers, tmp_path):  # noqa: F811
    path = samples.altered("card.mp4", lambda data: data[: data.index(b"mdat") + 4], "none.mp4")
    with pytest.raises(UnreadableMedia, match=r"none\.mp4: none of its pictures can be decoded"):
        await video_thumbnail(path, tmp_path / "a.png", workers=workers)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["tone.wav", "cover.mp3"])
async def test_sound_has_no_picture(thumbnail, name):
    with pytest.raises(UnsupportedMedia, match="has no video") as raised:
        await thumbnail(name)
    assert "waveform" in raised.value.hint


async def test_a_bare_stream_has_no_sheet(samples, workers, tmp_path):  # noqa: F811
    with pytest.raises(UnsupportedMedia, match="how long it lasts"):
        await contact_sheet(samples("bare.h264"), tmp_path / "a.jpg", workers=workers)


@pytest.mark.parametrize(
    "options",
    [
        {"at_s": -1.0},
        {"at_s": float("nan")},
        {"best_of": 0},
        {"best_of": 51},
        {"max_side": 0},
        {"quality": 101},
    ],
)
async def test_numbers_that_make_no_sense(thumbnail, options):
    with pytest.raises(UsageError):
        await thumbnail("card.mp4", **options)


@pytest.mark.parametrize(("columns", "rows"), [(0, 3), (3, 0), (21, 20)])
async def test_sheets_that_make_no_sense(samples, workers, tmp_path, columns, rows):  # noqa: F811
    with pytest.raises(UsageError):
        await contact_sheet(
            samples("card.mp4"), tmp_path / "a.jpg", workers=workers, columns=columns, rows=rows
        )


async def test_the_video_itself_is_never_replaced(samples, workers, tmp_path):  # noqa: F811
    path = tmp_path / "video.jpg"
    path.write_bytes(samples("card.mp4").read_bytes())
    with pytest.raises(UsageError, match="would replace"):
        await video_thumbnail(path, path, workers=workers)
