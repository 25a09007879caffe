"""Names as people ask for them: exactly, or by a glob of `*` and `?`."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Column, ColumnElement, and_, func, literal, or_

from haulier.catalog.types import HEAD_CHARACTERS, PLAIN_TEXT, TextHead, encode_text

_LAST_CODE_POINT = 0x10FFFF
_WILDCARD = re.compile(r"[*?]")
_TRIGRAM = 3


def is_glob(pattern: str) -> bool:
    """Return whether `pattern` has a wildcard."""
    return _WILDCARD.search(pattern) is not None


def literal_prefix(pattern: str) -> str:
    """Return what every match begins with."""
    return _WILDCARD.split(pattern, maxsplit=1)[0]


def literal_runs(pattern: str) -> list[str]:
    """Return what stands before, between and behind the wildcards of `pattern`."""
    return _WILDCARD.split(pattern)


def has_trigram(pattern: str) -> bool:
    """Return whether a run of at least three literal characters occurs in `pattern`."""
    return any(len(run) >= _TRIGRAM for run in literal_runs(pattern))


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return `column` as an expression no index answers: the other filters choose one."""
    return func.coalesce(column, column)


def glob(column: ColumnElement[str], pattern: str, dialect: str) -> ColumnElement[bool]:
    """Return the test that `column` matches `pattern`, case-sensitively."""
    if dialect == "sqlite":
        return column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))
    escaped = re.sub(r"[\\%_]", r"\\\g<0>", pattern)
    return column.like(escaped.replace("*", "%").replace("?", "_"), escape="\\")


def starts_with(column: Column[str], prefix: str) -> ColumnElement[bool]:
    """Return the test that `column` begins with `prefix`, as a range an index answers.

    Of a prefix longer than a `TextHead` column only as much is tested as that holds.
    """
    encoded = encode_text(prefix)
    if isinstance(column.type, TextHead):
        encoded = encoded[:HEAD_CHARACTERS]
    lower = column >= literal(encoded, PLAIN_TEXT)
    successor = _successor(encoded)
    return lower if successor is None else and_(lower, column < literal(successor, PLAIN_TEXT))


def under(column: Column[str], path: str) -> ColumnElement[bool]:
    """Return the test that `column` is `path` or lies below it."""
    return or_(column == path, starts_with(column, path.rstrip("/") + "/"))


def exceeds_head(text: str) -> bool:
    """Return whether a `TextHead` column can't tell `text` from others that begin alike."""
    return len(encode_text(text)) >= HEAD_CHARACTERS


def _successor(prefix: str) -> str | None:
    """Return the least string above all that begin with `prefix`, by code point."""
    stem = prefix.rstrip(chr(_LAST_CODE_POINT))
    if not stem:
        return None
    last = ord(stem[-1])
    following = 0xE000 if last == 0xD7FF else last + 1  # no surrogates in encoded text
    return stem[:-1] + chr(following)
