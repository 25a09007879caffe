"""The root of the tree, and what any part of haulier may raise."""

from __future__ import annotations

from typing import ClassVar


class HaulierError(Exception):
    """The root of the tree.

    Args:
        message: what happened, naming the file or object concerned.
        hint: what the reader can do about it; the class's `advice` when left out.
        retry_after_s: seconds the far end asked us to wait, when it did.
    """

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    advice: ClassVar[str] = "This is a bug in haulier: please report it with the command you ran."

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.advice if hint is None else hint
        self.retry_after_s = retry_after_s


class UsageError(HaulierError):
    """What was asked for makes no sense: wrong argument, wrong combination."""

    code, http_status, exit_code = "usage", 400, 2
    advice = "See `haulier COMMAND --help`."


class ConfigurationError(UsageError):
    """A setting is missing, malformed, or contradicts another."""

    code, http_status = "configuration", 500
    advice = "Run `haulier doctor` to see what is configured and what is missing."


class MissingExtra(UsageError):
    """An optional library is needed and not installed."""

    code, http_status = "missing-extra", 501
    advice = "Install everything with `pip install 'haulier[all]'`."


class MissingProgram(UsageError):
    """An optional program (ffmpeg, clamd, …) is needed and not there."""

    code, http_status = "missing-program", 501
    advice = "Run `haulier doctor` to see which programs were found."


class UnknownReference(UsageError):
    """No operation, object or remote has that name or id."""

    code, http_status, exit_code = "unknown-reference", 404, 1
    advice = "List what there is with `haulier history` or `haulier files`."


class StorageFull(HaulierError):
    """No space left, or a quota is used up."""

    code, http_status = "storage-full", 507
    advice = "Free some space, then run `haulier resume`; what was stored already is kept."


class OperationBusy(HaulierError):
    """Another process is working on this operation."""

    code, http_status = "operation-busy", 409
    advice = "Wait for the other process; `haulier history --status running` shows what runs."


class CatalogError(HaulierError):
    """The catalog can't be opened, or its schema is not the one this version needs."""

    code, http_status, exit_code = "catalog", 500, 2
    advice = "Run `haulier db upgrade`."


class CatalogUnavailable(CatalogError):
    """The catalog can't be asked now: its database is away, or others keep it busy."""

    code, http_status = "catalog-unavailable", 503
    advice = "Try again in a moment; what was acknowledged is kept."


class CoordinationError(HaulierError):
    """What several processes agree by (Redis) does not answer."""

    code, http_status = "coordination", 503
    advice = "Try again in a moment; what was acknowledged is kept."


class Interrupted(HaulierError):
    """Stopped by the user; the state is kept and can be resumed."""

    code, http_status, exit_code = "interrupted", 499, 130
    advice = "Run `haulier resume` to go on where it stopped."
