"""When a queue is too long: told once when it becomes so, and once when it is short again."""

from __future__ import annotations

ALERT_ABOVE = 100
"""More that wait than these are too many."""
CLEAR_AT = 80
"""So many are not any more: what goes up and down around the limit is not told each time."""


def is_too_long(length: int, *, was_too_long: bool) -> bool:
    """Tell whether a queue of that length is too long."""
    return length > (CLEAR_AT if was_too_long else ALERT_ABOVE)
