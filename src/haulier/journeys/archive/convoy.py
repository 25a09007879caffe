"""Several targets of one command: a few small ones at a time, a large one by itself.

A small upload is mostly waiting: for the catalog, for the store's answers. A large one keeps
processor and memory busy alone. What could get in each other's way goes one after the other, so
that the outcome is the same as if everything did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from haulier.core.part_plan import PART_BYTES
from haulier.journeys.archive.select import Selected, Target

AT_ONCE = 4

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Load:
    selected: Selected

    @property
    def is_small(self) -> bool:
        return self.selected.layout.size_bytes <= PART_BYTES

    def touches(self, target: Target) -> bool:
        """Tell whether both have one name, and so one key, or one lies in the other."""
        mine, other = f"{self.selected.target.path}/", f"{target.path}/"
        is_nested = mine.startswith(other) or other.startswith(mine)
        return is_nested or self.selected.target.name == target.name

    def goes_with(self, other: _Load) -> bool:
        # Content is held against what was uploaded before when sizes are equal.
        is_alike = self.selected.size_bytes == other.selected.size_bytes
        return self.is_small and other.is_small and not is_alike


class Convoy:
    """The uploads that are under way at the same time, in a task group.

    Args:
        group: what the uploads' tasks belong to.
        limit: how many there may be.
    """

    def __init__(self, group: asyncio.TaskGroup, limit: int) -> None:
        self._group = group
        self._limit = limit
        self._under_way: dict[asyncio.Task[Any], _Load] = {}

    async def clear_of(self, target: Target) -> None:
        """Wait until nothing is under way that `target` must not be looked at beside."""
        await self._until(lambda loads: not any(load.touches(target) for load in loads))

    async def start(
        self, selected: Selected, work: Callable[[], Coroutine[Any, Any, T]]
    ) -> asyncio.Task[T]:
        """Wait until `selected` can go with the others, then start its `work`."""
        load = _Load(selected)
        await self._until(
            lambda loads: len(loads) < self._limit and all(load.goes_with(o) for o in loads)
        )
        task = self._group.create_task(work())
        self._under_way[task] = load
        task.add_done_callback(self._under_way.pop)
        return task

    async def _until(self, holds: Callable[[list[_Load]], bool]) -> None:
        while not holds(list(self._under_way.values())):
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
