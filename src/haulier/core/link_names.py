"""What a downloaded file is called: told by Content-Disposition, else by its link.

Servers write names in every way there is: plain and quoted, in UTF-8 or Latin-1, percent-encoded
where they should not be, and percent-encoded twice. What comes out is a readable name without
directories, which is neither hidden nor too long, whatever the server meant by it.
"""

from __future__ import annotations

import os
import re
from urllib.parse import unquote_to_bytes, urlsplit

from haulier.core.file_names import clean_name
from haulier.core.mime import usual_ending
from haulier.errors import ValidationError

MAX_NAME_BYTES = 200
"""Leaves room for what is put before and behind a name while the file is incomplete."""

_FALLBACK = "download"
_MAX_ENDING_BYTES = 20
_PARAMETER = re.compile(
    r""";\s*(?P<key>[!#$%&'*+.^_`|~\w-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^;]*))""",
    re.DOTALL,
)
_EXTENDED = re.compile(r"(?P<charset>[\w!#$%&+^`{}~-]+)'[^']*'(?P<text>.*)", re.DOTALL)
_CHARSETS = {"utf-8": "utf-8", "utf8": "utf-8", "iso-8859-1": "latin-1"}
_ONLY_WHOLE_ESCAPES = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*", re.DOTALL)


def link_name(url: str, disposition: str | None = None, mime_type: str | None = None) -> str:
    """Return a safe name for what `url` leads to.

    Args:
        url: the link that was answered in the end.
        disposition: the answer's Content-Disposition.
        mime_type: its Content-Type; gives an ending to a link's name that has none.
    """
    told = safe_name(disposition_name(disposition) or "")
    if told is not None:
        return told
    name = safe_name(_decoded(_last_segment(url))) or _FALLBACK
    ending = None if mime_type is None else usual_ending(mime_type)
    if ending is not None and not os.path.splitext(name)[1]:
        name += ending
    return name


def disposition_name(header: str | None) -> str | None:
    """Return the name that a Content-Disposition header tells (RFC 6266), as it was meant.

    The result may hold anything: `safe_name` makes it usable.
    """
    plain = extended = None
    for found in _PARAMETER.finditer(f";{(header or '').partition(';')[2]}"):
        key = found["key"].lower()
        value = found["plain"] if found["quoted"] is None else _unescaped(found["quoted"])
        if key == "filename*" and extended is None:
            extended = _extended_value(value.strip())
        elif key == "filename" and plain is None:
            plain = _as_text(os.fsencode(value.strip()))
    name = extended or plain
    return None if name is None else _decoded(name)


def safe_name(given: str) -> str | None:
    """Return `given` as a name that can do no harm in a directory; None when nothing is left.

    Without directories, control and direction marks, dots and dashes at its beginning; cut to
    `MAX_NAME_BYTES`, its ending kept.
    """
    try:
        name = clean_name(_shortened(given.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]))
    except ValidationError:
        return None
    return name.lstrip(".- ").rstrip(". ") or None


def _last_segment(url: str) -> str:
    try:
        return urlsplit(url).path.rsplit("/", 1)[-1]
    except ValueError:
        return ""


def _unescaped(quoted: str) -> str:
    # A path of Windows in quotes has backslashes that escape nothing.
    return re.sub(r'\\(["\\])', r"\1", quoted)


def _extended_value(value: str) -> str | None:
    found = _EXTENDED.fullmatch(value)
    charset = _CHARSETS.get(found["charset"].lower()) if found else None
    if found is None or charset is None:
        return None
    try:
        return unquote_to_bytes(found["text"]).decode(charset)
    except UnicodeDecodeError:
        return None


def _decoded(name: str) -> str:
    """Undo percent-encoding that is left in a name, at most twice."""
    for _ in range(2):
        if "%" not in name or not _ONLY_WHOLE_ESCAPES.fullmatch(name):
            return name
        raw = unquote_to_bytes(name.encode("utf-8", "surrogateescape"))
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            return name
    return name


def _as_text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _shortened(name: str) -> str:
    if len(name.encode("utf-8", "replace")) <= MAX_NAME_BYTES:
        return name
    stem, ending = os.path.splitext(name)
    if len(ending.encode("utf-8", "replace")) > _MAX_ENDING_BYTES:
        stem, ending = name, ""
    room = MAX_NAME_BYTES - len(ending.encode("utf-8", "replace"))
    return stem.encode("utf-8", "ignore")[:room].decode("utf-8", "ignore") + ending
