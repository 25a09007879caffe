"""One message that tells how far a delivery is, edited in place, whatever the platform."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

_log = logging.getLogger(__name__)


class EditedStatusLine(ABC):
    """A message that is sent when first told, and edited from then on.

    What comes sooner than `interval_s` after the last edit is left out, unless it is to be shown at
    once. A message that can't be sent or edited does not stop the delivery.

    Args:
        most_chars: what is longer is cut off.
        interval_s: seconds between edits.
        clock: seconds that never jump.
    """

    def __init__(
        self,
        *,
        most_chars: int,
        interval_s: float = 1.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_chars = most_chars
        self._interval_s = interval_s
        self._clock = clock
        self._shown = ""
        self._next_at = float("-inf")

    @abstractmethod
    async def show(self, text: str) -> None:
        """Send the message, or edit it once it is there; may raise whatever the platform does."""

    def told_of(self, error: Exception) -> str:
        """Return what the log says of an error of `show`, without secrets."""
        return str(error) or type(error).__name__

    async def tell(self, text: str, *, at_once: bool = False) -> None:
        """Show a text in place of the one that stood there."""
        text = text[: self._most_chars]
        if text == self._shown or (not at_once and self._clock() < self._next_at):
            return
        try:
            await self.show(text)
            self._shown = text
        except Exception as error:  # noqa: BLE001 (whatever it is, the files matter more)
            _log.warning("the progress can't be shown: %s", self.told_of(error))
        self._next_at = self._clock() + self._interval_s
