"""One message that tells how far a delivery is, edited in place."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from haulier.discord.answers import to_error
from haulier.discord.places import Place

if TYPE_CHECKING:
    import discord

_log = logging.getLogger(__name__)
_MOST_CHARS = 1900


class DiscordStatusLine:
    """A message that is sent when first told, and edited from then on.

    What comes sooner than `interval_s` after the last edit is left out, unless it is to be shown at
    once. A message that can't be sent or edited does not stop the delivery.

    Args:
        place: where it stands.
        interval_s: seconds between edits.
        clock: seconds that never jump.
    """

    def __init__(
        self,
        place: Place,
        *,
        interval_s: float = 1.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = place
        self._interval_s = interval_s
        self._clock = clock
        self._message: discord.Message | None = None
        self._shown = ""
        self._next_at = float("-inf")

    async def tell(self, text: str, *, at_once: bool = False) -> None:
        """Show a text in place of the one that stood there."""
        import discord

        text = text[:_MOST_CHARS]
        if text == self._shown or (not at_once and self._clock() < self._next_at):
            return
        try:
            if self._message is None:
                self._message = await self._place.send(text)
            else:
                await self._message.edit(
                    content=text, allowed_mentions=discord.AllowedMentions.none()
                )
            self._shown = text
        except Exception as error:  # noqa: BLE001 (whatever it is, the files matter more)
            _log.warning("the progress can't be shown: %s", to_error(error).message)
        self._next_at = self._clock() + self._interval_s
