"""The grid of chunks that a file is sent in, and which of them have arrived."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from haulier.core.intervals import Intervals
from haulier.errors import FileSizeError, ValidationError

_MIB = 1 << 20
_MOST_S3_PARTS = 10_000
_SMALLEST_S3_PART_BYTES = 5 * _MIB
_LARGEST_S3_PART_BYTES = 100 * _MIB


def chunk_size_for(size_bytes: int | None, *, in_s3: bool = False) -> int:
    """Return the chunk size in bytes for a file of `size_bytes` (None: not known yet).

    1 MiB below 25 MiB, 5 MiB to 100 MiB, 10 MiB above. With `in_s3` each chunk becomes a part,
    so that it is at least 5 MiB, and large enough for 10,000 of them to hold the file.

    Raises:
        FileSizeError: the file would need more than 10,000 parts of 100 MiB.
    """
    if size_bytes is None or size_bytes > 100 * _MIB:
        adaptive = 10 * _MIB
    else:
        adaptive = _MIB if size_bytes < 25 * _MIB else 5 * _MIB
    if not in_s3:
        return adaptive
    needed = -(-(size_bytes or 0) // _MOST_S3_PARTS)
    if needed > _LARGEST_S3_PART_BYTES:
        raise FileSizeError(
            f"a file of {size_bytes} bytes needs more than {_MOST_S3_PARTS} parts of 100 MiB",
            hint="Split the file.",
        )
    return max(adaptive, _SMALLEST_S3_PART_BYTES, needed)


@dataclass(frozen=True, slots=True)
class Span:
    """A run of bytes of the file."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The offset just behind it."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class ChunkGrid:
    """How a file of `size_bytes` (None: not known yet) lies in chunks, numbered from 1."""

    size_bytes: int | None
    chunk_size: int

    @property
    def total(self) -> int | None:
        """How many chunks there are; None while the size is not known."""
        if self.size_bytes is None:
            return None
        return -(-self.size_bytes // self.chunk_size)

    def span(self, number: int) -> Span:
        """Return the bytes of chunk `number`; while the size is not known, those of a full one.

        Raises:
            ValidationError: there is no such chunk.
        """
        total = self.total
        if number < 1 or (total is not None and number > total):
            held = "chunks are numbered from 1" if total is None else f"there are {total} chunks"
            raise ValidationError(
                f"there is no chunk {number}: {held}",
                hint="Chunk numbers start at 1; ask for the session's status.",
            )
        offset = (number - 1) * self.chunk_size
        if self.size_bytes is None:
            return Span(offset, self.chunk_size)
        return Span(offset, min(self.chunk_size, self.size_bytes - offset))

    def number_of(self, span: Span) -> int:
        """Return the number of the chunk that `span` is.

        Raises:
            ValidationError: it does not begin and end where a chunk does.
        """
        number = span.offset // self.chunk_size + 1
        if self.size_bytes is None:
            fits = span.offset % self.chunk_size == 0 and 0 < span.length <= self.chunk_size
        else:
            fits = span.offset < self.size_bytes and self.span(number) == span
        if not fits:
            raise ValidationError(
                f"bytes {span.offset} to {span.end - 1} are not one chunk of {self.chunk_size}",
                hint="Send whole chunks, beginning at a multiple of the session's chunk_size.",
            )
        return number


class ChunkSet:
    """Which chunks have arrived."""

    def __init__(self, runs: Iterable[tuple[int, int]] = ()) -> None:
        """Begin with `runs` of numbers, first and last, as `runs` returns them."""
        self._numbers = Intervals((first, last + 1) for first, last in runs)

    def __contains__(self, number: int) -> bool:
        return any(start <= number < end for start, end in self._numbers)

    def __len__(self) -> int:
        return self._numbers.size_bytes

    def add(self, number: int) -> None:
        """Count chunk `number` as arrived."""
        self._numbers.add(number, number + 1)

    @property
    def runs(self) -> list[tuple[int, int]]:
        """The chunks that arrived, as first and last of each run."""
        return [(start, end - 1) for start, end in self._numbers]

    def missing(self, total: int) -> list[tuple[int, int]]:
        """Return the chunks of `total` that have not arrived, as first and last of each run."""
        gaps = []
        expected = 1
        for first, last in self.runs:
            if first > expected:
                gaps.append((expected, min(first - 1, total)))
            expected = last + 1
        if expected <= total:
            gaps.append((expected, total))
        return gaps
