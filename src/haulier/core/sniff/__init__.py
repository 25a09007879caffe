"""What a file is, told by its bytes: pure thought over a few of them, without any I/O.

`sniff` takes the first bytes, and the last where the file is longer. Own tables and walks; no
part of the file is unpacked or decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from haulier.core.mime import FileKind, MediaType, kind_of
from haulier.core.sniff.boxes import by_container
from haulier.core.sniff.frames import by_frames, id3_bytes
from haulier.core.sniff.signatures import by_short_signature, by_signature, is_tar
from haulier.core.sniff.text import by_text
from haulier.core.sniff.zips import by_members, by_streams

__all__ = [
    "HEAD_BYTES",
    "TAIL_BYTES",
    "Certainty",
    "FileKind",
    "MediaType",
    "Sniffed",
    "id3_bytes",
    "sniff",
]

HEAD_BYTES = 64 << 10
"""How many of the first bytes are enough; an ISO 9660 image says what it is at 32 KiB."""
TAIL_BYTES = 66 << 10
"""How many of the last are enough: a zip's end with the longest comment."""
_PDF_MAY_BEGIN_WITHIN = 1024


class Certainty(StrEnum):
    """How sure a type is."""

    CERTAIN = "certain"
    """A signature of four bytes or more, or fields that agree with each other."""
    LIKELY = "likely"
    """A short signature, or a beginning that other files might have too."""
    GUESSED = "guessed"
    """How it looks: text that is in no way marked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sniffed:
    """A type told by content."""

    mime_type: str
    kind: FileKind
    certainty: Certainty


def sniff(head: bytes, tail: bytes = b"", *, behind_tag: bytes = b"") -> Sniffed | None:
    """Return what a file is by its bytes; None when they say nothing.

    Args:
        head: the first bytes, `HEAD_BYTES` of them or the whole file.
        tail: the last `TAIL_BYTES`; empty when `head` is the whole file.
        behind_tag: some bytes from `id3_bytes(head)` on, when that is not within `head`.
    """
    if not head:
        return None
    found = by_signature(head) or by_container(head, tail) or by_members(head, tail)
    found = found or by_streams(head, tail)
    if found is not None:
        return _sniffed(found, Certainty.CERTAIN)
    if (tag_bytes := id3_bytes(head)) > 0:
        return _behind_tag(head[tag_bytes : tag_bytes + HEAD_BYTES] or behind_tag)
    if (found := by_short_signature(head) or by_frames(head)) is not None:
        return _sniffed(found, Certainty.LIKELY if found == "image/jxl" else Certainty.CERTAIN)
    if is_tar(head):
        return _sniffed("application/x-tar", Certainty.CERTAIN)
    if b"%PDF-" in head[:_PDF_MAY_BEGIN_WITHIN]:
        return _sniffed("application/pdf", Certainty.LIKELY)
    if (text := by_text(head, is_whole=not tail)) is not None:
        mime_type, is_marked = text
        return _sniffed(mime_type, Certainty.LIKELY if is_marked else Certainty.GUESSED)
    return None


def _behind_tag(content: bytes) -> Sniffed:
    """Tell what an ID3 tag stands before; nearly always it is MP3."""
    found = (by_signature(content) or by_frames(content)) if content else None
    if found is not None and found.startswith("audio/"):
        return _sniffed(found, Certainty.CERTAIN)
    return _sniffed("audio/mpeg", Certainty.LIKELY)


def _sniffed(mime_type: str, certainty: Certainty) -> Sniffed:
    return Sniffed(mime_type=mime_type, kind=kind_of(mime_type), certainty=certainty)
