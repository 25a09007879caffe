"""How large the parts of an upload are, and how many may be in memory at once.

A part is held whole until the store has it: its size and checksum stand before its first byte,
and another attempt sends the same bytes. Stores take so many parts and no more, so the parts of
very large archives are large, and fewer of them fit.
"""

from __future__ import annotations

PART_BYTES = 8 << 20
PARTS_MEMORY_BYTES = 96 << 20
"""What parts may take together; the rest of the program needs about as much again."""

_MIB = 1 << 20
_SPARE_PARTS = 500  # a part may end up a little under its target; never run out of numbers
_OVERSHOOT_BYTES = 1 << 20  # the segment that fills a part goes into it whole


def part_bytes_for(tar_size: int, max_parts: int, least: int = PART_BYTES) -> int:
    """Return how large parts must be so that an archive of `tar_size` bytes never needs more
    than `max_parts`, in whole MiB."""
    needed = -(-tar_size // max(max_parts - _SPARE_PARTS, 1))
    return max(least, -(-needed // _MIB) * _MIB)


def parts_at_once(
    part_bytes: int, wanted: int, *, sealed: bool, memory_bytes: int = PARTS_MEMORY_BYTES
) -> int:
    """Return how many of `wanted` parts of `part_bytes` fit into `memory_bytes`, at least one.

    Args:
        sealed: parts are encrypted, and are held in both forms while they are.
    """
    each = (part_bytes + _OVERSHOOT_BYTES) * (2 if sealed else 1)
    return max(1, min(wanted, memory_bytes // each))
