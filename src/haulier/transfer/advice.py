"""Errors told to the people of a chat: what to do, and nothing of the machine."""

from __future__ import annotations

from haulier import errors
from haulier.core.chat_names import quoted
from haulier.core.units import format_size

_ADVICE: tuple[tuple[type[errors.HaulierError], str], ...] = (
    (errors.MessageTooLarge, "too large for this chat even after compression."),
    (errors.UnreadableMedia, "damaged or incomplete; get it from its source again."),
    (errors.MediaTooDemanding, "takes too much to read; it was left out."),
    (errors.UnsupportedMedia, "can't be made smaller; send it in a common format."),
    (errors.SourceChanged, "changed while it was being sent; try again."),
    (errors.SourceError, "can't be read any more; try again."),
    (errors.MediaError, "could not be made smaller."),
    (errors.OperationBusy, "this is being uploaded already."),
    (errors.StorageFull, "the bot's disk is full; its owner has to free some space."),
    (errors.MissingProgram, "the bot lacks a program to make files smaller; tell its owner."),
    (errors.BadBotToken, "the bot is not signed in; its owner has to check its token."),
    (errors.ChatDenied, "the bot may not do this here: let it send messages and attach files."),
    (errors.ChatNotFound, "the channel is not there any more, or the bot can't see it."),
    (errors.MessageUncertain, "this may have arrived or not; look before you send it again."),
    (errors.RateLimited, "the chat asks the bot to slow down; try again in some minutes."),
    (errors.Transient, "the chat does not answer; try again in some minutes."),
    (errors.ChatError, "the chat refused this."),
)  # fmt: skip


def advice(error: errors.HaulierError, name: str | None = None) -> str:
    """Return what to tell people of an error.

    Args:
        error: whose message may hold paths and is not shown.
        name: of the file concerned, as the chat sees it.
    """
    about = "" if name is None else f"{quoted(name)}: "
    if isinstance(error, errors.DoesNotFit):
        fits = error.smallest_bytes
        remedy = "" if fits is None else f"; {format_size(fits)} would do"
        return f"{about}too large: not enough quality would be left at this chat's limit{remedy}."
    for kind, text in _ADVICE:
        if isinstance(error, kind):
            return about + text
    return about + "something went wrong; the bot's owner finds it in the log."
