"""What commands print and how they end: results on stdout, everything else on stderr."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, NoReturn, TypeVar

from haulier.core.records import JsonRecord, OperationRecord, OperationStatus
from haulier.errors import HaulierError, Interrupted, UsageError

T = TypeVar("T")
DEBUG = "HAULIER_DEBUG"


def printable(text: object) -> str:
    """Return `text` with control characters and undecodable bytes written as escapes, so that a
    file's name can't steer the terminal."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in _whole(text)
    )


def _whole(text: object) -> str:
    return os.fsencode(str(text)).decode(errors="backslashreplace")


def say(message: str) -> None:
    """Write one line for people to stderr."""
    print(message, file=sys.stderr)


def print_json(value: object) -> None:
    """Write `value` as the one JSON document of stdout; ASCII, so that any name survives."""
    json.dump(_plain(value), sys.stdout, indent=2)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    if isinstance(value, JsonRecord):
        return value.to_json()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def finish(records: Sequence[OperationRecord]) -> None:
    """End the command by how `records` ended: 0 all done, 1 some failed."""
    failed = {OperationStatus.FAILED, OperationStatus.PARTIAL, OperationStatus.CANCELLED}
    if any(record.status in failed for record in records):
        raise SystemExit(1)


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `work` to its end and return its result.

    The first SIGINT or SIGTERM cancels it and waits until it has put its things in order; the
    second ends the process at once. Errors become a message and an exit code.
    """
    try:
        with asyncio.Runner() as runner:
            return runner.run(_with_signals(work))
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise Interrupted("interrupted") from None


async def _with_signals(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work())
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            os._exit(Interrupted.exit_code)
        asked = True
        say("stopping; once more ends it at once")
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        return await task
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def leave(error: BaseException) -> NoReturn:
    """Say what went wrong and what to do about it, and end with the error's exit code."""
    if isinstance(error, BrokenPipeError):
        # Nobody reads any more; keep Python from saying so when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1)
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    if isinstance(error, HaulierError):
        say(f"error: {printable(error.message)}")
        if error.hint:
            say(f"  {printable(error.hint)}")
        raise SystemExit(error.exit_code)
    say(f"error: {type(error).__name__}: {printable(error)}")
    say(f"  This is a bug in haulier. Set {DEBUG}=1 to see where, and please report it.")
    raise SystemExit(1)


def report_failures(records: Iterable[OperationRecord]) -> None:
    """Tell on stderr which records failed, why, and what to do."""
    for record in records:
        if record.status in {OperationStatus.FAILED, OperationStatus.PARTIAL}:
            say(f"failed: {printable(record.target_name)}: {printable(record.error_message)}")
            hint = (record.metadata.get("error") or {}).get("hint")
            if hint:
                say(f"  {printable(hint).replace('retry ID', 'retry ' + record.operation_id)}")


def require(condition: bool, message: str, hint: str) -> None:
    """Raise UsageError unless `condition` holds."""
    if not condition:
        raise UsageError(message, hint=hint)
