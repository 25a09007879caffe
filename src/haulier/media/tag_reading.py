"""What a file of sound says of itself: title, artist and so on, whatever its tags are.

Imported in worker processes only.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import mutagen
from mutagen.id3 import ID3
from mutagen.mp4 import MP4Tags
from PIL import Image, UnidentifiedImageError

from haulier.errors import UnsupportedMedia
from haulier.media.probe_reading import describe
from haulier.media.sound_reading import read_cover

_MOST_VALUES = 50
_MOST_CHARS = 1000
# Our name: the frame of ID3, the atom of MP4, the key of Vorbis comments and APE tags.
_KEYS = {
    "title": ("TIT2", "\xa9nam", "title"),
    "artist": ("TPE1", "\xa9ART", "artist"),
    "album": ("TALB", "\xa9alb", "album"),
    "album_artist": ("TPE2", "aART", "albumartist"),
    "composer": ("TCOM", "\xa9wrt", "composer"),
    "genre": ("TCON", "\xa9gen", "genre"),
    "date": ("TDRC", "\xa9day", "date"),
    "track": ("TRCK", "trkn", "tracknumber"),
    "disc": ("TPOS", "disk", "discnumber"),
    "comment": ("COMM", "\xa9cmt", "comment"),
}
_SEVERAL = {"artist", "genre"}
_NUMBERS = {"track", "disc"}


def describe_tags(path: str) -> dict[str, Any]:
    """Return the fields of `audio.AudioTags`; FFmpeg tells what mutagen does not."""
    probed = describe(path, exact=False)
    if not probed["audio"]:
        raise UnsupportedMedia(f"{os.path.basename(path)} has no sound")
    values = {name: [value] for name, value in probed["tags"].items()}
    values |= {name: texts for name, texts in _by_mutagen(path).items() if texts}
    told: dict[str, Any] = {}
    for name in _KEYS:
        texts = [text.strip()[:_MOST_CHARS] for text in values.get(name, []) if text.strip()]
        if name in _NUMBERS:
            told[name], told[f"{name}s"] = _number_of(texts[0] if texts else "")
        elif name in _SEVERAL:
            told[f"{name}s"] = texts[:_MOST_VALUES]
        else:
            told[name] = texts[0] if texts else None
    return {**told, "cover": _cover(path) if probed["cover_art"] else None}


def _by_mutagen(path: str) -> dict[str, list[str]]:
    try:
        file = mutagen.File(path)
    except mutagen.MutagenError:
        return {}
    # A file without tags is falsy.
    if file is None or file.tags is None:
        return {}
    kind = 0 if isinstance(file.tags, ID3) else 1 if isinstance(file.tags, MP4Tags) else 2
    return {name: list(_texts(file.tags, keys[kind])) for name, keys in _KEYS.items()}


def _texts(tags: Any, key: str) -> Iterator[str]:
    if isinstance(tags, ID3):
        # A comment's key goes on with its language.
        frames: list[Any] = tags.getall(key)  # type: ignore[no-untyped-call]  # mutagen has no types
        for frame in frames:
            yield from (str(text) for text in frame.text)
        return
    found = tags.get(key, [])
    for value in found if isinstance(found, (list, tuple)) else [found]:
        yield "/".join(str(part) for part in value) if isinstance(value, tuple) else str(value)


def _number_of(text: str) -> tuple[int | None, int | None]:
    """Return `3` and `12` of `3/12`; None for what is not told."""
    number, _, total = text.partition("/")
    first, second = (
        int(part) if part.isdecimal() and len(part) < 6 else 0
        for part in (number.strip(), total.strip())
    )
    return first or None, second or None


def _cover(path: str) -> dict[str, Any] | None:
    data = read_cover(path)
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP", "GIF", "BMP")) as image:
            return {
                "mime_type": image.get_format_mimetype(),
                "width": image.width,
                "height": image.height,
                "size_bytes": len(data),
            }
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError):
        return None
