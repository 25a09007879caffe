"""Documents and archives: real ones by the libraries that write them, bad ones by hand."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from datetime import UTC, datetime

from PIL import Image

CREATED = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
_CORE = b"""<?xml version="1.0" encoding="UTF-8"?>
<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><dc:title>Plan \xd0\xb6</dc:title>
<dc:subject>Money</dc:subject><dc:creator>Ada</dc:creator>
<dcterms:created xsi:type="dcterms:W3CDTF">2024-05-06T07:08:09Z</dcterms:created>
<dcterms:modified xsi:type="dcterms:W3CDTF">2024-05-07T09:08:09+02:00</dcterms:modified>
</cp:coreProperties>"""
_APP = b"""<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/extended-properties">
<Application>Writer</Application><%s>7</%s></Properties>"""
_META = b"""<office:document-meta xmlns:office="o" xmlns:meta="m" xmlns:dc="http://purl.org/dc/elements/1.1/">
<office:meta><dc:title>Plan \xd0\xb6</dc:title><meta:initial-creator>Ada</meta:initial-creator>
<dc:subject>Money</dc:subject><meta:generator>Writer</meta:generator>
<meta:creation-date>2024-05-06T07:08:09</meta:creation-date><dc:date>2024-05-07T07:08:09</dc:date>
<meta:document-statistic meta:page-count="7"/></office:meta></office:document-meta>"""


def pdf(pages: int = 3, size=(300, 150)) -> bytes:
    """The first page is red, the others blue."""
    images = [Image.new("RGB", size, (255, 0, 0) if n == 0 else (0, 0, 255)) for n in range(pages)]
    buffer = io.BytesIO()
    images[0].save(
        buffer, "PDF", save_all=True, append_images=images[1:], title="Plan ж", author="Ada",
        subject="Money", creator="Writer", creationDate=CREATED.timetuple(), modDate=CREATED.timetuple(),
    )  # fmt: skip
    return buffer.getvalue()


def pdf_by_hand(
    page: bytes = b"/MediaBox [0 0 200 100]", info: bytes = b"", trailer: bytes = b""
) -> bytes:
    return (
        b"%PDF-1.4\n1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj\n"
        b"2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj\n"
        b"3 0 obj <</Type /Page /Parent 2 0 R " + page + b">> endobj\n"
        b"4 0 obj <</Filter /Standard /V 1 /R 2 /O ("
        + b"o" * 32
        + b") /U ("
        + b"u" * 32
        + b") /P -4>> endobj\n"
        b"5 0 obj <<" + info + b">> endobj\n"
        b"trailer <</Root 1 0 R /Info 5 0 R /Size 6 " + trailer + b">>\n%%EOF\n"
    )


def protected_pdf() -> bytes:
    """No empty password opens it: what its key is checked by is arbitrary."""
    return pdf_by_hand(trailer=b"/Encrypt 4 0 R /ID [(0123456789abcdef) (0123456789abcdef)]")


def office(folder: str, counted: bytes = b"Pages", core: bytes = _CORE) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(f"{folder}/document.xml", "<w/>")
        archive.writestr("docProps/core.xml", core)
        archive.writestr("docProps/app.xml", _APP.replace(b"%s", counted))
    return buffer.getvalue()


def open_document() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        archive.writestr("meta.xml", _META)
    return buffer.getvalue()


def zip_with(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _local(name: bytes, packed: bytes, content: bytes) -> bytes:
    return (
        struct.pack(
            "<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 33, zlib.crc32(content), len(packed),
            len(content), len(name), 0,
        ) + name
    )  # fmt: skip


def _central(name: bytes, packed_bytes: int, content: bytes, at: int) -> bytes:
    return (
        struct.pack(
            "<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 8, 0, 33, zlib.crc32(content), packed_bytes,
            len(content), len(name), 0, 0, 0, 0, 0, at,
        ) + name
    )  # fmt: skip


def _zip_of(body: bytes, directory: list[bytes]) -> bytes:
    joined = b"".join(directory)
    count = len(directory)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(joined), len(body), 0)
    return body + joined + end


def overlapping_zip(count: int = 50) -> bytes:
    """Every entry is the same bytes of the file."""
    content = bytes(100_000)
    packed = zlib.compress(content, 9)[2:-4]
    body = _local(b"0", packed, content) + packed
    directory = [_central(b"%d" % n, len(packed), content, 0) for n in range(count)]
    return _zip_of(body, directory)


def quoting_zip(count: int = 20) -> bytes:
    """Each entry holds the local header of the next in a stored block, as Fifield's bombs do."""
    content = bytes(100_000)
    packed = zlib.compress(content, 9)[2:-4]
    body = _local(b"last", packed, content) + packed
    entries = [(b"last", len(packed), content)]
    for number in range(count):
        header = body[: 30 + struct.unpack_from("<H", body, 26)[0]]
        quoted = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF)
        content = header + content
        packed_bytes = len(quoted) + len(header) + entries[-1][1]
        name = b"%d" % number
        local = bytearray(_local(name, b"", content))
        struct.pack_into("<I", local, 18, packed_bytes)
        body = bytes(local) + quoted + body
        entries.append((name, packed_bytes, content))
    directory, end = [], len(body)
    for name, packed_bytes, content in entries:
        at = end - packed_bytes - 30 - len(name)
        directory.append(_central(name, packed_bytes, content, at))
    return _zip_of(body, directory)
