"""Text, and what it is written in: told from the encoding and from how it begins."""

from __future__ import annotations

import codecs
import csv
import json
import re

_TEXT_BYTES = bytes({7, 8, 9, 10, 12, 13, 27} | set(range(0x20, 0x7F)) | set(range(0x80, 0x100)))
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_QUICK_BYTES = 512
_LEAST_BYTES = 32
_HTML = re.compile(
    r"<(?:html|head|body|script|iframe|table|title|style|h1|div|font|br|p|a)[\s>/]",
    re.IGNORECASE,
)
_HTML_DOCTYPE = re.compile(r"<!doctype\s+html\b", re.IGNORECASE)
_ROOT = re.compile(r"<(?:[\w.-]+:)?([A-Za-z][\w.-]*)[\s>/]")
_ROOTS = {
    "svg": "image/svg+xml",
    "html": "application/xhtml+xml",
    "rss": "application/rss+xml",
    "feed": "application/atom+xml",
    "kml": "application/vnd.google-earth.kml+xml",
    "gpx": "application/gpx+xml",
}
_BEGINNINGS = (
    (re.compile(r"#EXTM3U\b"), "application/vnd.apple.mpegurl"),
    (re.compile(r"WEBVTT\b"), "text/vtt"),
    (re.compile(r"BEGIN:VCALENDAR\b"), "text/calendar"),
    (re.compile(r"BEGIN:VCARD\b"), "text/vcard"),
    (re.compile(r"#![^\n]*\b(?:ba|da|k|z)?sh\b"), "text/x-shellscript"),
    (re.compile(r"#![^\n]*\bpython"), "text/x-python"),
    (re.compile(r"1\r?\n\d\d:\d\d:\d\d[,.]\d{3} --> "), "application/x-subrip"),
)
_JSON_BEGINS = re.compile(
    r'\{\s*(?:"(?:[^"\\]|\\.){0,200}"\s*:|\})|\[\s*(?:[\[{"\d\]-]|true|false|null)'
)
_LEAST_ROWS, _LEAST_COLUMNS, _MOST_ROWS = 3, 2, 50
_SEPARATORS = (",", ";", "\t")


def by_text(head: bytes, *, is_whole: bool) -> tuple[str, bool] | None:
    """Return the type of a text and whether its beginning says it; None when it is no text.

    Args:
        head: the first bytes.
        is_whole: they are the whole file.
    """
    text = _decoded(head)
    if text is None:
        return None
    begun = text.lstrip("\ufeff \t\r\n")
    if begun.startswith("<") and (markup := _markup(begun)) is not None:
        return markup, True
    for pattern, mime_type in _BEGINNINGS:
        if pattern.match(begun):
            return mime_type, True
    if begun.startswith(("{", "[")) and (data := _json(begun, is_whole=is_whole)) is not None:
        return data, True
    return _table(text, is_whole=is_whole) or "text/plain", False


def _decoded(head: bytes) -> str | None:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return _strictly(head[len(mark) :], encoding)
    quick = head[:_QUICK_BYTES]
    if 0 in quick:
        return _unmarked_utf16(head)
    if quick.translate(None, _TEXT_BYTES) or head.translate(None, _TEXT_BYTES):
        return None
    text = _strictly(head, "utf-8")
    if text is None and len(head) >= _LEAST_BYTES and re.search(rb"\s", head):
        # One of the older encodings, with a letter a byte.
        return head.decode("latin-1")
    return text


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        # The last letter may be cut in two.
        text = codecs.getincrementaldecoder(encoding)("strict").decode(data)
    except UnicodeDecodeError:
        return None
    return text if text and "\0" not in text else None


def _unmarked_utf16(head: bytes) -> str | None:
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        # Latin letters, digits and spaces have a zero in one place.
        if len(zeros) >= 8 and zeros.count(0) > len(zeros) // 2:
            text = _strictly(head, encoding)
            if text is not None and not re.search(r"[\x00-\x06\x0e-\x1a]", text):
                return text
    return None


def _markup(text: str) -> str | None:
    is_xml = text.startswith("<?xml")
    root = _behind_prolog(text)
    if root is None:
        return "application/xml" if is_xml else None
    named = _ROOT.match(text, root)
    if named and named[1] == "svg":
        return "image/svg+xml"
    if not is_xml and (_HTML.match(text, root) or _HTML_DOCTYPE.search(text, 0, root)):
        return "text/html"
    if named and (is_xml or named[1] in _ROOTS):
        return _ROOTS.get(named[1], "application/xml")
    return "application/xml" if is_xml else None


def _behind_prolog(text: str) -> int | None:
    """Return where the first element begins; None when it lies behind what was read."""
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if text.startswith("<!--", at):
            end = text.find("-->", at + 4)
            at = end + 3
        elif text.startswith("<?", at):
            end = text.find("?>", at)
            at = end + 2
        elif text[at : at + 9].lower() == "<!doctype":
            end = text.find(">", at)
            subset = text.find("[", at)
            if 0 <= subset < end:
                end = text.find(">", text.find("]", subset))
            at = end + 1
        else:
            return at if at < len(text) else None
        if end < 0:
            return None


def _json(text: str, *, is_whole: bool) -> str | None:
    if is_whole:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return _json_lines(text)
        return "application/json"
    return _json_lines(text) or ("application/json" if _JSON_BEGINS.match(text) else None)


def _json_lines(text: str) -> str | None:
    lines = text.split("\n", 2)
    if len(lines) < 2:
        return None
    try:
        values = [json.loads(line) for line in lines[:2] if line.strip()]
    except (ValueError, RecursionError):
        return None
    return "application/x-ndjson" if len(values) == 2 and isinstance(values[0], dict) else None


def _table(text: str, *, is_whole: bool) -> str | None:
    lines = text.splitlines()[: _MOST_ROWS + 1]
    if not is_whole or len(lines) > _MOST_ROWS:
        lines = lines[:-1]
    for separator in _SEPARATORS:
        if not lines or separator not in lines[0]:
            continue
        try:
            rows = [row for row in csv.reader(lines, delimiter=separator, strict=True) if row]
        except csv.Error:
            continue
        columns = {len(row) for row in rows}
        if len(rows) >= _LEAST_ROWS and len(columns) == 1 and min(columns) >= _LEAST_COLUMNS:
            return "text/tab-separated-values" if separator == "\t" else "text/csv"
    return None
