"""Reading PDF and office documents. Imported in worker processes only."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree as ET

import pypdfium2
from pypdfium2 import raw

from haulier.errors import MediaTooDemanding, UnreadableMedia, UnsupportedMedia
from haulier.media.image_formats import ImageFormat

_MAX_PART_BYTES = 4 << 20
_PDF_HEAD_BYTES = 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OPEN_XML = "application/vnd.openxmlformats-officedocument."
_OPEN_XML_TYPES = {
    "word/": _OPEN_XML + "wordprocessingml.document",
    "xl/": _OPEN_XML + "spreadsheetml.sheet",
    "ppt/": _OPEN_XML + "presentationml.presentation",
}
_PDF_TIME = re.compile(
    r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:Z|([+-])(\d\d)'?(\d\d)?)?", re.ASCII
)


def describe(path: str, name: str) -> dict[str, Any]:
    """Return what `documents.DocumentInfo` holds.

    Raises:
        UnsupportedMedia: it is no PDF or office document, or is protected by a password.
        UnreadableMedia: it is damaged.
        MediaTooDemanding: its properties are larger than any real ones.
    """
    with open(path, "rb") as stream:
        head = stream.read(_PDF_HEAD_BYTES)
    if b"%PDF-" in head:
        return _describe_pdf(path, name)
    if head.startswith(b"PK"):
        return _describe_zip(path, name)
    if head.startswith(_OLE):
        # Word and Excel wrap documents with a password so, too.
        raise UnsupportedMedia(
            f"{name} is an office document of the time before 2007, or has a password",
            hint="Save it as docx, xlsx, pptx or PDF, without a password.",
        )
    raise UnsupportedMedia(f"{name} is no PDF and no office document")


@contextmanager
def _pdf(path: str, name: str) -> Iterator[pypdfium2.PdfDocument]:
    with open(path, "rb") as stream:
        try:
            document = pypdfium2.PdfDocument(stream)
        except pypdfium2.PdfiumError as error:
            if getattr(error, "err_code", None) == raw.FPDF_ERR_PASSWORD:
                raise UnsupportedMedia(
                    f"{name} is encrypted and opens with a password only",
                    hint="Save it without a password first.",
                ) from error
            raise UnreadableMedia(f"{name} is damaged: {error}") from error
        try:
            if len(document) == 0:
                raise UnreadableMedia(f"{name} has no pages")
            yield document
        finally:
            document.close()


def _describe_pdf(path: str, name: str) -> dict[str, Any]:
    with _pdf(path, name) as document:
        told = document.get_metadata_dict()
        return {
            "mime_type": "application/pdf",
            "pages": len(document),
            "title": told.get("Title") or None,
            "author": told.get("Author") or None,
            "subject": told.get("Subject") or None,
            "program": told.get("Creator") or told.get("Producer") or None,
            "created_at": _pdf_time(told.get("CreationDate") or ""),
            "modified_at": _pdf_time(told.get("ModDate") or ""),
        }


def _pdf_time(text: str) -> str | None:
    found = _PDF_TIME.match(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    ahead = timedelta(hours=int(found[8] or 0), minutes=int(found[9] or 0))
    try:
        zone = timezone(-ahead if found[7] == "-" else ahead)
        moment = datetime(year, month or 1, day or 1, hour, minute, second, tzinfo=zone)
        return moment.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return None


def draw_first_page(
    path: str, out: str, name: str, size: tuple[int, int], image_format: ImageFormat, quality: int
) -> dict[str, Any]:
    """Draw the first page within `size` pixels on white; returns what `WrittenImage` holds."""
    from haulier.media import image_writing

    with _pdf(path, name) as document:
        try:
            page = document[0]
            width, height = page.get_size()
            if width <= 0 or height <= 0:
                raise UnreadableMedia(f"{name}: the first page has no size")
            scale = min(size[0] / width, size[1] / height)
            # PDFium rounds up; a very long page still needs a pixel of width.
            drawn = page.render(scale=scale).to_pil()
        except pypdfium2.PdfiumError as error:
            raise UnreadableMedia(f"{name}: the first page can't be drawn: {error}") from error
        drawn.thumbnail(size)
        picture = image_writing.Picture([drawn.convert("RGB")])
        return image_writing.save(picture, out, image_format, quality, name)


def _describe_zip(path: str, name: str) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "[Content_Types].xml" in names:
                return _describe_open_xml(archive, names, name)
            if "mimetype" in names:
                return _describe_open_document(archive, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, ET.ParseError, NotImplementedError) as error:
        raise UnreadableMedia(f"{name} is damaged: {error}") from error
    raise UnsupportedMedia(
        f"{name} is a zip archive and no office document", hint="List what is in it as an archive."
    )


def _describe_open_xml(archive: zipfile.ZipFile, names: set[str], name: str) -> dict[str, Any]:
    kinds = (
        kind
        for folder, kind in _OPEN_XML_TYPES.items()
        if any(each.startswith(folder) for each in names)
    )
    mime_type = next(kinds, None)
    if mime_type is None:
        raise UnsupportedMedia(f"{name} is no document of a known kind")
    core = _texts(archive, "docProps/core.xml", name)
    app = _texts(archive, "docProps/app.xml", name)
    return {
        "mime_type": mime_type,
        "pages": _whole(app.get("Pages") or app.get("Slides")),
        "title": core.get("title"),
        "author": core.get("creator"),
        "subject": core.get("subject"),
        "program": app.get("Application"),
        "created_at": _iso_time(core.get("created")),
        "modified_at": _iso_time(core.get("modified")),
    }


def _describe_open_document(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    mime_type = _part(archive, "mimetype", name).decode("ascii", "replace").strip()
    if not mime_type.startswith("application/vnd.oasis.opendocument."):
        raise UnsupportedMedia(f"{name} is no document of a known kind")
    meta = _texts(archive, "meta.xml", name)
    return {
        "mime_type": mime_type,
        "pages": _whole(meta.get("page-count")),
        "title": meta.get("title"),
        "author": meta.get("initial-creator") or meta.get("creator"),
        "subject": meta.get("subject"),
        "program": meta.get("generator"),
        "created_at": _iso_time(meta.get("creation-date")),
        "modified_at": _iso_time(meta.get("date")),
    }


def _part(archive: zipfile.ZipFile, part: str, name: str) -> bytes:
    try:
        with archive.open(part) as stream:
            data = stream.read(_MAX_PART_BYTES + 1)
    except KeyError:
        return b""
    except RuntimeError as error:
        raise UnsupportedMedia(
            f"{name} is encrypted", hint="Save it without a password first."
        ) from error
    if len(data) > _MAX_PART_BYTES:
        raise MediaTooDemanding(f"{name}: its {part} has more than {_MAX_PART_BYTES} bytes")
    return data


def _texts(archive: zipfile.ZipFile, part: str, name: str) -> dict[str, str]:
    """Return the text of each element of a small XML part, and its attributes, by local name."""
    data = _part(archive, part, name)
    if not data:
        return {}
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise UnreadableMedia(f"{name}: its {part} declares XML entities; it is not read")
    texts: dict[str, str] = {}
    for element in ET.fromstring(data).iter():  # noqa: S314  # no entities, see above
        for key, value in (*element.attrib.items(), (element.tag, element.text or "")):
            if value.strip():
                texts.setdefault(key.rpartition("}")[2], value.strip())
    return texts


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None


def _iso_time(text: str | None) -> str | None:
    try:
        moment = datetime.fromisoformat(text or "")
        # Without a zone it is some place's local time; taken as UTC, it is at most a day off.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return None
