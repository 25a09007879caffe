"""The bot of Discord: `$download URL` and its slash command, the queue, and what goes with them.

It answers at once and hands in what was asked for; a desk keeps it. Errors are told as sentences,
and what happened inside goes to the log.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from discord.ext import commands

import discord
from discord import app_commands
from haulier.core.chat_requests import Asker, ChatRequest, Preferences
from haulier.core.jobs import JobState
from haulier.discord.places import RequestPlace
from haulier.errors import HaulierError, UsageError

if TYPE_CHECKING:
    from discord.ext.commands import Context

PLATFORM = "discord"
PREFIX = "$"
BIN = "\N{WASTEBASKET}"
_SHORT_ID_CHARS = 6
_MOST_SHOWN = 10
_PRESETS = ("fast", "balanced", "quality")
_ANSWERS = {"yes": True, "no": False}
_log = logging.getLogger(__name__)


class TicketLike(Protocol):
    """A request that was taken."""

    @property
    def ticket_id(self) -> str: ...
    @property
    def request(self) -> ChatRequest: ...
    @property
    def state(self) -> JobState: ...
    @property
    def not_before(self) -> datetime: ...
    @property
    def ahead(self) -> int: ...
    @property
    def result(self) -> dict[str, Any] | None: ...


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
            help_command=commands.MinimalHelpCommand(),
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
        if isinstance(error, commands.CommandNotFound):
            return
        cause = getattr(error, "original", error)
        if isinstance(cause, HaulierError):
            await context.reply(_sentence(cause))
        elif isinstance(error, commands.UserInputError):
            usage = (
                f"{PREFIX}{context.command} {context.command.signature}" if context.command else ""
            )
            await context.reply(f"Write it so: `{usage}`")
        else:
            _log.error("a command failed", exc_info=error)
            await context.reply("Something went wrong; the bot's owner finds it in the log.")


class Requests(commands.Cog):
    """What people can say to the bot."""

    def __init__(self, bot: DeliveryBot) -> None:
        self._bot = bot

    @commands.command(name="download")
    async def download(self, context: Context[Any], url: str, *options: str) -> None:
        """Fetch what a link leads to into this channel.

        `$download URL [upload=False] [spoiler] [later]`; `||URL||` is a spoiler too.
        """
        wanted = _options(options)
        spoiler = wanted["spoiler"] or url.startswith("||")
        plain = url.strip("|").strip("<>")
        asker = _asker(context.author, context.channel.id, context.guild)
        await self._bot.desk.check(PLATFORM, asker)
        status = await context.reply("Queued…")
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
            await interaction.response.send_message(_sentence(error), ephemeral=True)
            return
        await interaction.response.send_message("Queued…")
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
            await status.edit(content=_sentence(error))
            return
        await _tell_place(status.edit, ticket)

    @commands.command(name="queue")
    async def queue(self, context: Context[Any]) -> None:
        """Show what is under way and what waits."""
        here = [
            ticket
            for ticket in await self._bot.desk.waiting()
            if ticket.request.place_id == str(context.channel.id)
        ]
        lines = [_line(ticket) for ticket in here[:_MOST_SHOWN]]
        if len(here) > _MOST_SHOWN:
            lines.append(f"and {len(here) - _MOST_SHOWN} more")
        await context.reply("\n".join(lines) or "Nothing waits.")

    @commands.command(name="cancel")
    async def cancel(self, context: Context[Any], name: str) -> None:
        """Stop a request of yours, by the name that the queue shows."""
        may_all = getattr(context.permissions, "manage_messages", False)
        stopped = await self._bot.desk.cancel(name, str(context.author.id), may_all=may_all)
        await context.reply(f"Cancelled `{_short(stopped)}`.")

    @commands.command(name="preferences")
    async def preferences(self, context: Context[Any], *changes: str) -> None:
        """Show or change what you like: `$preferences preset=fast notify=yes original=yes`."""
        subject = f"{PLATFORM}:{context.author.id}"
        liked = self._bot.book.load(subject)
        if changes:
            liked = _changed(liked, changes)
            self._bot.book.save(subject, liked)
        answers = {value: word for word, value in _ANSWERS.items()}
        await context.reply(
            f"preset={liked.preset} notify={answers[liked.notify]} "
            f"original={answers[liked.keep_original]}"
        )

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
                f"{one!r} is not understood", hint="Write upload=False, spoiler or later."
            )
        wanted[name] = value not in {"false", "no"}
    return wanted


def _changed(liked: Preferences, changes: Sequence[str]) -> Preferences:
    for one in changes:
        name, _, value = one.casefold().partition("=")
        if name == "preset" and value in _PRESETS:
            liked = dataclasses.replace(liked, preset=value)
        elif name == "notify" and value in _ANSWERS:
            liked = dataclasses.replace(liked, notify=_ANSWERS[value])
        elif name == "original" and value in _ANSWERS:
            liked = dataclasses.replace(liked, keep_original=_ANSWERS[value])
        else:
            raise UsageError(
                f"{one!r} is not understood",
                hint=f"Write preset={', preset='.join(_PRESETS)}, notify=yes or original=yes.",
            )
    return liked


async def _tell_place(edit: Callable[..., Any], ticket: TicketLike) -> None:
    if ticket.ahead == 0 and ticket.not_before <= discord.utils.utcnow():
        return  # it begins at once, and tells itself how far it is
    when = discord.utils.format_dt(ticket.not_before, "R")
    waits = (
        f"begins {when}"
        if ticket.not_before > discord.utils.utcnow()
        else (f"{ticket.ahead} before it")
    )
    await edit(content=f"Queued as `{_short(ticket)}`: {waits}.")


def _line(ticket: TicketLike) -> str:
    state = "under way" if ticket.state is JobState.RUNNING else "waits"
    link = "a covered link" if ticket.request.spoiler else f"<{ticket.request.url}>"
    return f"`{_short(ticket)}` {state}: {link}"


def _short(ticket: TicketLike) -> str:
    return ticket.ticket_id[-_SHORT_ID_CHARS:]


def _sentence(error: HaulierError) -> str:
    return f"{error.message} {error.hint or ''}".strip()
