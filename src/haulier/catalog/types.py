"""Column types that mean the same on SQLite and PostgreSQL.

Neither database stores a lone surrogate (how Python spells a byte of a file name that is
not UTF-8), and PostgreSQL no NUL. `SafeText` moves these characters to private-use
characters of plane 16 (U+DCxx to U+10DCxx) and back. A name that really holds one of those
private characters is stored as its UTF-8 bytes, each a surrogate escape, so what comes back
encodes to the same bytes. `JsonText` writes ASCII only, where JSON's own escapes do this.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

PLAIN_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that compares by code point on both databases and is known to be storable."""

BIG_KEY = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit key the database counts up by itself."""

HEAD_CHARACTERS = 200

_PLANE_16 = 0x100000
_NUL_STANDS_AS = "\U0010d7ff"
_UNSTORABLE = re.compile("[\0\ud800-\udfff\U0010d7ff-\U0010dfff]")
_STANDS_FOR_UNSTORABLE = re.compile("[\U0010d7ff-\U0010dfff]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def encode_text(text: str) -> str:
    """Return `text` with every character that can't be stored moved to plane 16."""
    return _UNSTORABLE.sub(_encode_character, text)


def decode_text(text: str) -> str:
    """Undo `encode_text`."""
    return _STANDS_FOR_UNSTORABLE.sub(_decode_character, text)


def to_microseconds(moment: datetime) -> int:
    """Return the microseconds since 1970; raises ValueError when `moment` has no offset."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no UTC offset")
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """Undo `to_microseconds`; raises OverflowError outside the years 1 to 9999."""
    return _EPOCH + count * _MICROSECOND


class SafeText(TypeDecorator[str]):
    """Any Python string, lone surrogates and NUL included; see the module's docstring."""

    impl = PLAIN_TEXT
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else encode_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else decode_text(value)


class TextHead(SafeText):
    """The first characters of a text of any length, short enough for an index.

    PostgreSQL refuses index entries above 2,704 bytes and a path may have 4,096. Whatever
    is stored in, or compared with, such a column is cut to `HEAD_CHARACTERS`.
    """

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        encoded = super().process_bind_param(value, dialect)
        return None if encoded is None else encoded[:HEAD_CHARACTERS]


class UtcTime(TypeDecorator[datetime]):
    """An aware time to the microsecond: a 64-bit integer on SQLite, else timestamptz.

    Raises ValueError (wrapped by SQLAlchemy) when given a time without an offset.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        microseconds = to_microseconds(value)
        return microseconds if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return from_microseconds(value)
        moment: datetime = value
        return moment.astimezone(UTC)


class JsonText(TypeDecorator[Any]):
    """JSON as ASCII text, so that any string inside it can be stored."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:  # noqa: ARG002 - SQLAlchemy's signature
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else json.loads(value)


def _encode_character(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\0":
        return _NUL_STANDS_AS
    if ord(character) < _PLANE_16:
        return chr(_PLANE_16 + ord(character))
    return "".join(chr(_PLANE_16 + 0xDC00 + byte) for byte in character.encode())


def _decode_character(match: re.Match[str]) -> str:
    character = match[0]
    return "\0" if character == _NUL_STANDS_AS else chr(ord(character) - _PLANE_16)
