"""Taking values out of JSON that others wrote: what is not of the expected kind is not there."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def text(values: Json, name: str) -> str | None:
    """Return a field that is text; None when it is missing, null or something else."""
    value = values.get(name)
    return value if isinstance(value, str) else None


def number(values: Json, name: str) -> int | None:
    """Return a field that is a whole number; None when it is missing, null or something else."""
    value = values.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def record(values: Json, name: str) -> Json:
    """Return a field that is an object; an empty one when it is missing or something else."""
    value = values.get(name)
    return value if isinstance(value, dict) else {}


def records(values: Json, name: str) -> list[Json]:
    """Return the objects of a field that is a list."""
    value = values.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
