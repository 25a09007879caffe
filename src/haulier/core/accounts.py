"""Records of users and of the files that they keep on a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a user may do at most."""

    ADMIN = "admin"
    USER = "user"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account.

    Args:
        user_id: 26 characters of 0-9 and a-z.
        name: what signs in.
        role: what it may do at most.
        password_hash: Argon2id in PHC form; None where no password opens the account.
        token_version: tokens of an earlier version are void.
        disabled: nothing of it is accepted any more.
        quota_bytes: how much it may keep; None for no limit.
        used_bytes: how much it keeps.
        reserved_bytes: how much of uploads under way was announced.
    """

    user_id: str
    name: str
    role: Role
    created_at: datetime
    password_hash: str | None = None
    token_version: int = 1
    disabled: bool = False
    quota_bytes: int | None = None
    used_bytes: int = 0
    reserved_bytes: int = 0


class ScanState(StrEnum):
    """What a virus scan said of a file; `scan_detail` says it in words."""

    PENDING = "pending"
    CLEAN = "clean"
    INFECTED = "infected"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file that a user keeps on this server.

    Args:
        file_id: 26 characters of 0-9 and a-z that sort by the time it was made.
        owner_id: whose it is.
        name: as it was sent, made safe.
        folder: a path without slashes at its ends.
        crc64nvme: hexadecimal, as `crc32` and `sha256`, which is None until it is known.
        version: grows when other bytes are stored under the same name.
        content_id: by which these bytes are kept.
        revision: how often name, folder or tags of this version were changed.
        modified_at: since when these are its bytes.
        deleted_at: since when it lies in the trash.
        scan_state: what a virus scan said; `skipped` when there is no scanner.
        scan_detail: what was found, or why there is no verdict.
    """

    file_id: str
    owner_id: str
    name: str
    size_bytes: int
    crc64nvme: str
    crc32: str
    content_id: str
    created_at: datetime
    modified_at: datetime
    folder: str = ""
    mime_type: str | None = None
    sha256: str | None = None
    version: int = 1
    tags: Mapping[str, str] = field(default_factory=dict)
    scan_state: ScanState = ScanState.SKIPPED
    scan_detail: str | None = None
    revision: int = 0
    deleted_at: datetime | None = None

    @property
    def etag(self) -> str:
        """The strong validator of its content."""
        return f'"{self.file_id}-{self.version}-{self.crc64nvme}"'

    @property
    def metadata_etag(self) -> str:
        """The strong validator of all that is known of it: of its content, until that changes."""
        if self.revision == 0:
            return self.etag
        return f'"{self.file_id}-{self.version}-{self.crc64nvme}-{self.revision}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of a user; `path` has no slashes at its ends."""

    folder_id: str
    owner_id: str
    path: str
    created_at: datetime
