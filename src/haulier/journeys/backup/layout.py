"""What lies in a backup of a server, and how it is read, copied and checked.

`backup.json` names all else and is written last, so that an unfinished backup changes nothing. In
`catalog-TIME/` are a copy of the catalog and the list of files, in `data/` these files, as they lay
in the data directory.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from haulier.archive.rename import sync_directory
from haulier.core.checksums import crc64nvme
from haulier.errors import ConfigurationError, UnknownReference, VerificationFailed
from haulier.transfer.sessions.packing import SUFFIX
from haulier.transfer.sessions.seekable import unpacked

FORMAT = 1
MANIFEST = "backup.json"
DATA = "data"
FILES = "files"
QUARANTINE = "quarantine"
ITEMS = "items.jsonl"
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file of a backup.

    Args:
        path: where it lies below the data directory.
        size_bytes: how long it is there.
        crc64nvme: of its bytes as they lie there, in hexadecimal.
        mtime_ns: of the file that was copied; 0 of contents, which never change.
    """

    path: str
    size_bytes: int
    crc64nvme: str
    mtime_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds.

    Args:
        made_at: when, in RFC 3339.
        haulier: the version that made it.
        schema: of its catalog.
        catalog: the name of its directory.
        catalog_files: SHA-256 of each file in there.
        files: how many stored files and versions it has the bytes of.
        bucket: the bucket that these bytes are in, where they are not in the backup.
        missing: contents whose bytes were not there when it was made.
    """

    made_at: str
    haulier: str
    schema: str
    catalog: str
    catalog_files: Mapping[str, str]
    files: int
    bucket: str | None
    missing: tuple[str, ...]


def content_paths(content_id: str) -> list[str]:
    """Return where a content may lie below a data directory, in the order in which it moves on."""
    plain = f"{FILES}/{content_id[-2:]}/{content_id}", f"{QUARANTINE}/{content_id}"
    return [path for one in plain for path in (one, one + SUFFIX)]


def read_manifest(backup: Path) -> Manifest:
    """Read what a backup holds.

    Raises:
        UnknownReference: there is none, or it never came to an end.
        ConfigurationError: a newer haulier made it.
        VerificationFailed: it can't be read.
    """
    try:
        told = json.loads((backup / MANIFEST).read_text("utf-8"))
        version = told.pop("format")
        if version == FORMAT:
            return Manifest(**{**told, "missing": tuple(told["missing"])})
    except FileNotFoundError:
        raise UnknownReference(
            f"there is no finished backup in {backup}", hint="Name the directory of a backup."
        ) from None
    except (OSError, ValueError, LookupError, TypeError) as exc:
        raise VerificationFailed(f"{backup / MANIFEST} can't be read: {exc}") from exc
    raise ConfigurationError(
        f"the backup {backup} has format {version}, this haulier knows {FORMAT}",
        hint="A newer haulier made it: upgrade haulier (`pip install -U haulier`).",
    )


def write_manifest(backup: Path, manifest: Manifest) -> None:
    """Make a backup the one that its directory holds; what it names is on the disk already."""
    temporary = backup / f".{MANIFEST}"
    with temporary.open("w", encoding="utf-8") as out:
        json.dump({"format": FORMAT, **asdict(manifest)}, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(backup / MANIFEST)
    sync_directory(backup)


def read_items(catalog: Path) -> Iterator[Item]:
    """Read the list of a backup's files."""
    with (catalog / ITEMS).open(encoding="utf-8") as lines:
        for line in lines:
            yield Item(**json.loads(line))


def write_items(catalog: Path, items: Iterable[Item]) -> None:
    """Write the list of a backup's files."""
    with (catalog / ITEMS).open("w", encoding="utf-8") as out:
        for item in items:
            told: dict[str, Any] = asdict(item)
            out.write(json.dumps(told) + "\n")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksum_of(path: Path) -> tuple[int, str]:
    """Return the size of a file and its CRC-64/NVME."""
    size = crc = 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            size, crc = size + len(piece), crc64nvme(piece, crc)
    return size, f"{crc:016x}"


def checksum_of_packed(path: Path) -> tuple[int, str]:
    """Return the size of what is packed in a file, and its CRC-64/NVME.

    Raises:
        VerificationFailed: it was altered, or cut.
        OSError: it can't be read.
    """
    size = crc = 0
    for piece in unpacked(path):
        size, crc = size + len(piece), crc64nvme(piece, crc)
    return size, f"{crc:016x}"


def copy_file(source: Path, target: Path) -> tuple[int, str]:
    """Copy a file (0600) over whatever is there; return its size and its CRC-64/NVME.

    Raises:
        OSError: it can't be read or written.
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    size = crc = 0
    with source.open("rb", buffering=0) as file:
        descriptor = os.open(target, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as out:
            while piece := file.read(_PIECE_BYTES):
                size, crc = size + len(piece), crc64nvme(piece, crc)
                rest = memoryview(piece)
                while rest:
                    rest = rest[out.write(rest) :]
    return size, f"{crc:016x}"
