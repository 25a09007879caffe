"""How a command runs and ends: signals, errors, exit codes."""

from __future__ import annotations

import asyncio
import os
import signal
import traceback
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, Self, TypeVar

from haulier.cli.output import printable, say
from haulier.errors import HaulierError, Interrupted

T = TypeVar("T")
_DEBUG = "HAULIER_DEBUG"
_SHOW_CURSOR = b"\x1b[?25h"


def run(work: Callable[[], Coroutine[Any, Any, T]], *, hint: str = "") -> T:
    """Run `work` to its end and return its result.

    The first SIGINT or SIGTERM cancels it and waits until it has put its things in order; the
    second ends the process at once. Raises Interrupted, with `hint`, when it was cancelled.
    """
    import stamina

    # Otherwise it tells of retries on stdout, by whichever library for logs is installed.
    stamina.instrumentation.set_on_retry_hooks(())
    try:
        with _Signals() as signals, asyncio.Runner() as runner:
            return runner.run(signals.guard(work))
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise Interrupted("interrupted", hint=hint) from None


class _Signals:
    """Turns signals into one cancellation of the guarded work.

    The handlers stay until everything is put away: threads that still end their piece of work
    must not leave the user without a way out.
    """

    def __init__(self) -> None:
        self._asked = False
        self._cancel: Callable[[], object] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_ended: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            end_at_once()
        self._asked = True
        if self._cancel is not None:
            self._cancel()

    async def guard(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def stop() -> None:
            say("stopping; once more ends it at once")
            task.cancel()

        self._cancel = lambda: loop.call_soon_threadsafe(stop)
        if self._asked:
            raise asyncio.CancelledError
        try:
            return await work()
        finally:
            self._cancel = None


def end_at_once() -> None:
    """End the process without any clean-up; what was committed can be resumed."""
    if os.isatty(2):
        os.write(2, _SHOW_CURSOR)
    os._exit(Interrupted.exit_code)


def is_debugging() -> bool:
    """Tell whether the user wants to see where an error came from and what a store answered."""
    return bool(os.environ.get(_DEBUG))


def exit_code_of(error: Exception) -> int:
    """Say on stderr what went wrong and what to do about it; return the exit code."""
    if isinstance(error, BrokenPipeError):
        return 1
    if is_debugging():
        traceback.print_exception(error)
    if isinstance(error, Interrupted):
        say("; ".join(filter(None, [error.message, error.hint])))
        return error.exit_code
    if isinstance(error, HaulierError):
        say(f"error: {printable(error.message)}")
        if error.hint:
            say(f"  {printable(error.hint)}")
        return error.exit_code
    say(f"error: {type(error).__name__}: {printable(error)}")
    say(f"  This is a bug in haulier. Set {_DEBUG}=1 to see where, and please report it.")
    return 1
