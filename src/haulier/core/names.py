"""Names at the other end: keys of archives, and what a duplicate is called.

A key is made from a file's name and must be valid text: bytes that are not UTF-8 and control
characters are written `%XX`, and so is `%` itself, but only in a name that needs it. A name too
long for a file system or for S3 is cut and told apart by a hash.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime

COMPONENT_BYTES = 255
SUFFIXES = {"gzip": ".tar.gz", "zstd": ".tar.zst", "none": ".tar"}
_RESERVE_BYTES = 60  # room for a time, a number and the index's suffix
_HASH_DIGITS = 16
_DELETE = 0x7F


def object_key(prefix: str, name: str, compression: str) -> str:
    """Return the key of the archive of `name`: prefix, safe name, suffix of the codec."""
    suffix = SUFFIXES[compression]
    return prefix + _shortened(_safe(name), COMPONENT_BYTES - _RESERVE_BYTES - len(suffix)) + suffix


def _safe(name: str) -> str:
    if all(character.isprintable() or character == " " for character in name):
        return name
    return "".join(_escaped(character) for character in name)


def _escaped(character: str) -> str:
    if character != "%" and (character.isprintable() or character == " "):
        return character
    return "".join(f"%{byte:02X}" for byte in os.fsencode(character))


def _shortened(name: str, limit: int) -> str:
    encoded = name.encode()
    if len(encoded) <= limit:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:_HASH_DIGITS]
    kept = encoded[: limit - _HASH_DIGITS - 1].decode(errors="ignore")
    return f"{kept}-{digest}"


def compact_time(moment: datetime) -> str:
    """Return `moment` as `20260102T030405Z`."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _stamp(moment: datetime, number: int) -> str:
    return compact_time(moment) + (f"-{number}" if number > 1 else "")


def timestamped_key(key: str, moment: datetime, number: int = 1) -> str:
    """Return `key` with the time before its suffix: `a.20260102T030405Z.tar.gz`.

    A further clash (`number` 2 and up) reads `a.20260102T030405Z-2.tar.gz`.
    """
    for suffix in SUFFIXES.values():
        if key.endswith(suffix):
            return f"{key.removesuffix(suffix)}.{_stamp(moment, number)}{suffix}"
    return f"{key}.{_stamp(moment, number)}"


def subdirectory_key(key: str, moment: datetime, number: int = 1) -> str:
    """Return `key` below a directory of that time: `20260102T030405Z/a.tar.gz`."""
    directory, slash, name = key.rpartition("/")
    return f"{directory}{slash}{_stamp(moment, number)}/{name}"


def duplicate_names(name: str, handling: str, moment: datetime) -> Iterator[str]:
    """Yield names to try in the completed directory, relative to it, without end.

    The plain name comes first; then, by `handling`, `20260102T030405Z_name` (`timestamp`) or
    `20260102T030405Z/name` (`subdirectory`), then the same with `-2`, `-3`, … behind the time,
    so that the name keeps its ending. With `error` the plain name is the only one.
    """
    yield name
    if handling == "error":
        return
    separator = "/" if handling == "subdirectory" else "_"
    number = 1
    while True:
        stamp = _stamp(moment, number)
        yield _fitting(stamp + separator, name) if separator == "_" else f"{stamp}/{name}"
        number += 1


def _fitting(stamp: str, name: str) -> str:
    """Return stamp and name as one component; a name near the limit loses its middle."""
    room = COMPONENT_BYTES - len(stamp)
    encoded = os.fsencode(name)
    if len(encoded) <= room:
        return stamp + name
    stem, ending = os.path.splitext(name)
    ending_bytes = len(os.fsencode(ending))
    kept = os.fsencode(stem)[: room - ending_bytes - _HASH_DIGITS - 1]
    digest = hashlib.sha256(encoded).hexdigest()[:_HASH_DIGITS]
    return f"{stamp}{kept.decode(errors='ignore')}-{digest}{ending}"
