"""What a zip or an OLE file is: many formats are one of them with certain members."""

from __future__ import annotations

import re
from collections.abc import Iterator

_OFFICE = "application/vnd.openxmlformats-officedocument."
# Parts of an office document, and its type without and with macros.
_OFFICE_PARTS = (
    ("word/", _OFFICE + "wordprocessingml.document",
     "application/vnd.ms-word.document.macroEnabled.12"),
    ("xl/", _OFFICE + "spreadsheetml.sheet", "application/vnd.ms-excel.sheet.macroEnabled.12"),
    ("ppt/", _OFFICE + "presentationml.presentation",
     "application/vnd.ms-powerpoint.presentation.macroEnabled.12"),
)  # fmt: skip
_SAYS_ITS_TYPE = re.compile(
    r"application/(epub\+zip|vnd\.(oasis\.opendocument|sun\.xml)\.[a-z.-]+)|image/openraster"
)
_STREAMS = (
    ("WordDocument", "application/msword"),
    ("Workbook", "application/vnd.ms-excel"),
    ("Book", "application/vnd.ms-excel"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
)
_MOST_NAMES = 500
_END_BYTES = 22


def by_members(head: bytes, tail: bytes) -> str | None:
    """Return the type of a zip by the names in it, or None when it is none."""
    if not head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return None
    if (told := _first_member(head)) is not None:
        return told
    names = set(_local_names(head)) | set(_directory_names(tail or head))
    if "[Content_Types].xml" in names:
        for folder, plain, with_macros in _OFFICE_PARTS:
            if any(name.startswith(folder) for name in names):
                macros = any(name.endswith("vbaProject.bin") for name in names)
                return with_macros if macros else plain
    if "AndroidManifest.xml" in names:
        return "application/vnd.android.package-archive"
    if "META-INF/MANIFEST.MF" in names:
        return "application/java-archive"
    return "application/zip"


def by_streams(head: bytes, tail: bytes) -> str | None:
    """Return the type of an OLE file by the streams named in it, or None when it is none."""
    if not head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return None
    for name, mime_type in _STREAMS:
        # Names lie in 64 bytes, as UTF-16, and end in a zero.
        if any((name + "\0").encode("utf-16-le") in window for window in (head, tail)):
            return mime_type
    return "application/x-ole-storage"


def ends_as_zip(window: bytes) -> bool:
    """Tell whether a zip's directory ends in the last bytes of a file, whatever it begins with."""
    at = window.rfind(b"PK\x05\x06")
    if at < 0 or len(window) < at + _END_BYTES:
        return False
    entries = int.from_bytes(window[at + 10 : at + 12], "little")
    comment = int.from_bytes(window[at + 20 : at + 22], "little")
    return entries > 0 and at + _END_BYTES + comment <= len(window)


def _first_member(head: bytes) -> str | None:
    """Return what a first, stored member called `mimetype` says, as in EPUB and OpenDocument."""
    name_bytes, extra_bytes = (int.from_bytes(head[at : at + 2], "little") for at in (26, 28))
    size = int.from_bytes(head[18:22], "little")
    if head[30 : 30 + name_bytes] != b"mimetype" or head[8:10] != b"\0\0":
        return None
    begin = 30 + name_bytes + extra_bytes
    told = head[begin : begin + min(size, 128)].decode("latin-1").strip()
    return told if _SAYS_ITS_TYPE.fullmatch(told) else None


def _local_names(head: bytes) -> Iterator[str]:
    at = 0
    for _ in range(_MOST_NAMES):
        at = head.find(b"PK\x03\x04", at)
        if at < 0 or at + 30 > len(head):
            return
        end = at + 30 + int.from_bytes(head[at + 26 : at + 28], "little")
        yield head[at + 30 : end].decode("utf-8", "replace")
        # The size may stand behind the member instead; then the next header is looked for.
        at = end + int.from_bytes(head[at + 18 : at + 22], "little")


def _directory_names(window: bytes) -> Iterator[str]:
    at = 0
    for _ in range(_MOST_NAMES):
        at = window.find(b"PK\x01\x02", at)
        if at < 0 or at + 46 > len(window):
            return
        end = at + 46 + int.from_bytes(window[at + 28 : at + 30], "little")
        yield window[at + 46 : end].decode("utf-8", "replace")
        at = end
