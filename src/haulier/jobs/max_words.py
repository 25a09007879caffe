"""What the bot that keeps files says."""

from __future__ import annotations

from collections.abc import Sequence

from haulier import errors
from haulier.core.chat_names import quoted
from haulier.core.units import format_size
from haulier.journeys.chat_shelf import KeptFile
from haulier.transfer.advice import advice

HELP = """\
I keep the files that you send me, and give them back.

Send photos, videos, sound or files, also forwarded ones: I store them and tell you their numbers.
/list - the newest files of this chat; /list 2 - older ones
/find WORDS - files whose names hold these words; here the words alone will do
/get NUMBER or NAME - a file, sent into this chat
/link NUMBER - a link to a file, for others, where there is one
/delete NUMBER - remove a file that you sent
Each chat has files of its own."""

NOTHING_KEPT = "Nothing is kept in this chat yet. Send a file."
NOTHING_TO_KEEP = "There is no file in this message that could be kept."
AGAIN = "The connection broke; it is tried again."
NO_MORE = "There are no more files. /list shows the newest."
NO_WORDS = "Write /find and words of the names that you look for."
NO_LINKS = "This bot has no links to give: its files are not in a bucket. Use /get."


def unknown(name: str) -> str:
    """Return the answer to a command that there is not."""
    return f"I don't know /{name}. Write /help."


def refused(user_id: int) -> str:
    """Return what somebody is told who may not use the bot."""
    return (
        f"You may not use this bot. Your id is {user_id}: who runs the bot can add it to MAX_USERS."
    )


def needs_number(name: str) -> str:
    """Return the answer to a command without a number."""
    return f"Write /{name} and the number of a file, as /list shows it."


def none_numbered(number: int) -> str:
    """Return the answer where a number is nobody's."""
    return f"This chat has no file number {number}. See /list."


def none_found(words: str) -> str:
    """Return the answer where nothing was found."""
    return f"No file of this chat is called {quoted(words)}. See /list."


def not_yours(kept: KeptFile) -> str:
    """Return the answer to somebody who wants to remove what others sent."""
    return f"{quoted(kept.name)} was sent by somebody else, who can delete it."


def line_of(kept: KeptFile) -> str:
    """Return a file as lists show it."""
    day = "" if kept.record.created_at is None else f", {kept.record.created_at:%Y-%m-%d}"
    return f"{kept.number}. {_plain(kept.name)} ({format_size(kept.size_bytes)}{day})"


def list_of(found: Sequence[KeptFile], *, more: str | None) -> str:
    """Return a page of files, with how to see `more`."""
    lines = [line_of(one) for one in found]
    return "\n".join([*lines, *([more] if more else [])])


def kept_all(kept: Sequence[KeptFile], failed: Sequence[str]) -> str:
    """Return what became of the files of one message."""
    lines = [f"Kept as {line_of(one)}" for one in kept]
    lines += [f"Not kept: {one}" for one in failed]
    if kept:
        lines.append(f"/get {kept[0].number} brings it back.")
    return "\n".join(lines)


def failure(error: errors.HaulierError, name: str | None = None) -> str:
    """Return what to tell of an error, without paths and addresses of the machine."""
    about = "" if name is None else f"{quoted(_plain(name))}: "
    for kind, words in _FAILURES:
        if isinstance(error, kind):
            return about + words
    return advice(error, None if name is None else _plain(name))


_FAILURES: tuple[tuple[type[errors.HaulierError], str], ...] = (
    (errors.AddressRefused, "its link leads to no host of MAX."),
    (errors.NoSuchObject, "it is not there any more."),
    (errors.AccessDenied, "its link has expired; send it again."),
    (errors.VerificationFailed, "it did not arrive as it was sent; try again."),
    (errors.AttachmentNotReady, "MAX still works on it; ask for it again in some minutes."),
    (errors.FileInfected, "malware was found in it."),
    (errors.ScanFailed, "it could not be looked through for malware; try again in some minutes."),
    (errors.StoreError, "MAX or the store can't be reached; try again in some minutes."),
    (errors.MediaError, "MAX does not take it."),
)  # fmt: skip


def _plain(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name)
