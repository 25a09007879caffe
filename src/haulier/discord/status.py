"""The message in Discord that tells how far a delivery is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from haulier.discord.answers import to_error
from haulier.discord.places import Place
from haulier.transfer.status_line import EditedStatusLine

if TYPE_CHECKING:
    import discord

_MOST_CHARS = 1900


class DiscordStatusLine(EditedStatusLine):
    """A message that is sent when first told, and edited from then on.

    Args:
        place: where it stands.
        **pace: `interval_s` and `clock` of `EditedStatusLine`.
    """

    def __init__(self, place: Place, **pace: Any) -> None:
        super().__init__(most_chars=_MOST_CHARS, **pace)
        self._place = place
        self._message: discord.Message | discord.PartialMessage | None = place.status_message

    async def show(self, text: str) -> None:
        """Send or edit the message; raises what discord.py raises."""
        import discord

        text = f"{text}\n{self._place.footer}" if self._place.footer else text
        if self._message is None:
            self._message = await self._place.send(text)
            return
        nobody = discord.AllowedMentions.none()
        await self._message.edit(content=text, allowed_mentions=nobody)

    def told_of(self, error: Exception) -> str:
        """Return what Discord's answer means."""
        return to_error(error).message
