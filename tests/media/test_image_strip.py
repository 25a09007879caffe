"""Private metadata is taken out of images, and nothing else."""

from __future__ import annotations

import io
import struct

import image_samples as samples
import pytest
import pytest_asyncio
from image_samples import pictures  # noqa: F401 - pytest finds fixtures by name
from PIL import Image, ImageSequence

from haulier.errors import UnreadableMedia, UnsupportedMedia, UsageError
from haulier.media.images import inspect_image, strip_metadata
from haulier.media.isolation import Workers

pytestmark = pytest.mark.asyncio(loop_scope="module")
EVERY = list(samples.every_format())


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers():
    async with Workers(count=1) as pool:
        yield pool


def frames(data: bytes) -> list[tuple[object, ...]]:
    """Every frame as it is shown, with its time."""
    with Image.open(io.BytesIO(data)) as image:
        shown = []
        for frame in ImageSequence.Iterator(image):
            pixels = frame.convert("RGBA").tobytes()
            shown.append((frame.size, pixels, frame.info.get("duration")))
        return shown


@pytest.mark.parametrize("name", EVERY)
async def test_metadata_goes_and_every_pixel_stays(pictures, tmp_path, workers, name):  # noqa: F811
    path, out = pictures / name, tmp_path / name
    before = path.read_bytes()
    assert samples.SECRET in before or name == "bmp.bmp"
    made = await strip_metadata(path, out, workers=workers)
    assert path.read_bytes() == before
    after = out.read_bytes()
    assert samples.SECRET not in after
    assert frames(after) == frames(before)
    old, new = [await inspect_image(each, workers=workers) for each in (path, out)]
    assert not new.has_metadata
    assert not new.has_gps
    kept = ("format", "width", "height", "frames", "mode", "has_alpha", "icc_name")
    assert [getattr(old, key) for key in kept] == [getattr(new, key) for key in kept]
    assert made.size_bytes == len(after)
    with Image.open(io.BytesIO(before)) as one, Image.open(io.BytesIO(after)) as other:
        assert one.info.get("icc_profile") == other.info.get("icc_profile")
        assert one.info.get("loop") == other.info.get("loop")
    again = tmp_path / f"again-{name}"
    await strip_metadata(out, again, workers=workers)
    assert again.read_bytes() == after


@pytest.mark.parametrize("orientation", [3, 6, 7])
@pytest.mark.parametrize("make", [samples.jpeg, samples.png])
async def test_a_turned_picture_stays_turned(tmp_path, workers, make, orientation):
    path, out = tmp_path / "a", tmp_path / "b"
    path.write_bytes(make(orientation))
    await strip_metadata(path, out, workers=workers)
    info = await inspect_image(out, workers=workers)
    assert (info.orientation, info.has_metadata, info.has_gps) == (orientation, False, False)
    assert samples.SECRET not in out.read_bytes()


async def test_a_progressive_jpeg_keeps_all_its_scans(tmp_path, workers):
    path, out = tmp_path / "a.jpg", tmp_path / "b.jpg"
    samples.noise().save(path, progressive=True, quality=90, exif=samples.exif())
    await strip_metadata(path, out, workers=workers)
    assert frames(out.read_bytes()) == frames(path.read_bytes())
    assert out.read_bytes().count(b"\xff\xda") == path.read_bytes().count(b"\xff\xda") > 3


async def test_the_preview_in_a_jpeg_header_goes(tmp_path, workers):
    path, out = tmp_path / "a.jpg", tmp_path / "b.jpg"
    buffer = io.BytesIO()
    samples.upright().save(buffer, "JPEG")
    data = buffer.getvalue()
    preview = b"JFIF\0\x01\x01\0\0\x01\0\x01\x02\x01" + b"SECRET"
    old_size = struct.unpack(">H", data[4:6])[0]
    path.write_bytes(
        data[:4] + struct.pack(">H", len(preview) + 2) + preview + data[4 + old_size :]
    )
    await strip_metadata(path, out, workers=workers)
    assert out.read_bytes() == data


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "tiff_adobe_deflate", "group4", "jpeg", "packbits"]
)
@pytest.mark.parametrize("big", [False, True])
async def test_tiff_pixels_are_copied_as_they_are_packed(tmp_path, workers, compression, big):
    path, out = tmp_path / "a.tif", tmp_path / "b.tif"
    image = samples.noise((300, 200)).convert("1" if compression == "group4" else "RGB")
    image.save(path, compression=compression, big_tiff=big, tiffinfo={270: "SECRET"})
    await strip_metadata(path, out, workers=workers)
    assert frames(out.read_bytes()) == frames(path.read_bytes())
    assert samples.SECRET not in out.read_bytes()
    assert abs(out.stat().st_size - path.stat().st_size) < 300


async def test_tiff_pages_that_go_round_in_a_circle_are_refused(tmp_path, workers):
    path = tmp_path / "a.tif"
    samples.upright().save(path)
    data = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    path.write_bytes(data)
    with pytest.raises(UnreadableMedia, match="circle"):
        await strip_metadata(path, tmp_path / "b.tif", workers=workers)


async def test_of_heic_only_the_bytes_of_metadata_change(tmp_path, workers):
    path, out = tmp_path / "a.heic", tmp_path / "b.heic"
    samples.noise((128, 96)).save(path, "HEIF", exif=samples.exif(), quality=70)
    await strip_metadata(path, out, workers=workers)
    before, after = path.read_bytes(), out.read_bytes()
    assert len(before) == len(after)
    changed = [at for at, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    # Nothing but the metadata's own bytes.
    assert changed[-1] - changed[0] < len(samples.exif().tobytes()) + 16


async def test_the_clip_behind_a_heic_goes(tmp_path, workers):
    path, out = tmp_path / "a.heic", tmp_path / "b.heic"
    samples.upright().save(path, "HEIF")
    clip = b"ftypmp42 SECRET place"
    path.write_bytes(path.read_bytes() + struct.pack(">I4s", len(clip) + 8, b"mpvd") + clip)
    await strip_metadata(path, out, workers=workers)
    assert samples.SECRET not in out.read_bytes()
    assert frames(out.read_bytes()) == frames(path.read_bytes())


@pytest.mark.parametrize("name", [each for each in EVERY if each != "bmp.bmp"])
async def test_an_image_cut_short_is_not_stripped(pictures, tmp_path, workers, name):  # noqa: F811
    path, out = tmp_path / name, tmp_path / f"out-{name}"
    data = (pictures / name).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises((UnreadableMedia, UnsupportedMedia)):
        await strip_metadata(path, out, workers=workers)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


async def test_an_image_is_not_stripped_in_place(pictures, tmp_path, workers):  # noqa: F811
    path = tmp_path / "a.jpg"
    path.write_bytes((pictures / "jpeg.jpg").read_bytes())
    with pytest.raises(UsageError, match="would replace"):
        await strip_metadata(path, path, workers=workers)
