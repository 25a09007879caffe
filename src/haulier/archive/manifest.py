"""The manifest of a target: one line per file, in the form `sha256sum -c` reads.

The SHA-256 of the manifest is a directory's checksum, so anybody can compute it again with
`find`, `sort` and `sha256sum`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_ESCAPE_TABLE = str.maketrans(_ESCAPES)


def manifest_lines(pairs: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    """Yield the manifest's lines, sorted by the bytes of their paths.

    Args:
        pairs: (path, SHA-256 in hex) of each file; paths relative to the target, bytes that
            are not UTF-8 as surrogate escapes.
    """
    for path, sha256 in sorted(pairs, key=lambda pair: os.fsencode(pair[0])):
        mark = "\\" if any(character in path for character in _ESCAPES) else ""
        yield os.fsencode(f"{mark}{sha256}  {path.translate(_ESCAPE_TABLE)}\n")


def manifest_checksum(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the manifest's SHA-256 as `sha256:<hex>`."""
    digest = hashlib.sha256()
    for line in manifest_lines(pairs):
        digest.update(line)
    return f"sha256:{digest.hexdigest()}"
