"""Which bytes of a file are there: disjoint runs, and the gaps between them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator


class Intervals:
    """Disjoint runs of bytes `[start, end)`, sorted and merged."""

    def __init__(self, runs: Iterable[tuple[int, int]] = ()) -> None:
        self._runs: list[tuple[int, int]] = []
        for start, end in runs:
            self.add(start, end)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._runs)

    def __bool__(self) -> bool:
        return bool(self._runs)

    @property
    def size_bytes(self) -> int:
        """How many bytes are covered."""
        return sum(end - start for start, end in self._runs)

    def add(self, start: int, end: int) -> None:
        """Cover `start` up to but not including `end`."""
        if start >= end:
            return
        first = bisect_left(self._runs, start, key=lambda run: run[1])
        last = first
        while last < len(self._runs) and self._runs[last][0] <= end:
            start, end = min(start, self._runs[last][0]), max(end, self._runs[last][1])
            last += 1
        self._runs[first:last] = [(start, end)]

    def first_gap(self, size_bytes: int | None) -> tuple[int, int | None] | None:
        """Return the first run below `size_bytes` that is not covered; None when all is.

        Without a size the last gap has no end.
        """
        start, end = 0, size_bytes
        for run_start, run_end in self._runs:
            if run_start > start:
                end = run_start if end is None else min(run_start, end)
                break
            start = run_end
        return (start, end) if end is None or start < end else None
