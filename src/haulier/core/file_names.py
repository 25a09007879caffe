"""Names that clients give to files: made safe to keep, to show and to send in a header."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

from haulier.errors import ValidationError

_MOST_BYTES = 255
_MOST_FOLDER_BYTES = 1024
# Control characters, those that turn the direction of the text around them, and the private ones
# that stand for bytes that are no text where names are stored.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U0010d7ff-\U0010dfff]"
)
_PLAIN = re.compile(r"[\w .+,=@~()-]+", re.ASCII)


def clean_name(given: str) -> str:
    """Return `given` without directories and invisible characters, in the form NFC.

    Raises:
        ValidationError: nothing is left of it, or it is longer than 255 bytes.
    """
    name = _INVISIBLE.sub("", unicodedata.normalize("NFC", given.replace("\\", "/")))
    name = name.rsplit("/", 1)[-1].strip()
    if name in {"", ".", ".."}:
        raise ValidationError("a file needs a name", hint="Give it in the field `name`.")
    if len(name.encode()) > _MOST_BYTES:
        raise ValidationError(f"a name has at most {_MOST_BYTES} bytes")
    return name


def clean_folder(given: str) -> str:
    """Return a folder's path with clean names, without slashes at its ends.

    Raises:
        ValidationError: one of its names can't be, or it is longer than 1,024 bytes.
    """
    folder = "/".join(clean_name(part) for part in given.split("/") if part)
    if len(folder.encode()) > _MOST_FOLDER_BYTES:
        raise ValidationError(f"a folder's path has at most {_MOST_FOLDER_BYTES} bytes")
    return folder


def content_disposition(name: str, *, inline: bool) -> str:
    """Return the header for `name` (RFC 6266): plain where it can be, in UTF-8 beside it else."""
    kind = "inline" if inline else "attachment"
    if _PLAIN.fullmatch(name):
        return f'{kind}; filename="{name}"'
    plain = re.sub(r"[^\w .+,=@~()-]", "_", name, flags=re.ASCII)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def ancestors(folder: str) -> list[str]:
    """Return the paths of a folder and of those around it, from the top; none of the top."""
    parts = folder.split("/") if folder else []
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def another_name(name: str, number: int) -> str:
    """Return `name` told apart from others by a number before its ending."""
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, dot, ending = name, "", ""
    mark = f" ({number})"
    room = _MOST_BYTES - len(f"{mark}{dot}{ending}".encode())
    return f"{stem.encode()[:room].decode(errors='ignore')}{mark}{dot}{ending}"
