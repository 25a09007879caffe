"""How often a download is tried again, and how large it may be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from haulier import errors
from haulier.net.retry import JITTER_S, MAX_RETRY_AFTER_S

_WAIT_INITIAL_S = 0.2
_WAIT_MAX_S = 20.0


class Retries:
    """A budget of failures that each received byte fills up again."""

    def __init__(
        self,
        *,
        attempts: int,
        sleep: Callable[[float], Awaitable[None]],
        jitter: Callable[[], float],
    ) -> None:
        self._attempts = attempts
        self._sleep = sleep
        self._jitter = jitter
        self._failures = 0

    def refill(self) -> None:
        """Forget the failures so far: a byte came."""
        self._failures = 0

    async def wait(self, error: errors.Transient, *, connections: int) -> None:
        """Wait before the next attempt; raises `error` when there is to be none."""
        self._failures += 1
        asked_s = error.retry_after_s
        if self._failures >= self._attempts * connections or (asked_s or 0) > MAX_RETRY_AFTER_S:
            raise error
        if asked_s is None:
            # Connections that fail together have failed once, not several times.
            doublings = (self._failures - 1) // connections
            asked_s = min(_WAIT_INITIAL_S * 2**doublings + self._jitter() * JITTER_S, _WAIT_MAX_S)
        await self._sleep(asked_s)


@dataclass(frozen=True, slots=True)
class SizeRule:
    """What the file's size has to be."""

    label: str
    expected_bytes: int | None
    max_bytes: int | None

    def check(self, size_bytes: int) -> None:
        """Raise VerificationFailed or FileSizeError for a file of that size."""
        if self.expected_bytes is not None and size_bytes != self.expected_bytes:
            raise errors.VerificationFailed(
                f"{self.label} has {size_bytes} bytes, not {self.expected_bytes}",
                hint="It was not kept. The link may lead to another file, or to an error page.",
            )
        self.check_most(size_bytes)

    def check_most(self, so_far_bytes: int) -> None:
        """Raise FileSizeError when there are too many bytes already."""
        if self.max_bytes is not None and so_far_bytes > self.max_bytes:
            raise errors.FileSizeError(
                f"{self.label} has more than {self.max_bytes} bytes", hint="Allow larger files."
            )
