"""What is in an archive, told by its headers: nothing is extracted, and no name is followed.

The records, and the limits that are held while they are gathered. Archives inside are told by
their names and not opened.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from enum import StrEnum

from haulier.errors import MediaTooDemanding

_MAX_NAMES_BYTES = 8 << 20
# What is small when unpacked is no bomb, however well it was packed.
_HARMLESS_BYTES = 64 << 20
_ARCHIVE_NAME = re.compile(
    r"\.(zip|jar|7z|rar|tar|gz|tgz|bz2|tbz2?|xz|txz|zst|cab|iso)$", re.IGNORECASE
)
_DRIVE = re.compile(r"[A-Za-z]:")


class EntryKind(StrEnum):
    """What an entry of an archive is."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """How much of an archive is read, and what makes it a bomb.

    Attributes:
        max_members: most entries.
        max_total_bytes: most bytes that all entries together would unpack to.
        max_ratio: most bytes unpacked for each byte of the archive; not heeded below 64 MiB.
        timeout_s: seconds the listing may take.
    """

    max_members: int = 10_000
    max_total_bytes: int = 4 << 30
    max_ratio: float = 200
    timeout_s: float = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveEntry:
    """One entry; its name is as the archive has it, not to be trusted as a path."""

    name: str
    kind: EntryKind
    size_bytes: int
    is_encrypted: bool = False


@dataclass(slots=True)
class Listing:
    """Entries as they are found; the limits are held at each."""

    name: str
    packed_bytes: int
    limits: ArchiveLimits
    entries: list[ArchiveEntry] = field(default_factory=list)
    unsafe_names: list[str] = field(default_factory=list)
    total_bytes: int = 0
    names_bytes: int = 0

    @property
    def nested(self) -> list[str]:
        """Names of the entries that are archives themselves, by their endings."""
        return [entry.name for entry in self.entries if _ARCHIVE_NAME.search(entry.name)]

    def add(self, entry: ArchiveEntry, link_target: str | None = None) -> None:
        """Note an entry.

        Raises:
            MediaTooDemanding: with it there are too many entries, names or bytes.
        """
        self.total_bytes += entry.size_bytes
        self.names_bytes += len(entry.name)
        if len(self.entries) == self.limits.max_members or self.names_bytes > _MAX_NAMES_BYTES:
            raise MediaTooDemanding(
                f"{self.name} has more than {len(self.entries)} entries; at most "
                f"{self.limits.max_members} are listed"
            )
        self.check_total(self.total_bytes)
        self.entries.append(entry)
        if is_unsafe(entry.name) or (link_target is not None and _leads_out(entry, link_target)):
            self.unsafe_names.append(entry.name)

    def check_total(self, total_bytes: int) -> None:
        """Raise MediaTooDemanding when that many unpacked bytes are too many."""
        if total_bytes > self.limits.max_total_bytes:
            raise MediaTooDemanding(
                f"{self.name} would unpack to {total_bytes} bytes or more; at most "
                f"{self.limits.max_total_bytes} are allowed"
            )
        allowed = max(self.packed_bytes * self.limits.max_ratio, _HARMLESS_BYTES)
        if total_bytes > allowed:
            raise MediaTooDemanding(
                f"{self.name} would unpack to {total_bytes / self.packed_bytes:.0f} times its size "
                f"or more; at most {self.limits.max_ratio:g} times are allowed"
            )


def is_unsafe(name: str) -> bool:
    """Tell whether a name, taken as a path, could lead out of where the archive is unpacked."""
    parts = name.replace("\\", "/").split("/")
    return not name or "\0" in name or parts[0] == "" or ".." in parts or bool(_DRIVE.match(name))


def _leads_out(entry: ArchiveEntry, target: str) -> bool:
    if entry.kind is EntryKind.HARDLINK:
        return is_unsafe(target)
    target = target.replace("\\", "/")
    landing = os.path.normpath(os.path.join(os.path.dirname(entry.name), target))
    return target.startswith("/") or bool(_DRIVE.match(target)) or landing.split("/")[0] == ".."
