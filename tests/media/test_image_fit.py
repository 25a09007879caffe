"""Images made to fit: never over, near the limit, as little changed as can be."""

from __future__ import annotations

import io

import image_samples as samples
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from image_samples import pictures  # noqa: F401 - pytest finds fixtures by name
from PIL import Image

from haulier.errors import DoesNotFit, MediaTooDemanding, UnsupportedMedia, UsageError
from haulier.media.image_fit import best_quality
from haulier.media.images import ImageFormat, ImageLimits, fit_image, inspect_image
from haulier.media.isolation import Workers


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers():
    async with Workers(count=1) as pool:
        yield pool


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    image = samples.noise()
    for suffix in (".jpg", ".webp", ".png", ".bmp"):
        options = {"quality": 95} if suffix in {".jpg", ".webp"} else {}
        image.save(folder / f"a{suffix}", exif=samples.exif(), icc_profile=samples.SRGB, **options)
    image.save(folder / "a.heic", "HEIF", quality=90)
    return folder


@given(
    sizes=st.lists(st.integers(1, 10_000), min_size=100, max_size=100).map(sorted),
    max_bytes=st.integers(1, 12_000),
    floor=st.integers(1, 92),
)
def test_a_search_finds_the_best_quality_that_fits_in_few_steps(sizes, max_bytes, floor):
    asked = []

    def encoded(quality: int) -> bytes:
        asked.append(quality)
        return bytes(sizes[quality])

    quality, data = best_quality(encoded, max_bytes=max_bytes, floor=floor, ceiling=92, near=1)
    fitting = [each for each in range(floor, 93) if sizes[each] <= max_bytes]
    assert len(data) == sizes[quality]
    if not fitting:
        assert quality == floor
    else:
        assert quality == fitting[-1] or sizes[quality] == max_bytes
    assert len(asked) == len(set(asked)) <= 30


def test_a_search_ends_when_it_is_near_enough():
    asked = []

    def encoded(quality: int) -> bytes:
        asked.append(quality)
        return bytes(round(1000 * 1.04**quality))

    limit = round(1000 * 1.04**66.5)
    quality, data = best_quality(encoded, max_bytes=limit, floor=30, ceiling=92)
    assert 0.97 * limit <= len(data) <= limit
    assert quality == 66
    assert len(asked) <= 5


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.png", "a.heic"])
@pytest.mark.parametrize("max_bytes", [8_000, 30_000, 60_000])
async def test_a_photograph_lands_just_below_the_limit(
    photographs, tmp_path, workers, name, max_bytes
):
    path = photographs / name
    before = path.read_bytes()
    made = await fit_image(path, tmp_path / name, max_bytes=max_bytes, workers=workers)
    assert path.read_bytes() == before
    assert 0.9 * max_bytes <= made.size_bytes <= max_bytes
    assert made.path.stat().st_size == made.size_bytes
    assert made.recompressed
    assert made.quality >= 50
    assert made.format == ("webp" if name == "a.webp" else "jpeg")
    assert made.path.suffix == (".webp" if name == "a.webp" else ".jpg")
    info = await inspect_image(made.path, workers=workers)
    assert (info.width, info.height) == (made.width, made.height)
    assert abs(info.width / info.height - 640 / 480) < 0.02
    assert not info.has_metadata
    assert not info.has_gps


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("image_format", ["avif", "png", "gif"])
async def test_the_format_may_be_named(photographs, tmp_path, workers, image_format):
    made = await fit_image(
        photographs / "a.jpg", tmp_path / "out", max_bytes=45_000, format=ImageFormat(image_format),
        workers=workers,
    )  # fmt: skip
    assert made.path == tmp_path / f"out.{image_format}"
    assert 0.7 * 45_000 <= made.size_bytes <= 45_000
    assert (await inspect_image(made.path, workers=workers)).format == image_format


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", list(samples.every_format()))
async def test_what_fits_already_is_copied(pictures, tmp_path, workers, name):  # noqa: F811
    path = pictures / name
    made = await fit_image(
        path, tmp_path / name, max_bytes=path.stat().st_size, max_width=samples.WIDTH,
        max_height=samples.HEIGHT, max_pixels=samples.WIDTH * samples.HEIGHT, workers=workers,
    )  # fmt: skip
    assert not made.recompressed
    assert made.quality is None
    assert made.path.read_bytes() == path.read_bytes()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("bound", "size"),
    [
        ({"max_width": 48}, (48, 32)),
        ({"max_height": 16}, (24, 16)),
        ({"max_width": 48, "max_height": 10}, (15, 10)),
        ({"max_pixels": 96 * 64 // 4}, (48, 32)),
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
async def test_pixels_are_bounded_as_the_picture_is_shown(
    tmp_path, workers, bound, size, orientation
):
    path = tmp_path / "a.jpg"
    path.write_bytes(samples.jpeg(orientation))
    made = await fit_image(path, tmp_path / "b.jpg", workers=workers, **bound)
    assert (made.width, made.height) == size
    with Image.open(made.path) as image:
        assert image.size == size
        assert samples.is_upright(image)
        assert image.info["icc_profile"] == samples.SRGB


@pytest.mark.asyncio(loop_scope="module")
async def test_a_drawing_stays_without_loss_where_that_fits(pictures, tmp_path, workers):  # noqa: F811
    path = pictures / "png.png"
    made = await fit_image(path, tmp_path / "a.png", max_width=90, max_bytes=5_000, workers=workers)
    assert (made.format, made.quality, made.path.suffix) == ("png", None, ".png")


@pytest.mark.asyncio(loop_scope="module")
async def test_transparency_is_kept(tmp_path, workers):
    path = tmp_path / "a.png"
    image = samples.noise().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(path)
    made = await fit_image(path, tmp_path / "b.png", max_bytes=20_000, workers=workers)
    assert (made.format, made.path.name) == ("webp", "b.webp")
    assert made.size_bytes <= 20_000
    with Image.open(made.path) as shown:
        assert shown.mode == "RGBA"
        assert shown.getpixel((5, 1))[3] < 20
        assert shown.getpixel((5, shown.height - 2))[3] > 235


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
async def test_a_moving_picture_keeps_every_frame(tmp_path, workers, suffix):
    path = tmp_path / f"a{suffix}"
    frames = [samples.noise((240, 160), seed=seed) for seed in range(6)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=70, loop=3)
    max_bytes = path.stat().st_size // 3
    made = await fit_image(path, tmp_path / "b", max_bytes=max_bytes, workers=workers)
    assert made.format == "webp"
    assert made.size_bytes <= max_bytes
    with Image.open(made.path) as image:
        assert (image.n_frames, image.info["loop"]) == (6, 3)
        for number in range(6):
            image.seek(number)
            image.load()
            assert image.info["duration"] == 70
    with pytest.raises(UnsupportedMedia, match="moves"):
        await fit_image(
            path, tmp_path / "c", max_bytes=max_bytes, format=ImageFormat.JPEG, workers=workers
        )


@pytest.mark.asyncio(loop_scope="module")
async def test_a_moving_gif_may_stay_one(tmp_path, workers):
    path = tmp_path / "a.gif"
    frames = samples.moving(6, alpha=True)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=70, disposal=2)
    made = await fit_image(path, tmp_path / "b.gif", max_width=48, workers=workers)
    assert (made.format, made.width, made.height) == ("gif", 48, 32)
    with Image.open(made.path) as image:
        assert image.n_frames == 6
        image.seek(5)
        shown = image.convert("RGBA")
        assert shown.getpixel((25, 27))[3] == 0
        # What moved on must not be left behind.
        assert samples.is_upright(shown)
        assert shown.getpixel((6, 14))[:2] != (255, 255)


@pytest.mark.asyncio(loop_scope="module")
async def test_what_can_not_fit_says_what_would(photographs, tmp_path, workers):
    path = photographs / "a.jpg"
    with pytest.raises(DoesNotFit, match=r"a\.jpg can't be made smaller"):
        await fit_image(path, tmp_path / "b.jpg", max_bytes=600, workers=workers)
    assert not list(tmp_path.iterdir())


def test_the_smallest_size_is_told_and_does_fit(photographs, tmp_path):
    from haulier.media import image_fit

    def fit(max_bytes: int) -> dict[str, object]:
        return image_fit.fit(
            str(photographs / "a.jpg"), str(tmp_path / "b.jpg"), "a.jpg", ImageLimits(),
            max_bytes=max_bytes, max_pixels=None, max_width=None, max_height=None, image_format=None,
            quality_floor=50,
        )  # fmt: skip

    with pytest.raises(DoesNotFit) as caught:
        fit(600)
    smallest = caught.value.smallest_bytes
    assert fit(smallest)["size_bytes"] <= smallest


@pytest.mark.asyncio(loop_scope="module")
async def test_a_smaller_picture_never_takes_more_bytes(tmp_path, workers):
    path = tmp_path / "a.jpg"
    samples.noise().save(path, quality=20)
    made = await fit_image(
        path, tmp_path / "b.jpg", max_width=600, max_bytes=1 << 20, workers=workers
    )
    assert made.size_bytes <= path.stat().st_size


@pytest.mark.asyncio(loop_scope="module")
async def test_limits_and_nonsense(pictures, photographs, tmp_path, workers):  # noqa: F811
    with pytest.raises(MediaTooDemanding):
        await fit_image(
            photographs / "a.jpg", tmp_path / "b", max_bytes=9_000, workers=workers,
            limits=ImageLimits(max_pixels=1_000),
        )  # fmt: skip
    with pytest.raises(UsageError, match="max_bytes can't be 0"):
        await fit_image(photographs / "a.jpg", tmp_path / "b", max_bytes=0, workers=workers)
    with pytest.raises(UnsupportedMedia, match="2 pages"):
        await fit_image(pictures / "tiff.tif", tmp_path / "b", max_width=20, workers=workers)


def test_the_samples_are_what_they_seem():
    with Image.open(io.BytesIO(samples.jpeg(6))) as image:
        assert image.size == (samples.HEIGHT, samples.WIDTH)
        assert not samples.is_upright(image)
