"""Names at the other end: keys of archives, and what a duplicate is called.

A key is made from a file's name and must be valid text that any tool can show on one line: bytes
that are not UTF-8, control characters and line separators are written `%XX`. In such a name, and
in one that looks as if it had been written so, `%` itself becomes `%25`; thus two names never
make one key, and what was escaped can be read back. All other names are keys as they are.

A name too long for S3, or for the file system of a local store, is cut, keeps its ending, and is
told apart by a hash.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from haulier.errors import UsageError

COMPONENT_BYTES = 255
KEY_BYTES = 1024
SUFFIXES = {"gzip": ".tar.gz", "zstd": ".tar.zst", "none": ".tar"}
_RESERVE_BYTES = 60  # room for a time, a number, the index's suffix, a temporary file's
_LEAST_BYTES = 64
_HASH_DIGITS = 16
_ENDING_BYTES = 32
# C0 and C1 controls, line separators, surrogates (bytes that are not UTF-8), and the two
# characters that XML, and so a listing of a bucket, can't hold.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_LOOKS_ESCAPED = re.compile("%(?:[01][0-9A-F]|25|7F|[89A-F][0-9A-F])")


def object_key(prefix: str, name: str, compression: str) -> str:
    """Return the key of the archive of `name`: prefix, safe name, suffix of the codec.

    Raises:
        UsageError: the prefix leaves no room for a name in the 1,024 bytes of a key.
    """
    suffix = SUFFIXES[compression]
    taken_bytes = _RESERVE_BYTES + len(suffix)
    room_bytes = min(COMPONENT_BYTES, KEY_BYTES - len(prefix.encode())) - taken_bytes
    if room_bytes < _LEAST_BYTES:
        raise UsageError(
            f"the prefix {prefix[:40]!r}… is too long for a key", hint="Use a shorter prefix."
        )
    return prefix + _shortened(_safe(name), room_bytes) + suffix


def _safe(name: str) -> str:
    if not _UNSAFE.search(name) and not _LOOKS_ESCAPED.search(name):
        return name
    return _UNSAFE.sub(_escape, name.replace("%", "%25"))


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(match[0]))


def _shortened(name: str, limit_bytes: int) -> str:
    encoded = os.fsencode(name)
    if len(encoded) <= limit_bytes:
        return name
    stem, ending = os.path.splitext(name)
    if len(os.fsencode(ending)) > _ENDING_BYTES:
        stem, ending = name, ""
    digest = hashlib.sha256(encoded).hexdigest()[:_HASH_DIGITS]
    kept_bytes = limit_bytes - len(os.fsencode(ending)) - _HASH_DIGITS - 1
    kept = os.fsencode(stem)[:kept_bytes].decode(errors="ignore")
    return f"{kept}-{digest}{ending}"


def compact_time(moment: datetime) -> str:
    """Return `moment` in UTC as `20260102T030405Z`."""
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
    """Return `key` below a directory of that time: `20260102T030405Z/a.tar.gz`.

    A further clash (`number` 2 and up) reads `20260102T030405Z-2/a.tar.gz`.
    """
    directory, slash, name = key.rpartition("/")
    return f"{directory}{slash}{_stamp(moment, number)}/{name}"


def duplicate_names(name: str, handling: str, moment: datetime) -> Iterator[str]:
    """Yield names to try in the completed directory, relative to it, without end.

    The plain name comes first; then, by `handling`, `20260102T030405Z_name` (`timestamp`) or
    `20260102T030405Z/name` (`subdirectory`), then the same with `-2`, `-3`, … behind the time,
    so that the name keeps its ending. With `error` the plain name is the only one. A name that
    would become too long for a file system behind its time is shortened as in a key.
    """
    yield name
    if handling == "error":
        return
    number = 1
    while True:
        stamp = _stamp(moment, number)
        if handling == "subdirectory":
            yield f"{stamp}/{name}"
        else:
            yield f"{stamp}_{_shortened(name, COMPONENT_BYTES - len(stamp) - 1)}"
        number += 1
