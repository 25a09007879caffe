"""What the bot that fetches links says."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol

from haulier.core.chat_requests import ChatRequest, Preferences
from haulier.core.jobs import JobState

if TYPE_CHECKING:
    from haulier.errors import HaulierError

PREFIX = "$"
BIN = "\N{WASTEBASKET}"
PRESETS = ("fast", "balanced", "quality")
ANSWERS = {"yes": True, "no": False}
USAGE_OF_DOWNLOAD = "URL [spoiler] [later] [upload=False]"
QUEUED = "Queued…"

_SHORT_ID_CHARS = 6
_MOST_SHOWN = 10


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


def help_of(prefix: str) -> str:
    """Return what the bot can be told."""
    return f"""\
I fetch what a link leads to, make it fit, and put it into this channel.

`{prefix}download URL` a film, a song, a picture, or a page that shows some; behind the link \
`spoiler` covers it, `later` leaves it to the quiet hours, `upload=False` only fetches it
`{prefix}queue` what is under way in this channel, and what waits
`{prefix}cancel NAME` stop a request of yours; the queue shows its name
`{prefix}preferences` what you like: how good pictures are to be, whether you are mentioned
Put {BIN} below what I brought you, and I delete it."""


def unknown(name: str, known: Collection[str], prefix: str) -> str | None:
    """Return the answer to a command that there is not; None when it was meant for others."""
    close = get_close_matches(name.casefold(), known, n=1)
    if not close:
        return None
    return f"I don't know `{prefix}{name}`. Did you mean `{prefix}{close[0]}`?"


def usage(command: str, signature: str, prefix: str) -> str:
    """Return how a command is written."""
    return f"Write it so: `{prefix}{command} {signature}`".rstrip()


def short(ticket: TicketLike) -> str:
    """Return what people call a request."""
    return ticket.ticket_id[-_SHORT_ID_CHARS:]


def queued(ticket: TicketLike, now: datetime, prefix: str) -> str | None:
    """Return when a request begins; None when that is now."""
    name = short(ticket)
    if ticket.not_before > now:
        when = f"it begins {_moment(ticket)}"
    elif ticket.ahead:
        when = f"{ticket.ahead} before it"
    else:
        return None
    return f"Queued as `{name}`: {when}. `{prefix}cancel {name}` stops it."


def queue_of(here: Sequence[TicketLike], now: datetime, prefix: str) -> str:
    """Return what is under way in a channel, and what waits there."""
    if not here:
        return (
            f"Nothing waits in this channel. `{prefix}download URL` fetches what a link leads to."
        )
    lines = [_line(ticket, now) for ticket in here[:_MOST_SHOWN]]
    if len(here) > _MOST_SHOWN:
        lines.append(f"and {len(here) - _MOST_SHOWN} more")
    lines.append(f"`{prefix}cancel NAME` stops one of yours.")
    return "\n".join(lines)


def _line(ticket: TicketLike, now: datetime) -> str:
    state = "under way" if ticket.state is JobState.RUNNING else "waits"
    if ticket.not_before > now and ticket.state is not JobState.RUNNING:
        state = f"waits, begins {_moment(ticket)}"
    link = "a covered link" if ticket.request.spoiler else f"<{ticket.request.url}>"
    return f"`{short(ticket)}` {state}: {link} for <@{ticket.request.user_id}>"


def _moment(ticket: TicketLike) -> str:
    """Return a moment as Discord shows it to each in their own time."""
    return f"<t:{int(ticket.not_before.timestamp())}:R>"


def liked(preferences: Preferences, prefix: str) -> str:
    """Return what somebody likes, and how to change it."""
    answers = {value: word for word, value in ANSWERS.items()}
    return (
        f"preset={preferences.preset} notify={answers[preferences.notify]} "
        f"original={answers[preferences.keep_original]}\n"
        f"`preset` is how much time a good picture is worth: {', '.join(PRESETS)}. With `notify` "
        "you are mentioned at the end, with `original` you get a link to what had to be made "
        f"smaller. Change them so: `{prefix}preferences preset=fast notify=yes`"
    )


def sentence(error: HaulierError) -> str:
    """Return what went wrong, and what to do about it."""
    message = error.message[:1].upper() + error.message[1:]
    if not error.hint:
        return message
    return f"{message.rstrip('.')}. {error.hint}"
