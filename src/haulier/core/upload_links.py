"""Records of links by which people without an account bring files into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLink:
    """A link into one folder; it never shows what lies there.

    Args:
        link_id: 26 characters of 0-9 and a-z.
        folder_id: the folder it leads into.
        creator_id: who made it.
        token_hash: SHA-256 of what is in the link, in hexadecimal; the link itself is not kept.
        title: what people are told that it is for.
        password_hash: Argon2id in PHC form; None where the link alone is enough.
        max_files: how many files may come; None for no limit.
        max_bytes: how many bytes these may have together; None for no limit.
        files: how many came or are on their way.
        size_bytes: how many bytes these have.
        expires_at: when the link ends; None where it does not.
        revoked_at: when it was taken back.
    """

    link_id: str
    folder_id: str
    creator_id: str
    token_hash: str
    created_at: datetime
    title: str = ""
    password_hash: str | None = None
    max_files: int | None = None
    max_bytes: int | None = None
    files: int = 0
    size_bytes: int = 0
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Tell whether it was not taken back and has not expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def is_full(self) -> bool:
        """Whether no file may come any more."""
        return self.max_files is not None and self.files >= self.max_files
