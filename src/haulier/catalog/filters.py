"""What listings can be asked for, and the pages they answer with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from haulier.core.records import FileStatus, OperationStatus
from haulier.errors import UsageError

T = TypeVar("T")

Tag = tuple[str, str | None]
"""A tag's key and value; None stands for any value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some items of a listing; `next_cursor` asks for those after them, None at the end."""

    items: list[T]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFilter:
    """Which operations to list; what is None does not filter. Newest first.

    `since` (inclusive) and `until` (exclusive) bound `started_at`. `name` is the target's
    name, or a glob where `*` is any run of characters and `?` one. `location` is where the
    remote file rests. `tag` and `file` (a path) ask for operations one of whose file
    records has them. Raises UsageError when `limit` is below 1.
    """

    status: OperationStatus | None = None
    since: datetime | None = None
    until: datetime | None = None
    name: str | None = None
    location: str | None = None
    operation_type: str | None = None
    user: str | None = None
    tag: Tag | None = None
    file: str | None = None
    limit: int = 50
    cursor: str | None = None

    def __post_init__(self) -> None:
        _check_limit(self.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFilter:
    """Which file records to list; what is None does not filter. Newest first.

    `name` is a name or a glob as in `OperationFilter`. `path` finds the file of that path
    and everything below it. `since` (inclusive) and `until` (exclusive) bound when the
    record was made, to the millisecond. Raises UsageError when `limit` is below 1.
    """

    name: str | None = None
    path: str | None = None
    location: str | None = None
    status: FileStatus | None = None
    since: datetime | None = None
    until: datetime | None = None
    tag: Tag | None = None
    checksum: str | None = None
    is_directory: bool | None = None
    limit: int = 50
    cursor: str | None = None

    def __post_init__(self) -> None:
        _check_limit(self.limit)


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise UsageError(f"a page of {limit} items", hint="Ask for at least one item.")
