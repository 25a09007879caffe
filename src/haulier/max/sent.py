"""What became of files, and which of them go into one message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from haulier import errors
from haulier.max.models import Message
from haulier.max.outgoing import MOST_ATTACHMENTS
from haulier.max.preparing import Prepared
from haulier.max.upload_types import UploadType
from haulier.max.uploads import Uploaded

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFile:
    """A file that is in a chat, or could not be sent.

    Attributes:
        name, mime_type, size_bytes, type: as it was sent; None where that was not found out.
        checksum: `crc64nvme:…` of what was sent; None where MAX had it already (`is_reused`).
        token: sends it again without an upload.
        message: which it is in; None when it could not be sent.
        warnings: what does not fit together, such as name and content.
        error: why it could not be sent.
    """

    name: str
    type: UploadType | None = None
    mime_type: str | None = None
    size_bytes: int | None = None
    checksum: str | None = None
    token: str | None = None
    message: Message | None = None
    warnings: tuple[str, ...] = ()
    is_reused: bool = False
    error: errors.HaulierError | None = None


def joins(group: Sequence[Prepared], file: Prepared) -> bool:
    """Tell whether a file goes into one message with those."""
    return len(grouped([*group, file], lambda one: one.type.is_grouped)) == 1


def groups_of(files: Sequence[Prepared]) -> list[list[Prepared]]:
    """Return what goes into one message each, in the order given."""
    return grouped(files, lambda file: file.type.is_grouped)


def grouped(files: Sequence[T], may_join: Callable[[T], bool]) -> list[list[T]]:
    """Put files that follow each other into one message where MAX shows them together.

    Args:
        files: in the order in which they are shown.
        may_join: whether a file may share a message.
    """
    groups: list[list[T]] = []
    for file in files:
        last = groups[-1] if groups else []
        joins = bool(last) and may_join(file) and may_join(last[0])
        if joins and len(last) < MOST_ATTACHMENTS:
            last.append(file)
        else:
            groups.append([file])
    return groups


def told_of(
    file: Prepared, uploaded: Uploaded | None = None, message: Message | None = None
) -> SentFile:
    """Return what is known of a file that was sent, or could not be."""
    return SentFile(
        name=file.name,
        type=file.type,
        mime_type=file.mime_type,
        size_bytes=file.size_bytes,
        checksum=None if uploaded is None else uploaded.checksum,
        token=None if uploaded is None else uploaded.token,
        message=message,
        warnings=file.warnings,
        is_reused=uploaded is not None and uploaded.is_reused,
    )
