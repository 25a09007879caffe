"""Files that are two things at once: a picture that another program reads as an archive or code.

What is told are traces in the bytes that are looked at anyway, not a verdict: a virus scanner
looks deeper.
"""

from __future__ import annotations

import re

from haulier.core.mime import FileKind, kind_of
from haulier.core.sniff.zips import ends_as_zip

_ARCHIVES = ((b"Rar!\x1a\x07", "a RAR archive"), (b"7z\xbc\xaf\x27\x1c", "a 7z archive"))
_CODE = (
    (b"<?php", "PHP code"),
    (b"<script", "a script of a web page"),
    (b"<SCRIPT", "a script of a web page"),
    (b"<html", "a web page"),
    (b"<HTML", "a web page"),
)
_PDF_END = re.compile(rb"startxref\s{1,4}\d{1,12}\s{1,4}%%EOF")
_SCRIPTED_SVG = re.compile(rb"<script|javascript:|\son[a-z]{3,20}\s*=", re.IGNORECASE)
_MEDIA = frozenset({FileKind.VIDEO, FileKind.AUDIO, FileKind.IMAGE})
_ZIPPED = ("application/zip", "application/java-archive", "application/epub+zip",
           "application/vnd.android.package-archive", "image/openraster")  # fmt: skip


def other_natures(mime_type: str, head: bytes, tail: bytes) -> list[str]:
    """Return a sentence for each other thing that a file of this type is or holds.

    Args:
        mime_type: what the file is by its first bytes.
        head: the first bytes.
        tail: the last; empty when `head` is the whole file.
    """
    if mime_type == "image/svg+xml":
        scripted = _SCRIPTED_SVG.search(head) or _SCRIPTED_SVG.search(tail)
        return ["it holds scripts or handlers that run when it is opened"] if scripted else []
    found = []
    if kind_of(mime_type) in _MEDIA:
        found = [f"it also holds {what}" for what in _held(head, tail)]
    if _is_no_zip(mime_type) and ends_as_zip(tail or head):
        found.append("it is a zip archive too: one is appended")
    if mime_type != "application/pdf" and kind_of(mime_type) is not FileKind.TEXT:
        if b"%PDF-" in head[:1024]:
            found.append("it is a PDF too: one begins in it")
        elif _PDF_END.search(tail[-1024:] or head[-1024:]):
            found.append("it is a PDF too: one is appended")
    return found


def _held(head: bytes, tail: bytes) -> list[str]:
    marks = dict.fromkeys(
        what for mark, what in (*_ARCHIVES, *_CODE) if mark in head or mark in tail
    )
    # A comment or an assignment where GIF and BMP have their sizes makes the whole a script.
    if head.startswith((b"GIF89a/*", b"GIF87a/*", b"GIF89a=", b"GIF87a=", b"BM/*", b"BM=")):
        return [*marks, "JavaScript"]
    return list(marks)


def _is_no_zip(mime_type: str) -> bool:
    return mime_type not in _ZIPPED and not mime_type.startswith("application/vnd.")
