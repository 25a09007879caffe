"""Records of links by which files are shared with whoever has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A link to one file.

    Args:
        share_id: 26 characters of 0-9 and a-z.
        file_id: the file it leads to.
        creator_id: who made it.
        token_hash: SHA-256 of what is in the link, in hexadecimal; the link itself is not kept.
        password_hash: Argon2id in PHC form; None where the link alone is enough.
        max_downloads: how often the file may be fetched; None for no limit.
        downloads: how often it was.
        expires_at: when the link ends; None where it does not.
        revoked_at: when it was taken back.
    """

    share_id: str
    file_id: str
    creator_id: str
    token_hash: str
    created_at: datetime
    password_hash: str | None = None
    max_downloads: int | None = None
    downloads: int = 0
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Tell whether it was not taken back and has not expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def is_exhausted(self) -> bool:
        """Whether no download is left."""
        return self.max_downloads is not None and self.downloads >= self.max_downloads
