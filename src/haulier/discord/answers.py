"""What discord.py raises, as errors of haulier; the one place where that is decided."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from haulier import errors

if TYPE_CHECKING:
    import discord

# Discord's codes: "Request entity too large", "File uploaded exceeds the maximum size".
_TOO_LARGE = {40005, 50045}


def to_error(error: Exception) -> errors.HaulierError:
    """Return the error that stands for one of discord.py, aiohttp or the system."""
    import aiohttp

    import discord

    if isinstance(error, errors.HaulierError):
        return error
    if isinstance(error, discord.RateLimited):
        return errors.RateLimited("Discord asks to slow down", retry_after_s=error.retry_after)
    if isinstance(error, discord.HTTPException):
        return _of_answer(error)
    if isinstance(error, discord.LoginFailure):
        return errors.BadBotToken("Discord does not know the bot's token")
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return errors.TimedOut("Discord did not answer in time")
    if isinstance(error, (aiohttp.ClientError, OSError)):
        return errors.ConnectionLost("the connection to Discord broke")
    return errors.ChatError(f"discord.py failed: {type(error).__name__}")


def _of_answer(error: discord.HTTPException) -> errors.HaulierError:
    said = f"Discord answered {error.status}: {error.text or error.response.reason}"
    if error.status == 413 or error.code in _TOO_LARGE:
        return errors.MessageTooLarge(said, api_code=str(error.code))
    if error.status == 429:
        return errors.RateLimited(said, retry_after_s=_retry_after_s(error))
    if error.status >= 500:
        return errors.ServiceFault(said)
    kinds: dict[int, type[errors.ChatError]] = {
        401: errors.BadBotToken,
        403: errors.ChatDenied,
        404: errors.ChatNotFound,
    }
    return kinds.get(error.status, errors.ChatError)(said, api_code=str(error.code))


def _retry_after_s(error: discord.HTTPException) -> float | None:
    """Return what the headers of a 429 say; discord.py keeps nothing of its body."""
    for name in ("X-RateLimit-Reset-After", "Retry-After"):
        try:
            return max(0.0, float(error.response.headers[name]))
        except (KeyError, ValueError):
            continue
    return None
