"""Whatever a file is, the picture that fits it is made."""

from __future__ import annotations

import document_samples
import pytest
import pytest_asyncio
from PIL import Image
from video_samples import samples  # noqa: F401 - a fixture by name

from haulier.errors import TargetMissing, UnreadableMedia, UnsupportedMedia
from haulier.media.isolation import Workers
from haulier.media.thumbnails import Shows, thumbnail_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers():
    async with Workers(count=1) as pool:
        yield pool


@pytest.mark.parametrize(
    ("name", "options", "shows", "size"),
    [
        ("card.mp4", {}, Shows.FRAME, (100, 56)),
        ("card.mp4", {"at_s": 1.0}, Shows.FRAME, (100, 56)),
        ("card.mp4", {"sheet": (2, 1)}, Shows.SHEET, (2 * 100 + 3 * 8, 56 + 2 * 8)),
        ("card.mp4", {"waveform": True}, Shows.WAVEFORM, (100, 25)),
        ("card.webm", {"waveform": True}, Shows.FRAME, (100, 56)),
        ("tone.wav", {}, Shows.WAVEFORM, (100, 25)),
        ("tone.wav", {"at_s": 1.0, "sheet": (2, 1)}, Shows.WAVEFORM, (100, 25)),
        ("tone.m4a", {}, Shows.WAVEFORM, (100, 25)),
        ("cover.mp3", {}, Shows.COVER, (64, 48)),
        ("cover.mp3", {"waveform": True}, Shows.WAVEFORM, (100, 25)),
    ],
)
async def test_video_and_sound(samples, workers, tmp_path, name, options, shows, size):  # noqa: F811
    # What it is called does not matter.
    path = tmp_path / "file.bin"
    path.write_bytes(samples(name).read_bytes())
    made = await thumbnail_of(path, tmp_path / "a.png", workers=workers, size_px=100, **options)
    assert (made.shows, made.width, made.height) == (shows, *size)
    assert made.at_s == (None if shows is not Shows.FRAME else options.get("at_s", 0))
    with Image.open(made.path) as image:
        assert image.size == size


async def test_an_image_and_a_pdf(workers, tmp_path):
    Image.new("RGB", (400, 300), "red").save(tmp_path / "photo.mp4", "PNG")
    (tmp_path / "letter.bin").write_bytes(document_samples.pdf())
    for name, shows, size in (
        ("photo.mp4", Shows.IMAGE, (100, 75)),
        ("letter.bin", Shows.PAGE, (100, 50)),
    ):
        made = await thumbnail_of(
            tmp_path / name, tmp_path / "a.jpg", workers=workers, size_px=100, waveform=True
        )
        assert (made.shows, (made.width, made.height), made.at_s) == (shows, size, None)


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"only words\n" * 9, UnsupportedMedia, "is text/plain, of which no picture is made"),
        (document_samples.zip_with({"a": b"a"}), UnsupportedMedia, "is application/zip"),
        (b"\x00\x00\x00\x18ftypisom" + b"\x00" * 500, UnreadableMedia, "can't be read"),
        (b"", UnsupportedMedia, "octet-stream"),
    ],
)
async def test_what_has_no_picture(workers, tmp_path, data, error, words):
    path = tmp_path / "file.bin"
    path.write_bytes(data)
    with pytest.raises(error, match=words):
        await thumbnail_of(path, tmp_path / "a.jpg", workers=workers)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.bin"]


async def test_a_missing_file(workers, tmp_path):
    with pytest.raises(TargetMissing):
        await thumbnail_of(tmp_path / "none.mp4", tmp_path / "a.jpg", workers=workers)
