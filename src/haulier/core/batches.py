"""Files put into messages, as few as can be.

It is bin packing with two limits, bytes and files. What is fewest is known for files that stay in
order; else two quick rules are tried, and where neither reaches the lower bound a search with a
budget looks for something better.
"""

from __future__ import annotations

from collections.abc import Sequence

_MOST_STEPS = 5_000


def plan_batches(
    sizes: Sequence[int], *, most_bytes: int, most_files: int, in_order: bool = False
) -> list[list[int]]:
    """Divide files into batches, as few as possible.

    Args:
        sizes: bytes of each file.
        most_bytes: of a batch; a file above it has a batch of its own.
        most_files: of a batch.
        in_order: whether the batches, one after the other, hold the files in the order given;
            where that takes no more of them, they do anyway.

    Returns:
        The places of the files in `sizes`, ascending in each batch, which come by their first.

    Raises:
        ValueError: a limit is below 1.
    """
    if most_bytes < 1 or most_files < 1:
        raise ValueError(f"a batch of {most_files} files and {most_bytes} bytes")
    kept = _in_order(sizes, most_bytes, most_files)
    if in_order:
        return kept
    alone = [[place] for place, size in enumerate(sizes) if size > most_bytes]
    rest = [place for place, size in enumerate(sizes) if size <= most_bytes]
    rest.sort(key=lambda place: -sizes[place])
    packed = _packed([sizes[place] for place in rest], most_bytes, most_files)
    if len(alone) + len(packed) == len(kept):
        return kept
    return sorted(alone + [sorted(rest[number] for number in batch) for batch in packed])


def fewest_possible(sizes: Sequence[int], *, most_bytes: int, most_files: int) -> int:
    """Return a number of batches that can't be gone below; it can't always be reached."""
    fitting = [size for size in sizes if size <= most_bytes]
    return len(sizes) - len(fitting) + _bound(sorted(fitting), most_bytes, most_files)


def _in_order(sizes: Sequence[int], most_bytes: int, most_files: int) -> list[list[int]]:
    batches: list[list[int]] = []
    filled = most_bytes
    for place, size in enumerate(sizes):
        if not batches or filled + size > most_bytes or len(batches[-1]) == most_files:
            batches.append([])
            filled = 0
        batches[-1].append(place)
        filled += size
    return batches


def _packed(sizes: list[int], most_bytes: int, most_files: int) -> list[list[int]]:
    """Pack sizes, largest first and all of them within the limit."""
    bound = _bound(sizes[::-1], most_bytes, most_files)
    best = _best_fit(sizes, most_bytes, most_files)
    while len(best) > bound:
        count = len(best) - 1
        better = (
            _levelled(sizes, count, most_bytes, most_files)
            or _Search(sizes, count, most_bytes, most_files).run()
        )
        if better is None:
            break
        best = better
    return best


def _bound(ascending: list[int], most_bytes: int, most_files: int) -> int:
    """Martello and Toth's second bound, and the one of the number of files."""
    bound = max(-(-sum(ascending) // most_bytes), -(-len(ascending) // most_files))
    for least in {size for size in ascending if 2 * size <= most_bytes} | {0}:
        huge = sum(size > most_bytes - least for size in ascending)
        large = [size for size in ascending if size <= most_bytes - least and 2 * size > most_bytes]
        small = sum(size for size in ascending if least <= size and 2 * size <= most_bytes)
        spare = len(large) * most_bytes - sum(large)
        bound = max(bound, huge + len(large) + max(0, -(-(small - spare) // most_bytes)))
    return bound


def _best_fit(sizes: list[int], most_bytes: int, most_files: int) -> list[list[int]]:
    batches: list[list[int]] = []
    left: list[int] = []
    for number, size in enumerate(sizes):
        open_ = [
            at for at, room in enumerate(left) if size <= room and len(batches[at]) < most_files
        ]
        if open_:
            at = min(open_, key=left.__getitem__)
        else:
            at = len(batches)
            batches.append([])
            left.append(most_bytes)
        batches[at].append(number)
        left[at] -= size
    return batches


def _levelled(
    sizes: list[int], count: int, most_bytes: int, most_files: int
) -> list[list[int]] | None:
    """Put each file into the emptiest of so many batches, which leaves slots for the many small."""
    batches: list[list[int]] = [[] for _ in range(count)]
    left = [most_bytes] * count
    for number, size in enumerate(sizes):
        open_ = [at for at, batch in enumerate(batches) if len(batch) < most_files]
        at = max(open_, key=left.__getitem__)
        if size > left[at]:
            return None
        batches[at].append(number)
        left[at] -= size
    return batches


class _Search:
    """Looks for a packing into a given number of batches, the largest files placed first.

    The fullest batch that still takes a file is tried first, where batches have slots to spare;
    among those that are alike only one is tried.
    """

    def __init__(self, sizes: list[int], count: int, most_bytes: int, most_files: int) -> None:
        self._sizes = sizes
        self._left = [most_bytes] * count
        self._slots = [most_files] * count
        self._batches: list[list[int]] = [[] for _ in range(count)]

    def run(self) -> list[list[int]] | None:
        """Return the batches, or None when there are none or the budget is used up."""
        ways = [self._ways(0)]
        for _ in range(_MOST_STEPS):
            number = len(ways) - 1
            if ways[-1]:
                self._place(number, ways[-1].pop())
                if number + 1 == len(self._sizes):
                    return self._batches
                ways.append(self._ways(number + 1))
                continue
            ways.pop()
            if not ways:
                return None
            self._take_back(number - 1)
        return None

    def _ways(self, number: int) -> list[int]:
        """Return the batches that may take a file, the best last."""
        size = self._sizes[number]
        alike = {
            (room, slots): at
            for at, (room, slots) in enumerate(zip(self._left, self._slots, strict=True))
            if size <= room and slots
        }
        return [at for _, at in sorted(alike.items(), reverse=True)]

    def _place(self, number: int, at: int) -> None:
        self._batches[at].append(number)
        self._left[at] -= self._sizes[number]
        self._slots[at] -= 1

    def _take_back(self, number: int) -> None:
        at = next(at for at, batch in enumerate(self._batches) if batch and batch[-1] == number)
        self._batches[at].pop()
        self._left[at] += self._sizes[number]
        self._slots[at] += 1
