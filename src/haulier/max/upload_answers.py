"""What the hosts of files answer. They speak differently of each type, and not always as told."""

from __future__ import annotations

import re

from haulier import errors
from haulier.max.answers import parse
from haulier.max.reading import Json, record, text
from haulier.max.upload_types import UploadSlot

_RETVAL = re.compile(r"<retval>\s*([^<]*?)\s*</retval>")
_STORED = re.compile(r"0-(\d{1,18})/(\d{1,18})")
_SHOWN_CHARS = 200


def token_of(slot: UploadSlot, body: bytes, name: str) -> str | None:
    """Return the token of a file that was sent whole; None when the answer tells none.

    Args:
        slot: where it was sent to; the token of videos and sound is known from there.
        body: of the answer, which had a status of 2xx.
        name: of the file, for messages.

    Raises:
        ChatError: the answer says that it was not taken.
    """
    values = parse(body)
    if values is not None:
        check_taken(values, name)
        if (told := _token_in(values)) is not None:
            return told
    found = _RETVAL.search(body.decode(errors="replace"))
    if found is not None and found[1] != "1":
        raise errors.ChatError(f"{name} was not taken: MAX answered {found[1]!r}")
    return slot.token


def check_taken(values: Json, name: str) -> None:
    """Raise ChatError when an answer is an error, whatever its status was."""
    if "error_code" not in values:
        return
    told = values.get("error_data") or values.get("error_msg") or "no reason given"
    raise errors.ChatError(
        f"{name} was not taken: {str(told)[:_SHOWN_CHARS]}",
        hint="Check that the file is whole and of a format that MAX takes, or send it as a file.",
        api_code=str(values["error_code"])[:_SHOWN_CHARS],
    )


def _token_in(values: Json) -> str | None:
    if (token := text(values, "token")) is not None:
        return token
    for photo in record(values, "photos").values():
        if isinstance(photo, dict) and (token := text(photo, "token")) is not None:
            return token
    return None


def stored_bytes(status: int, body: bytes, total_bytes: int) -> int | None:
    """Return how many of the file's bytes the host has; None when the upload can't go on.

    Args:
        status: of the answer to GET.
        body: of that answer.
        total_bytes: of the file.
    """
    if status == 204:
        return 0
    match = _STORED.fullmatch(body.decode(errors="replace").strip())
    if status != 200 or match is None:
        return None
    last, total = int(match[1]), int(match[2])
    return last + 1 if total == total_bytes and last < total else None
