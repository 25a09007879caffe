"""What an upload was asked to do: decided once at the start and journaled, so that a resume in
another process, with other settings, finishes what was begun."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOptions:
    """The choices of one upload; defaults are those of the settings' defaults.

    `encrypt` names a key (a file's path or `keyring:NAME`), never holds one. `completed_dir`
    None: sources stay where they are. `keep_archive_dir`: where a copy of the archive is
    written as well. `jobs`: parts in flight at once.
    """

    compression: str = "gzip"
    storage_class: str | None = None
    sse: str | None = None
    sse_kms_key_id: str | None = None
    encrypt: str | None = None
    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    hidden: bool = False
    force: bool = False
    local_dir: str = "."
    completed_dir: str | None = None
    preserve_structure: bool = False
    duplicate_handling: str = "timestamp"
    keep_archive_dir: str | None = None
    sha256: bool = False
    jobs: int = 4

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what `to_json` wrote, ignoring what this version does not know."""
        names = {f.name for f in dataclasses.fields(cls)}
        known = {name: value for name, value in values.items() if name in names}
        for name in ("exclude", "include"):
            known[name] = tuple(known.get(name, ()))
        return cls(**known)
