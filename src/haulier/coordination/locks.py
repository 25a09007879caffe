"""Locks that a newcomer can break, with fencing tokens.

A connection that died without a word must not lock its upload: whoever comes next asks the holder
to give up, which takes it milliseconds. One that can't (its write hangs in the disk) keeps the
lock and the newcomer is told to come again: taking it by force would let the late write land over
what the newcomer wrote. Where a holder can vanish with its host, a lock ends by time instead, and
its token, larger than all before it, tells a late holder (`Hold.check`) that it is too late.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from haulier.errors import LockBusy, LockLost

PATIENCE_S = 5


class Hold(Protocol):
    """A lock that is held."""

    @property
    def token(self) -> int:
        """Larger than the token of every earlier hold of the same lock."""
        ...

    @property
    def fence(self) -> int | None:
        """The token, where the lock can be lost to another process without a word.

        Rows that are written under such a lock are stamped with it before anything else is done,
        and accept nothing from an older one. None: no other process can have the lock meanwhile.
        """
        ...

    async def asked_for(self) -> None:
        """Wait until somebody else asks for the lock; give it up soon then."""
        ...

    async def check(self) -> None:
        """Make sure that the lock is still held; call it before publishing anything.

        Raises:
            LockLost: somebody else took it.
        """
        ...


class Locks(Protocol):
    """Locks by name."""

    def hold(self, name: str, *, breaking: bool = True) -> AbstractAsyncContextManager[Hold]:
        """Hold the lock `name` while the block runs.

        Args:
            name: of what is locked.
            breaking: ask a holder to give up; otherwise only wait for it.

        Raises:
            LockBusy: the holder did not give it back in time.
        """
        ...


@dataclass(eq=False, slots=True)
class _MemoryHold:
    token: int
    name: str
    current: dict[str, _MemoryHold]
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    fence: None = None

    async def asked_for(self) -> None:
        await self.wanted.wait()

    async def check(self) -> None:
        if self.current.get(self.name) is not self:
            raise LockLost("another request for the same upload took over")


class MemoryLocks:
    """Locks among the tasks of one process.

    Args:
        patience_s: seconds to wait for a holder.
    """

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._current: dict[str, _MemoryHold] = {}
        self._last_token = 0

    def ask(self, name: str) -> None:
        """Ask whoever holds the lock `name`, if anybody does, to give it up."""
        if (holder := self._current.get(name)) is not None:
            holder.wanted.set()

    @asynccontextmanager
    async def hold(self, name: str, *, breaking: bool = True) -> AsyncIterator[Hold]:
        """See `Locks.hold`."""
        hold = await self._take(name, breaking=breaking)
        try:
            yield hold
        finally:
            if self._current.get(name) is hold:
                del self._current[name]
            hold.released.set()

    async def _take(self, name: str, *, breaking: bool) -> _MemoryHold:
        try:
            async with asyncio.timeout(self._patience_s):
                while (holder := self._current.get(name)) is not None:
                    if breaking:
                        self.ask(name)
                    await holder.released.wait()
        except TimeoutError:
            raise LockBusy("another request for the same upload is still at work") from None
        self._last_token += 1
        hold = _MemoryHold(self._last_token, name, self._current)
        self._current[name] = hold
        return hold
