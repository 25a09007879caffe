"""The message in Discord that tells how far a delivery is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from haulier.discord.answers import to_error
from haulier.discord.places import Place
from haulier.transfer.status_line import EditedStatusLine

if TYPE_CHECKING:
    import discord

# Discord takes 2,000; the rest is for what stands below.
_MOST_CHARS = 1900
_MOST_WITH_FOOTER = 2000


class DiscordStatusLine(EditedStatusLine):
    """A message that is sent when first told, and edited from then on; a long text takes several.

    Args:
        place: where it stands.
        **pace: `interval_s` and `clock` of `EditedStatusLine`.
    """

    def __init__(self, place: Place, **pace: Any) -> None:
        super().__init__(most_chars=_MOST_CHARS, **pace)
        self._place = place
        self._messages: list[discord.Message | discord.PartialMessage] = []
        if place.status_message is not None:
            self._messages.append(place.status_message)

    async def show(self, text: str, page: int) -> None:
        """Send or edit a message; raises what discord.py raises."""
        import discord

        footer = self._place.footer
        if page == 0 and footer and len(text) + 1 + len(footer) <= _MOST_WITH_FOOTER:
            text = f"{text}\n{footer}"
        if page == len(self._messages):
            self._messages.append(await self._place.send(text))
            return
        nobody = discord.AllowedMentions.none()
        await self._messages[page].edit(content=text, allowed_mentions=nobody)

    def told_of(self, error: Exception) -> str:
        """Return what Discord's answer means."""
        return to_error(error).message
