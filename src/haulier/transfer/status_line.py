"""One message that tells how far a delivery is, edited in place, whatever the platform.

What is too long for one message goes on in the next, so that no link is cut off.
"""

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
        most_chars: of one message; what is longer goes on in another one.
        most_messages: what is longer yet is cut off.
        interval_s: seconds between edits.
        clock: seconds that never jump.
    """

    def __init__(
        self,
        *,
        most_chars: int,
        most_messages: int = 10,
        interval_s: float = 1.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_chars = most_chars
        self._most_messages = most_messages
        self._interval_s = interval_s
        self._clock = clock
        self._shown = ""
        self._pages: list[str] = []
        self._next_at = float("-inf")

    @abstractmethod
    async def show(self, text: str, page: int) -> None:
        """Send a message, or edit it once it is there; may raise whatever the platform does.

        Args:
            text: what stands there from now on.
            page: which message, from 0; each was shown after all before it.
        """

    def told_of(self, error: Exception) -> str:
        """Return what the log says of an error of `show`, without secrets."""
        return str(error) or type(error).__name__

    async def tell(self, text: str, *, at_once: bool = False) -> None:
        """Show a text in place of the one that stood there."""
        if text == self._shown or (not at_once and self._clock() < self._next_at):
            return
        pages = paged(text, self._most_chars)[: self._most_messages]
        # Messages that are needed no more stay, as dots.
        pages += ["…"] * (len(self._pages) - len(pages))
        try:
            for page, part in enumerate(pages):
                if self._pages[page : page + 1] != [part]:
                    await self.show(part, page)
                    self._pages[page:] = [part, *self._pages[page + 1 :]]
            self._shown = text
        except Exception as error:  # noqa: BLE001 (whatever it is, the files matter more)
            _log.warning("the progress can't be shown: %s", self.told_of(error))
        self._next_at = self._clock() + self._interval_s


def paged(text: str, most_chars: int) -> list[str]:
    """Return a text as parts of at most so many characters, divided between lines.

    A line that is longer by itself is cut off.
    """
    pages = [""]
    for line in (each[:most_chars] for each in text.split("\n")):
        joined = f"{pages[-1]}\n{line}" if pages[-1] else line
        if len(joined) <= most_chars:
            pages[-1] = joined
        else:
            pages.append(line)
    return pages
