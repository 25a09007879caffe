"""Images: what they are, whether they are whole, thumbnails, conversion."""

from __future__ import annotations

import asyncio
import hashlib
import random
import struct
from pathlib import Path

import image_samples as samples
import pytest
import pytest_asyncio
from image_samples import pictures  # noqa: F401 - pytest finds fixtures by name
from PIL import Image

from haulier.errors import (
    HaulierError,
    MediaTooDemanding,
    TargetMissing,
    TargetUnreadable,
    UnreadableMedia,
    UnsupportedMedia,
    UsageError,
)  # fmt: skip
from haulier.media.image_formats import with_ending_of
from haulier.media.images import (
    ImageFormat,
    ImageLimits,
    convert_image,
    inspect_image,
    make_thumbnail,
    strip_metadata,
    validate_image,
)  # fmt: skip
from haulier.media.isolation import Workers

pytestmark = pytest.mark.asyncio(loop_scope="module")
EVERY = list(samples.every_format())
SIZE = (samples.WIDTH, samples.HEIGHT)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers():
    async with Workers(count=1) as pool:
        yield pool


@pytest.mark.parametrize("name", EVERY)
async def test_a_header_tells_what_an_image_is(pictures, workers, name):  # noqa: F811
    path = pictures / name
    info = await inspect_image(path, workers=workers)
    expected_format = path.stem if path.stem in list(ImageFormat) else path.suffix[1:]
    assert info.format == expected_format
    assert info.mime_type.endswith("icon" if name == "ico.ico" else expected_format)
    assert (info.width, info.height) == SIZE
    assert info.frames == {"gif.gif": 5, "moving.webp": 5, "tiff.tif": 2}.get(name, 1)
    assert info.has_alpha == (name in {"alpha.png", "moving.webp"})
    assert info.has_metadata == (name not in {"bmp.bmp", "ico.ico"})
    assert info.has_gps == (name not in {"bmp.bmp", "ico.ico", "gif.gif"})
    assert info.size_bytes == path.stat().st_size
    if name not in {"bmp.bmp", "ico.ico", "gif.gif"}:
        assert "sRGB" in info.icc_name
    assert await validate_image(path, workers=workers) == info


async def test_a_caption_alone_is_metadata(tmp_path, workers):
    path = tmp_path / "a.jpg"
    data = samples.jpeg()
    begin = data.index(b"\xff\xed")
    end = begin + 2 + struct.unpack_from(">H", data, begin + 2)[0]
    plain = tmp_path / "plain.jpg"
    samples.upright().save(plain)
    assert not (await inspect_image(plain, workers=workers)).has_metadata
    path.write_bytes(b"\xff\xd8" + data[begin:end] + plain.read_bytes()[2:])
    assert (await inspect_image(path, workers=workers)).has_metadata


@pytest.mark.parametrize(
    ("suffix", "orientation"),
    [
        *((".jpg", number) for number in range(1, 9)),
        *((each, n) for each in (".png", ".webp", ".avif", ".heic", ".tif") for n in (3, 6, 7)),
    ],
)
async def test_a_turned_picture_comes_out_upright(tmp_path, workers, suffix, orientation):
    path, out = tmp_path / f"turned{suffix}", tmp_path / "out.png"
    path.write_bytes(samples.turned_file(suffix, orientation))
    info = await inspect_image(path, workers=workers)
    assert (info.width, info.height) == SIZE
    # The decoders of these two turn pixels themselves.
    assert info.orientation == (1 if suffix in {".heic", ".tif"} else orientation)
    made = await make_thumbnail(path, out, size=(48, 48), workers=workers)
    with Image.open(out) as image:
        assert image.size == (48, 32) == (made.width, made.height)
        assert samples.is_upright(image)
    await convert_image(path, out, workers=workers)
    with Image.open(out) as image:
        assert image.size == SIZE
        assert samples.is_upright(image)
        assert 0x0112 not in image.getexif()
    bare = tmp_path / f"bare{suffix}"
    await strip_metadata(path, bare, workers=workers)
    assert (await inspect_image(bare, workers=workers)).orientation == info.orientation
    assert not (await inspect_image(bare, workers=workers)).has_gps
    await make_thumbnail(bare, out, workers=workers)
    with Image.open(out) as image:
        assert samples.is_upright(image)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
async def test_a_thumbnail_is_small_upright_and_bare(pictures, tmp_path, workers, name, suffix):  # noqa: F811
    path, out = pictures / name, tmp_path / f"out{suffix}"
    before = path.read_bytes()
    made = await make_thumbnail(path, out, size=(30, 30), workers=workers)
    assert path.read_bytes() == before
    assert made.size_bytes == out.stat().st_size
    assert [entry.name for entry in tmp_path.iterdir()] == [out.name]
    assert samples.SECRET not in out.read_bytes()
    with Image.open(out) as image:
        assert image.size == (30, 20)
        assert getattr(image, "n_frames", 1) == 1
        assert not image.getexif()
        assert "icc_profile" not in image.info
        assert samples.is_upright(image)


async def test_a_thumbnail_is_never_larger_than_the_image(pictures, tmp_path, workers):  # noqa: F811
    made = await make_thumbnail(
        pictures / "png.png", tmp_path / "t.jpg", size=(5000, 5000), workers=workers
    )
    assert (made.width, made.height) == SIZE


async def test_transparency_stays_or_becomes_white(tmp_path, workers):
    path = tmp_path / "clear.png"
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(path)
    await make_thumbnail(path, tmp_path / "t.webp", workers=workers)
    await make_thumbnail(path, tmp_path / "t.jpg", workers=workers)
    with Image.open(tmp_path / "t.webp") as image:
        assert image.convert("RGBA").getpixel((5, 5))[3] == 0
    with Image.open(tmp_path / "t.jpg") as image:
        assert min(image.getpixel((5, 5))) > 250


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "CMYK", "I;16", "I", "F"])
async def test_every_way_to_store_colours_can_be_shown(tmp_path, workers, mode):
    plain = Image.linear_gradient("L").convert("L" if mode in {"I;16", "I", "F"} else "RGBA")
    image = (
        plain.convert("RGB").convert(mode) if mode in {"CMYK", "P", "1"} else plain.convert(mode)
    )
    if mode in {"I;16", "I", "F"}:
        image = image.point(lambda level: level * 256)
    path = tmp_path / "in.tif"
    image.save(path)
    await make_thumbnail(path, tmp_path / "t.jpg", size=(64, 64), workers=workers)
    with Image.open(tmp_path / "t.jpg") as shown:
        grey = shown.convert("L")
        assert grey.getpixel((32, 2)) < 40
        assert grey.getpixel((32, 61)) > 215


async def test_colours_of_another_profile_become_srgb(tmp_path, workers):
    path = tmp_path / "wide.jpg"
    # A profile whose red and blue are exchanged shows whether it is heeded.
    profile = bytearray(samples.SRGB)
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    Image.new("RGB", (32, 32), (250, 10, 10)).save(path, icc_profile=bytes(profile), quality=95)
    await make_thumbnail(path, tmp_path / "t.png", workers=workers)
    with Image.open(tmp_path / "t.png") as image:
        red_level, _, blue_level = image.convert("RGB").getpixel((8, 8))
    assert blue_level > 200 > red_level
    await convert_image(path, tmp_path / "c.png", workers=workers)
    with Image.open(tmp_path / "c.png") as image:
        assert image.info["icc_profile"] == bytes(profile)


@pytest.mark.parametrize(
    "target", [".jpg", ".png", ".webp", ".gif", ".bmp", ".tif", ".ico", ".heic", ".avif"]
)
async def test_an_image_is_converted_to_any_format(pictures, tmp_path, workers, target):  # noqa: F811
    out = tmp_path / f"out{target}"
    made = await convert_image(pictures / "jpeg.jpg", out, workers=workers)
    info = await validate_image(out, workers=workers)
    assert (info.format, info.width, info.height) == (made.format, *SIZE)
    assert not info.has_metadata
    assert not info.has_gps
    assert samples.SECRET not in out.read_bytes()
    with Image.open(out) as image:
        assert samples.is_upright(image)


async def test_heic_is_written_by_a_process_that_has_read_none(pictures, tmp_path):  # noqa: F811
    async with Workers(count=1) as fresh:
        made = await convert_image(pictures / "jpeg.jpg", tmp_path / "a.heic", workers=fresh)
    assert made.format == "heic"


async def test_a_moving_picture_keeps_its_frames_or_is_refused(pictures, tmp_path, workers):  # noqa: F811
    await convert_image(pictures / "gif.gif", tmp_path / "out.webp", workers=workers)
    with Image.open(tmp_path / "out.webp") as image:
        assert image.n_frames == 5
        durations = []
        for number in range(5):
            image.seek(number)
            image.load()
            durations.append(image.info["duration"])
        assert durations == [50, 60, 70, 80, 90]
    with pytest.raises(UnsupportedMedia, match=r"gif\.gif moves"):
        await convert_image(pictures / "gif.gif", tmp_path / "out.jpg", workers=workers)
    with pytest.raises(UnsupportedMedia, match="2 pages"):
        await convert_image(pictures / "tiff.tif", tmp_path / "out.jpg", workers=workers)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.webp"]


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".gif", ".bmp", ".tif", ".heic", ".avif"])
async def test_a_bomb_is_refused_before_it_is_decoded(pictures, tmp_path, workers, suffix):  # noqa: F811
    name = (
        "moving.webp"
        if suffix == ".webp"
        else next(each for each in EVERY if each.endswith(suffix))
    )
    source = pictures / name
    path = tmp_path / f"bomb{suffix}"
    path.write_bytes(samples.resized_header(source.read_bytes(), suffix, 12_000, 12_000))
    with pytest.raises(MediaTooDemanding, match="12000 x 12000"):
        await validate_image(path, workers=workers)
    with pytest.raises(MediaTooDemanding, match=r"bomb.* 12000 x 12000"):
        await make_thumbnail(path, tmp_path / "t.jpg", workers=workers)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


async def test_a_huge_png_is_described_and_not_decoded(tmp_path, workers):
    path = tmp_path / "bomb.png"
    path.write_bytes(samples.png_header(30_000, 30_000))
    assert (await inspect_image(path, workers=workers)).width == 30_000
    with pytest.raises(MediaTooDemanding, match="at most 100 million"):
        await validate_image(path, workers=workers)


async def test_a_webp_too_large_to_be_opened_is_refused(pictures, tmp_path, workers):  # noqa: F811
    path = tmp_path / "bomb.webp"
    data = (pictures / "moving.webp").read_bytes()
    path.write_bytes(samples.resized_header(data, ".webp", 16_384, 16_384))
    with pytest.raises(MediaTooDemanding, match="too many pixels"):
        await inspect_image(path, workers=workers)


async def test_a_huge_picture_in_a_small_icon_is_refused(tmp_path, workers):
    inner = samples.png_header(30_000, 30_000)
    path = tmp_path / "bomb.ico"
    path.write_bytes(struct.pack("<3H4B2H2I", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inner), 22) + inner)
    with pytest.raises(MediaTooDemanding, match="900000000"):
        await make_thumbnail(path, tmp_path / "t.jpg", workers=workers)


@pytest.mark.parametrize("name", ["gif.gif", "moving.webp", "tiff.tif"])
async def test_frames_count_towards_the_limit(pictures, workers, name):  # noqa: F811
    pixels = samples.WIDTH * samples.HEIGHT
    limits = ImageLimits(max_pixels=pixels, max_total_pixels=pixels + 1)
    with pytest.raises(MediaTooDemanding, match="frames"):
        await validate_image(pictures / name, workers=workers, limits=limits)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("share", [0.5, 0.9])
async def test_an_image_cut_short_is_unreadable(pictures, tmp_path, workers, name, share):  # noqa: F811
    data = samples.every_format()[name].partition(b"SECRET motion")[0].partition(b"SECRET tail")[0]
    path = tmp_path / name
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises((UnreadableMedia, UnsupportedMedia)) as caught:
        await validate_image(path, workers=workers)
    assert name in caught.value.message
    assert str(tmp_path) not in caught.value.message


@pytest.mark.parametrize("name", EVERY)
async def test_damage_anywhere_ends_in_an_error_of_ours_or_a_picture(
    pictures,  # noqa: F811
    tmp_path,
    workers,
    name,
):
    chance = random.Random(name)
    for number in range(8):
        data = bytearray((pictures / name).read_bytes())
        for _ in range(4):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path, out = tmp_path / f"{number}", tmp_path / f"{number}.jpg"
        path.write_bytes(data)
        try:
            await make_thumbnail(path, out, workers=workers)
        except HaulierError:
            assert not out.exists()
        else:
            assert out.stat().st_size
    assert not list(tmp_path.glob(".haulier*"))


@pytest.mark.parametrize(
    "text",
    [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<?xml version='1.0'?>\n<!-- a -->\n<svg >"],
)
async def test_svg_is_never_drawn(tmp_path, workers, text):
    path = tmp_path / "logo.svg"
    path.write_bytes(text)
    with pytest.raises(UnsupportedMedia, match="SVG, which is never drawn"):
        await make_thumbnail(path, tmp_path / "t.png", workers=workers)


async def test_what_is_no_image_is_told_so(tmp_path, workers):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"hello")
    with pytest.raises(UnsupportedMedia, match=r"a\.jpg is no image"):
        await inspect_image(path, workers=workers)
    path.write_bytes(b"")
    with pytest.raises(UnreadableMedia, match="empty"):
        await inspect_image(path, workers=workers)
    with pytest.raises(TargetMissing):
        await inspect_image(tmp_path / "b.jpg", workers=workers)
    with pytest.raises(TargetUnreadable):
        await inspect_image(tmp_path, workers=workers)


async def test_formats_and_bytes_may_be_limited(pictures, workers):  # noqa: F811
    with pytest.raises(UnsupportedMedia, match="not allowed here"):
        await validate_image(
            pictures / "gif.gif", workers=workers, formats=frozenset({ImageFormat.JPEG})
        )
    with pytest.raises(MediaTooDemanding, match="100 are read"):
        await validate_image(
            pictures / "gif.gif", workers=workers, limits=ImageLimits(max_bytes=100)
        )


async def test_an_image_is_never_replaced_by_what_is_made_of_it(pictures, tmp_path, workers):  # noqa: F811
    path = tmp_path / "a.jpg"
    path.write_bytes((pictures / "jpeg.jpg").read_bytes())
    before = hashlib.sha256(path.read_bytes()).digest()
    (tmp_path / "b.jpg").symlink_to(path)
    for out in (path, tmp_path / "b.jpg"):
        with pytest.raises(UsageError, match="would replace"):
            await make_thumbnail(path, out, workers=workers)
    assert hashlib.sha256(path.read_bytes()).digest() == before


async def test_a_failure_leaves_what_was_there(pictures, tmp_path, workers):  # noqa: F811
    path, out = tmp_path / "bad.png", tmp_path / "t.jpg"
    path.write_bytes((pictures / "png.png").read_bytes()[:200])
    out.write_bytes(b"older")
    with pytest.raises(UnreadableMedia):
        await make_thumbnail(path, out, workers=workers)
    assert out.read_bytes() == b"older"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bad.png", "t.jpg"]
    with pytest.raises(TargetMissing):
        await make_thumbnail(pictures / "png.png", tmp_path / "none" / "t.jpg", workers=workers)


async def test_cancelling_leaves_nothing(tmp_path, workers):
    path, out = tmp_path / "a.png", tmp_path / "out.avif"
    samples.noise((1200, 900)).save(path, compress_level=0)
    running = asyncio.create_task(convert_image(path, out, workers=workers))
    while not list(tmp_path.glob(".haulier-*")):
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


async def test_the_result_may_be_read_as_any_new_file(pictures, tmp_path, workers):  # noqa: F811
    out, plain = tmp_path / "t.jpg", tmp_path / "plain"
    plain.touch()
    await make_thumbnail(pictures / "png.png", out, workers=workers)
    assert out.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize(
    ("name", "ending", "result"),
    [
        ("a.JPG", "jpeg", "a.JPG"), ("a.png", "jpeg", "a.jpg"), ("v2.5", "webp", "v2.5.webp"),
        ("a", "tiff", "a.tif"), (".png", "png", ".png.png"),
    ],
)  # fmt: skip
async def test_a_name_gets_the_ending_of_its_format(name, ending, result):
    assert with_ending_of(Path(name), ImageFormat(ending)) == Path(result)


async def test_numbers_and_names_that_make_no_sense_are_refused(pictures, tmp_path, workers):  # noqa: F811
    path = pictures / "png.png"
    with pytest.raises(UsageError, match="width can't be 0"):
        await make_thumbnail(path, tmp_path / "t.jpg", size=(0, 5), workers=workers)
    with pytest.raises(UsageError, match="quality can't be 101"):
        await convert_image(path, tmp_path / "t.jpg", quality=101, workers=workers)
    with pytest.raises(UnsupportedMedia, match="no image format"):
        await convert_image(path, tmp_path / "t.xyz", workers=workers)
