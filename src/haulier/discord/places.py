"""Where in Discord something goes: a channel, the context of a command, or an interaction.

A channel's message carries a nonce, and Discord makes it once however often it is sent. An answer
to an interaction takes larger files from some people and has no nonce; after fifteen minutes it
can't be given any more, and the channel is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from haulier.core.chat_limits import discord_limit_bytes

if TYPE_CHECKING:
    import discord

_MOST_LOOKED_THROUGH = 200
# How far the clock here may be before Discord's.
_CLOCK_SLACK = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class RequestPlace:
    """Where what somebody asked for goes.

    Attributes:
        channel: whose messages hold it.
        guild: whose boosts decide how large files may be; None in private chats.
        status_message: is there already, and edited.
        footer: stands below every text of it.
    """

    channel: Any
    guild: Any = None
    status_message: discord.PartialMessage | None = None
    footer: str | None = None


class Place:
    """Takes messages.

    Args:
        ctx: a channel or anything else that discord.py can send to, the context of a command, an
            interaction, or a `RequestPlace`.
    """

    def __init__(self, ctx: Any) -> None:
        import discord

        self._ctx = ctx
        interaction = ctx if isinstance(ctx, discord.Interaction) else None
        self._interaction: discord.Interaction[Any] | None = interaction or getattr(
            ctx, "interaction", None
        )
        channel = getattr(ctx, "channel", None)
        self._channel: discord.abc.Messageable = channel if channel is not None else ctx
        given = ctx if isinstance(ctx, RequestPlace) else None
        self.status_message = None if given is None else given.status_message
        self.footer = None if given is None else given.footer

    @property
    def answers(self) -> bool:
        """Whether messages answer an interaction, and so carry no nonce."""
        return self._interaction is not None and not self._interaction.is_expired()

    @property
    def id(self) -> str:
        """The channel's id."""
        return str(getattr(self._channel, "id", ""))

    def limit_bytes(self, setting_mb: int | None) -> int:
        """Return the largest file in bytes that may go here."""
        told = self._interaction.filesize_limit if self.answers and self._interaction else None
        guild = getattr(self._ctx, "guild", None)
        tier = getattr(guild, "premium_tier", 0)
        return discord_limit_bytes(
            setting_mb=setting_mb, attachment_size_limit=told, boost_tier=tier
        )

    async def send(
        self, text: str | None, files: Sequence[discord.File] = (), nonce: str | None = None
    ) -> discord.Message:
        """Send a message that mentions nobody; raises what discord.py raises."""
        import discord

        options: dict[str, Any] = {"allowed_mentions": discord.AllowedMentions.none()}
        if text is not None:
            options["content"] = text
        if files:
            options["files"] = list(files)
        if not self.answers:
            options["nonce"] = nonce
            return await self._channel.send(**options)
        assert self._interaction is not None
        if not self._interaction.response.is_done():
            await self._interaction.response.defer()
        return await self._interaction.followup.send(**options, wait=True)

    async def find(
        self, sizes: list[int], nonce: str, since: datetime, taken: frozenset[str]
    ) -> str | None:
        """Return the id of a bot's message with attachments of these sizes; raises as `send`."""
        messages = self._channel.history(
            after=since - _CLOCK_SLACK, limit=_MOST_LOOKED_THROUGH, oldest_first=True
        )
        async for message in messages:
            is_other = message.nonce is not None and str(message.nonce) != nonce
            if not message.author.bot or is_other or str(message.id) in taken:
                continue
            if [each.size for each in message.attachments] == sizes:
                return str(message.id)
        return None
