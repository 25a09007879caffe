"""The segments of an archive, held in few bytes: an archive of terabytes has millions."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from haulier.archive.entry import Segment
from haulier.errors import CorruptArchive

MAX_SEGMENTS = 1 << 24
MAX_SEGMENT_BYTES = 64 << 20


class SegmentTable(Sequence[Segment]):
    """Segments that follow each other without a gap, from byte 0 on."""

    def __init__(self, lengths: Iterable[tuple[int, int]] = ()) -> None:
        """Take (tar bytes, archive bytes) of each segment.

        Raises:
            CorruptArchive: a length is absurd, or there are too many.
        """
        self._tar_ends = array("Q")
        self._ends = array("Q")
        tar_end = end = 0
        for tar_bytes, size_bytes in lengths:
            if not (0 < tar_bytes <= MAX_SEGMENT_BYTES and 0 < size_bytes <= MAX_SEGMENT_BYTES):
                raise CorruptArchive(
                    f"the index has a segment of absurd size: {tar_bytes} -> {size_bytes}"
                )
            if len(self._ends) == MAX_SEGMENTS:
                raise CorruptArchive(f"the index has more than {MAX_SEGMENTS} segments")
            tar_end += tar_bytes
            end += size_bytes
            self._tar_ends.append(tar_end)
            self._ends.append(end)

    @classmethod
    def of(cls, segments: Iterable[Segment]) -> SegmentTable:
        """Return the table of `segments`; raises CorruptArchive when they leave gaps."""
        if isinstance(segments, SegmentTable):
            return segments
        return cls(_contiguous(segments))

    @property
    def tar_size(self) -> int:
        """How many bytes of tar stream the segments cover."""
        return self._tar_ends[-1] if self._tar_ends else 0

    @property
    def size_bytes(self) -> int:
        """How many bytes of archive they are."""
        return self._ends[-1] if self._ends else 0

    def lengths(self) -> Iterator[tuple[int, int]]:
        """Yield (tar bytes, archive bytes) of each segment, what the table is made from."""
        for segment in self:
            yield segment.tar_end - segment.tar_start, segment.size_bytes

    def covering(self, tar_start: int, tar_end: int) -> range:
        """Return the numbers of the segments that hold tar bytes `tar_start` to `tar_end`.

        Raises:
            CorruptArchive: the range is empty or reaches beyond the stream.
        """
        if not 0 <= tar_start < tar_end <= self.tar_size:
            raise CorruptArchive(
                f"the index points at bytes {tar_start} to {tar_end} of a tar stream of "
                f"{self.tar_size}"
            )
        return range(
            bisect_right(self._tar_ends, tar_start), bisect_left(self._tar_ends, tar_end) + 1
        )

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, number: int) -> Segment: ...
    @overload
    def __getitem__(self, number: slice) -> list[Segment]: ...
    def __getitem__(self, number: int | slice) -> Segment | list[Segment]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        tar_start, start = (
            (self._tar_ends[number - 1], self._ends[number - 1]) if number else (0, 0)
        )
        return Segment(tar_start, self._tar_ends[number], start, self._ends[number] - start)


def _contiguous(segments: Iterable[Segment]) -> Iterator[tuple[int, int]]:
    tar_end = end = 0
    for segment in segments:
        if (segment.tar_start, segment.offset) != (tar_end, end):
            raise CorruptArchive(f"the segments of the archive leave a gap at byte {end}")
        tar_end, end = segment.tar_end, segment.offset + segment.size_bytes
        yield segment.tar_end - segment.tar_start, segment.size_bytes
