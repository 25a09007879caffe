"""Documents: what they say of themselves, and their first page."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import document_samples as samples
import pytest
import pytest_asyncio
from PIL import Image

from haulier.errors import (
    MediaError,
    MediaTooDemanding,
    TargetMissing,
    UnreadableMedia,
    UnsupportedMedia,
    UsageError,
)  # fmt: skip
from haulier.media.documents import inspect_document, pdf_thumbnail
from haulier.media.image_formats import ImageFormat
from haulier.media.isolation import Workers

pytestmark = pytest.mark.asyncio(loop_scope="module")
_OPEN_XML = "application/vnd.openxmlformats-officedocument."


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers():
    async with Workers(count=1) as pool:
        yield pool


@pytest.mark.parametrize(
    ("data", "mime_type", "pages"),
    [
        (samples.pdf(pages=7), "application/pdf", 7),
        (samples.office("word"), _OPEN_XML + "wordprocessingml.document", 7),
        (samples.office("ppt", b"Slides"), _OPEN_XML + "presentationml.presentation", 7),
        (samples.office("xl", b"Sheets"), _OPEN_XML + "spreadsheetml.sheet", None),
        (samples.open_document(), "application/vnd.oasis.opendocument.text", 7),
    ],
)
async def test_a_document_tells_what_it_is(tmp_path, workers, data, mime_type, pages):
    path = tmp_path / "ж.bin"
    path.write_bytes(data)
    info = await inspect_document(path, workers=workers)
    assert (info.mime_type, info.pages, info.size_bytes) == (mime_type, pages, len(data))
    assert (info.title, info.author, info.subject, info.program) == (
        "Plan ж", "Ada", "Money", "Writer",
    )  # fmt: skip
    assert info.created_at == samples.CREATED
    if mime_type != "application/pdf":
        assert info.modified_at == datetime(2024, 5, 7, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        (b"D:20240506070809Z", samples.CREATED),
        (b"D:20240506090809+02'00'", samples.CREATED),
        (b"D:20240506023809-04'30", samples.CREATED),
        (b"D:2024", datetime(2024, 1, 1, tzinfo=UTC)),
        (b"D:20241399", None),
        (b"yesterday", None),
        (b"D:20240506070809+99'99'", None),
    ],
)
async def test_times_of_a_pdf(tmp_path, workers, written, moment):
    path = tmp_path / "a.pdf"
    path.write_bytes(samples.pdf_by_hand(info=b"/CreationDate (" + written + b")"))
    assert (await inspect_document(path, workers=workers)).created_at == moment


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
async def test_the_first_page_is_drawn(tmp_path, workers, suffix):
    path, out = tmp_path / "a.pdf", tmp_path / f"a{suffix}"
    path.write_bytes(samples.pdf())
    made = await pdf_thumbnail(path, out, size=(100, 100), workers=workers)
    assert (made.width, made.height, made.size_bytes) == (100, 50, out.stat().st_size)
    with Image.open(out) as image:
        red, green, blue = image.convert("RGB").getpixel((50, 25))
    assert red > 200
    assert max(green, blue) < 60


@pytest.mark.parametrize(
    ("box", "size"), [(b"[0 0 14400 14400]", (64, 64)), (b"[0 0 14400 3]", (64, 1))]
)
async def test_a_page_of_any_size_stays_within_the_picture(tmp_path, workers, box, size):
    path, out = tmp_path / "a.pdf", tmp_path / "a.png"
    path.write_bytes(samples.pdf_by_hand(b"/MediaBox " + box))
    made = await pdf_thumbnail(path, out, size=(64, 64), workers=workers)
    assert (made.width, made.height) == size
    with Image.open(out) as image:
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


async def test_a_pdf_with_a_password_is_told_so(tmp_path, workers):
    path = tmp_path / "a.pdf"
    path.write_bytes(samples.protected_pdf())
    for call in (
        inspect_document(path, workers=workers),
        pdf_thumbnail(path, tmp_path / "a.png", workers=workers),
    ):
        with pytest.raises(UnsupportedMedia, match=r"a\.pdf is encrypted"):
            await call
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pdf"]


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"%PDF-1.7\n nothing", UnreadableMedia, "is damaged"),
        (b"PK\x03\x04 nothing", UnreadableMedia, "is damaged"),
        (samples.office("word")[:-40], UnreadableMedia, "is damaged"),
        (samples.zip_with({"a.txt": b"a"}), UnsupportedMedia, "zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), UnsupportedMedia, "before 2007"),
        (b"hello", UnsupportedMedia, "no PDF"),
        (samples.office("word", core=b"<a><b></a>"), UnreadableMedia, "is damaged"),
        (samples.office("word", core=b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), UnreadableMedia, "entities"),
        (samples.office("word", core=b"<a>" + b" " * (5 << 20) + b"</a>"), MediaTooDemanding, "core.xml has more"),
    ],
)  # fmt: skip
async def test_what_can_not_be_read_is_told(tmp_path, workers, data, error, words):
    path = tmp_path / "a.doc"
    path.write_bytes(data)
    with pytest.raises(error, match=words) as caught:
        await inspect_document(path, workers=workers)
    assert str(tmp_path) not in caught.value.message


@pytest.mark.parametrize("data", [samples.pdf(), samples.office("word"), samples.open_document()])
async def test_damage_ends_in_an_error_of_ours_or_an_answer(tmp_path, workers, data):
    told: list[str] = []
    chance = random.Random(len(data))
    path = tmp_path / "a"
    for _ in range(20):
        damaged = bytearray(data)
        for _ in range(6):
            damaged[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            await inspect_document(path, workers=workers)
            await pdf_thumbnail(path, tmp_path / "a.png", workers=workers)
        except MediaError as error:
            told.append(error.message)
    assert told
    assert not any(str(tmp_path) in message for message in told)


async def test_limits_and_nonsense(tmp_path, workers):
    path = tmp_path / "a.pdf"
    path.write_bytes(samples.pdf())
    with pytest.raises(MediaTooDemanding):
        await inspect_document(path, workers=workers, max_bytes=10)
    with pytest.raises(UsageError):
        await pdf_thumbnail(path, tmp_path / "a.png", size=(0, 10), workers=workers)
    with pytest.raises(UsageError, match="would replace"):
        await pdf_thumbnail(path, path, format=ImageFormat.PNG, workers=workers)
    with pytest.raises(TargetMissing):
        await inspect_document(tmp_path / "b.pdf", workers=workers)
