"""Keys of a store as folders and names on a haulier server."""

from __future__ import annotations

import unicodedata

from haulier import errors
from haulier.core.file_names import clean_folder, clean_name
from haulier.store.keys import check_key

_HINT = "Give it another name."


def split_key(key: str) -> tuple[str, str]:
    """Return the folder and the name that `key` is on a server.

    The server writes names in the form NFC, so that keys that look alike are one.

    Raises:
        UnsafePath: it can't be a key, or the server would keep it under another name.
    """
    folder, _, name = check_key(key).rpartition("/")
    try:
        cleaned = clean_folder(folder), clean_name(name)
    except errors.ValidationError as exc:
        raise errors.UnsafePath(f"the key {key!r} can't be kept: {exc}", hint=_HINT) from None
    if cleaned != (unicodedata.normalize("NFC", folder), unicodedata.normalize("NFC", name)):
        raise errors.UnsafePath(
            f"a server would keep {key!r} under another name, {key_of(*cleaned)!r}", hint=_HINT
        )
    return cleaned


def key_of(folder: str, name: str) -> str:
    """Return the key of a file called `name` in `folder`."""
    return f"{folder}/{name}" if folder else name
