"""What a chat calls a file that it has already, and when that may be used again."""

from __future__ import annotations

from dataclasses import dataclass

from haulier.core.checksums import parse_checksum
from haulier.core.records import JsonRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKey:
    """Which upload a token stands for.

    Args:
        content: `<algorithm>:<hex>` of the file's bytes.
        type: what it was sent as, in the chat's words.
        bot: who sent it; a token is its bot's own.
        name: the file's name, where the chat shows it; else empty.

    Raises:
        UsageError: `content` is no checksum.
    """

    content: str
    type: str
    bot: str
    name: str = ""

    def __post_init__(self) -> None:
        parse_checksum(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStatistics(JsonRecord):
    """What tokens were good for: files found, files to be sent, tokens that the chat refused
    (each a miss), and bytes that were not sent again."""

    tokens: int = 0
    hits: int = 0
    misses: int = 0
    refused: int = 0
    bytes_saved: int = 0
