"""The bot of Discord: `$download URL` and its slash command, the queue, and what goes with them.

It answers at once and hands in what was asked for; a desk keeps it. Errors are told as sentences,
and what happened inside goes to the log.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from discord.ext import commands

import discord
from discord import app_commands
from haulier.core.chat_requests import Asker, ChatRequest, Preferences
from haulier.core.jobs import JobState
from haulier.discord import words
from haulier.discord.places import RequestPlace
from haulier.discord.words import ANSWERS, BIN, PREFIX, PRESETS, TicketLike
from haulier.errors import HaulierError, UsageError

if TYPE_CHECKING:
    from discord.ext.commands import Context

PLATFORM = "discord"
_log = logging.getLogger(__name__)


class Desk(Protocol):
    """Takes requests, and knows what became of them; see `jobs.chat_desk.ChatDesk`."""

    async def check(self, platform: str, asker: Asker) -> None: ...
    async def submit(
        self, request: ChatRequest, asker: Asker, *, later: bool = False
    ) -> TicketLike: ...
    async def waiting(self) -> Sequence[TicketLike]: ...
    async def cancel(
        self, ticket_id: str, user_id: str, *, may_all: bool = False
    ) -> TicketLike: ...
    async def of_message(
        self, platform: str, user_id: str, message_id: str
    ) -> TicketLike | None: ...
    async def withdraw_links(self, ticket_id: str) -> None: ...


class PreferenceBook(Protocol):
    """Remembers what people like, by `ChatRequest.subject`."""

    def load(self, subject: str) -> Preferences: ...
    def save(self, subject: str, preferences: Preferences) -> None: ...


class DeliveryBot(commands.Bot):
    """Serves until closed.

    Args:
        desk: where requests are handed in.
        book: what people like.
        prefix: of commands in messages.
    """

    def __init__(self, desk: Desk, book: PreferenceBook, *, prefix: str = PREFIX) -> None:
        intents = discord.Intents.default()
        intents.message_content = True
        super().__init__(
            prefix, intents=intents, allowed_mentions=discord.AllowedMentions.none(),
            help_command=None,
        )  # fmt: skip
        self.desk = desk
        self.book = book

    async def setup_hook(self) -> None:
        """Add the commands, and tell Discord of those with a slash."""
        await self.add_cog(Requests(self))
        await self.tree.sync()

    async def place_of(self, request: ChatRequest) -> RequestPlace:
        """Return where the answer to a request goes, as `DiscordUploadProcessor` takes it."""
        await self.wait_until_ready()
        channel_id = int(request.place_id)
        channel: Any = self.get_channel(channel_id) or self.get_partial_messageable(channel_id)
        message = None
        if request.status_id is not None:
            message = channel.get_partial_message(int(request.status_id))
        link = f"||<{request.url}>||" if request.spoiler else f"<{request.url}>"
        return RequestPlace(channel, getattr(channel, "guild", None), message, link)

    async def on_command_error(self, context: Context[Any], error: commands.CommandError) -> None:
        """Tell what is wrong with a command."""
        command, prefix = context.command, context.prefix or PREFIX
        cause = getattr(error, "original", error)
        if isinstance(error, commands.CommandNotFound):
            answer = words.unknown(context.invoked_with or "", self.all_commands, prefix)
            if answer is not None:
                await context.reply(answer)
        elif isinstance(cause, HaulierError):
            await context.reply(words.sentence(cause))
        elif isinstance(error, commands.UserInputError) and command is not None:
            await context.reply(words.usage(command.name, command.signature, prefix))
        else:
            _log.error("a command failed", exc_info=error)
            await context.reply("Something went wrong; the bot's owner finds it in the log.")


class Requests(commands.Cog):
    """What people can say to the bot."""

    def __init__(self, bot: DeliveryBot) -> None:
        self._bot = bot

    @commands.command(name="help")
    async def help(self, context: Context[Any], *_about: str) -> None:
        """Tell what the bot can do."""
        await context.reply(words.help_of(context.prefix or PREFIX))

    @commands.command(name="download", usage=words.USAGE_OF_DOWNLOAD)
    async def download(self, context: Context[Any], url: str, *options: str) -> None:
        """Fetch what a link leads to into this channel; `||URL||` is a spoiler too."""
        wanted = _options(options)
        spoiler = wanted["spoiler"] or url.startswith("||")
        plain = url.strip("|").strip("<>")
        asker = _asker(context.author, context.channel.id, context.guild)
        await self._bot.desk.check(PLATFORM, asker)
        status = await context.reply(words.QUEUED)
        request = ChatRequest(
            platform=PLATFORM,
            place_id=str(context.channel.id),
            user_id=str(context.author.id),
            message_id=str(context.message.id),
            url=plain,
            status_id=str(status.id),
            upload=wanted["upload"],
            spoiler=spoiler,
        )
        await self._hand_in(request, asker, status, later=wanted["later"])
        if not url.startswith("<"):  # `<URL>` has no preview that could be in the way
            with suppress(discord.HTTPException):
                await context.message.edit(suppress=True)

    @app_commands.command(
        name="download", description="Fetch what a link leads to into this channel."
    )
    @app_commands.describe(
        url="http or https", upload="put it into this channel", spoiler="cover it",
        later="begin in the quiet hours",
    )  # fmt: skip
    async def download_by_slash(
        self,
        interaction: discord.Interaction[Any],
        url: str,
        upload: bool = True,
        spoiler: bool = False,
        later: bool = False,
    ) -> None:
        """Do as `download`."""
        asker = _asker(interaction.user, interaction.channel_id, interaction.guild)
        try:
            await self._bot.desk.check(PLATFORM, asker)
        except HaulierError as error:
            await interaction.response.send_message(words.sentence(error), ephemeral=True)
            return
        await interaction.response.send_message(words.QUEUED)
        status = await interaction.original_response()
        request = ChatRequest(
            platform=PLATFORM,
            place_id=str(interaction.channel_id),
            user_id=str(interaction.user.id),
            message_id=str(interaction.id),
            url=url.strip().strip("<>"),
            status_id=str(status.id),
            upload=upload,
            spoiler=spoiler,
        )
        await self._hand_in(request, asker, status, later=later)

    async def _hand_in(
        self, request: ChatRequest, asker: Asker, status: discord.Message, *, later: bool
    ) -> None:
        try:
            ticket = await self._bot.desk.submit(request, asker, later=later)
        except HaulierError as error:
            await status.edit(content=words.sentence(error))
            return
        waits = words.queued(ticket, discord.utils.utcnow(), PREFIX)
        if waits is not None:  # else it begins at once, and tells itself how far it is
            await status.edit(content=waits)

    @commands.command(name="queue")
    async def queue(self, context: Context[Any]) -> None:
        """Show what is under way and what waits."""
        here = [
            ticket
            for ticket in await self._bot.desk.waiting()
            if ticket.request.place_id == str(context.channel.id)
        ]
        now = discord.utils.utcnow()
        await context.reply(words.queue_of(here, now, context.prefix or PREFIX))

    @commands.command(name="cancel", usage="NAME")
    async def cancel(self, context: Context[Any], name: str) -> None:
        """Stop a request of yours, by the name that the queue shows."""
        may_all = getattr(context.permissions, "manage_messages", False)
        stopped = await self._bot.desk.cancel(name, str(context.author.id), may_all=may_all)
        await context.reply(f"Cancelled `{words.short(stopped)}`.")

    @commands.command(name="preferences")
    async def preferences(self, context: Context[Any], *changes: str) -> None:
        """Show or change what you like: `$preferences preset=fast notify=yes original=yes`."""
        subject = f"{PLATFORM}:{context.author.id}"
        liked = self._bot.book.load(subject)
        if changes:
            liked = _changed(liked, changes)
            self._bot.book.save(subject, liked)
        await context.reply(words.liked(liked, context.prefix or PREFIX))

    @commands.Cog.listener()
    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        """Delete a delivery, and end its links, when who asked for it puts a bin below it."""
        if not str(payload.emoji).startswith(BIN):
            return
        ticket = await self._bot.desk.of_message(
            PLATFORM, str(payload.user_id), str(payload.message_id)
        )
        if ticket is None or ticket.state in {JobState.PENDING, JobState.RUNNING}:
            return
        await self._bot.desk.withdraw_links(ticket.ticket_id)
        channel = self._bot.get_partial_messageable(payload.channel_id)
        sent = [*(ticket.result or {}).get("messages", ()), ticket.request.status_id]
        for message_id in sent:
            if message_id is not None:
                with suppress(discord.NotFound):
                    await channel.get_partial_message(int(message_id)).delete()


def _asker(user: Any, channel_id: int | None, guild: discord.Guild | None) -> Asker:
    return Asker(
        user_id=str(user.id),
        place_id=str(channel_id),
        guild_id=None if guild is None else str(guild.id),
        role_ids=frozenset(str(role.id) for role in getattr(user, "roles", ())),
    )


def _options(given: Sequence[str]) -> dict[str, bool]:
    wanted = {"upload": True, "spoiler": False, "later": False}
    for one in given:
        name, _, value = one.casefold().partition("=")
        if name not in wanted or value not in {"", "true", "yes", "false", "no"}:
            raise UsageError(
                f"{one!r} is not understood",
                hint="Behind the link may stand spoiler, later and upload=False.",
            )
        wanted[name] = value not in {"false", "no"}
    return wanted


def _changed(liked: Preferences, changes: Sequence[str]) -> Preferences:
    for one in changes:
        name, _, value = one.casefold().partition("=")
        if name == "preset" and value in PRESETS:
            liked = dataclasses.replace(liked, preset=value)
        elif name == "notify" and value in ANSWERS:
            liked = dataclasses.replace(liked, notify=ANSWERS[value])
        elif name == "original" and value in ANSWERS:
            liked = dataclasses.replace(liked, keep_original=ANSWERS[value])
        else:
            raise UsageError(
                f"{one!r} is not understood",
                hint=f"Write preset=, with one of {', '.join(PRESETS)}; notify= and original= with "
                "yes or no.",
            )
    return liked
