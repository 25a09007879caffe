"""What people say to the bot that keeps files: `/list`, `/get 12`, or just a name."""

from __future__ import annotations

from dataclasses import dataclass

from haulier.max.models import Message

DIALOG = "dialog"
_ALIASES = {"start": "help", "ls": "list", "search": "find", "send": "get", "remove": "delete"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a message asks for: `help`, `list`, `find`, `get`, `link`, `delete`, or a word that the
    bot does not know; and what stands behind it."""

    name: str
    argument: str = ""


def command_of(message: Message) -> Command | None:
    """Return what a message asks for; None when it asks for nothing.

    In a dialog a text without a command is a name that is looked for. In a group people talk with
    each other, and only what begins with a slash is meant for the bot.
    """
    said = (message.text or "").strip()
    if said.startswith("/"):
        word, _, argument = said.partition(" ")
        # Groups add the name of the bot that is meant: /list@keeper_bot.
        name = word[1:].partition("@")[0].casefold()
        return Command(name=_ALIASES.get(name, name), argument=argument.strip())
    if said and message.chat_type == DIALOG:
        return Command(name="find", argument=said)
    return None
