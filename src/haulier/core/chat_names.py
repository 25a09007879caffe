"""Names of files as chats get to see them."""

from __future__ import annotations

import os.path

from haulier.core.file_names import clean_name
from haulier.core.mime import types_of_name, usual_ending
from haulier.errors import ValidationError

_MOST_BYTES = 120
_QUOTES = str.maketrans("`", "'")


def name_for_chat(name: str, mime_type: str | None) -> str:
    """Return a name that is safe to show, with an ending that is the content's.

    Invisible characters, directories and leading dots go; it is cut to 120 bytes. What the ending
    says otherwise than the content does gets the right one behind it: a film called `a.html` is
    `a.html.mp4`, so that nothing opens it as what it is not.
    """
    try:
        cleaned = clean_name(_within(name, _MOST_BYTES * 2)).lstrip(". ")
    except ValidationError:
        cleaned = ""
    cleaned = cleaned or "file"
    ending = usual_ending(mime_type) if mime_type else None
    if ending is not None and mime_type not in types_of_name(cleaned):
        cleaned += ending
    stem, ending = os.path.splitext(cleaned)
    return _within(stem, _MOST_BYTES - len(ending.encode())) + ending


def quoted(name: str) -> str:
    """Return a name as chats show it letter by letter, whatever signs it holds."""
    return f"`{name.translate(_QUOTES)}`"


def _within(text: str, most_bytes: int) -> str:
    """Return the text, its middle cut out where it is longer than that."""
    encoded = text.encode(errors="ignore")
    if len(encoded) <= most_bytes:
        return encoded.decode()
    half = max(0, most_bytes // 2 - 2)
    head = encoded[:half].decode(errors="ignore")
    return head + "…" + encoded[len(encoded) - half :].decode(errors="ignore")
