"""What a kind of job is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from haulier.catalog.transaction import Tx
from haulier.core.jobs import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a job came to.

    Args:
        result: what whoever asks about the job is told.
        record: writes it to other rows, in the transaction that completes the job; not called
            when the job was lost to another worker meanwhile.
    """

    result: Mapping[str, Any] | None = None
    record: Callable[[Tx], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """Jobs of one name, and the code that does them.

    Args:
        name: as in `Job.kind`.
        run: does a job; it is cancelled when the worker stops or loses the job, and must be safe
            to run twice. What it raises makes the job be tried again later.
        hopeless: errors after which trying again would not help.
        failed: what follows from a failed attempt in the same transaction; is told why, in words,
            and whether it was the last.
        at_once: how many of these one worker does at once; None for as many as of any.
        at_once_of_subject: how many about the same subject, so that a slow one leaves room.
    """

    name: str
    run: Callable[[Job], Awaitable[Done]]
    hopeless: tuple[type[Exception], ...] = ()
    failed: Callable[[Tx, Job, str, bool], None] | None = None
    at_once: int | None = None
    at_once_of_subject: int | None = None
