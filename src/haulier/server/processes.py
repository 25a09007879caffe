"""Several processes that answer at one address, and the one that looks after them.

The first process listens and forks the others before it has threads or an event loop. It starts
again what ends by itself, passes on the wish to stop, and takes the others with it when it ends.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from haulier.errors import ConfigurationError

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0
_LIVED_LONG_S = 60.0
_WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_log = logging.getLogger("haulier.server")


@dataclass(frozen=True, slots=True)
class Child:
    """What one of several processes knows of the first.

    Args:
        number: which one it is, from 0.
        life: a descriptor that can be read from once the first process has ended.
        tell: a descriptor by which it says that it is ready.
    """

    number: int
    life: int
    tell: int

    def ready(self) -> None:
        """Say that this process answers now."""
        os.write(self.tell, b".")


@dataclass(slots=True)
class _Post:
    """The place of one process, whoever holds it just now."""

    number: int
    pid: int | None = None
    begun_at: float = 0.0
    due_at: float = 0.0
    wait_s: float = _FIRST_WAIT_S


@dataclass(slots=True)
class _Pipes:
    signals: tuple[int, int] = field(default_factory=os.pipe)
    ready: tuple[int, int] = field(default_factory=os.pipe)
    life: tuple[int, int] = field(default_factory=os.pipe)


def fork_several(count: int, *, ready: Callable[[], None], patience_s: float) -> Child | None:
    """Return a `Child` in each of `count` new processes, and None in this one when all have ended.

    Args:
        count: how many.
        ready: called here once, when all are ready.
        patience_s: how long they may take to end before they are killed.

    Raises:
        ConfigurationError: one of them could not begin to work; it has said why.
    """
    pipes = _Pipes()
    posts = [_Post(number) for number in range(count)]
    os.set_blocking(pipes.signals[1], False)
    signal.set_wakeup_fd(pipes.signals[1])
    before = {one: signal.signal(one, lambda *_: None) for one in _WATCHED}
    stop_at: float | None = None
    told, is_ready = 0, False
    while True:
        now = time.monotonic()
        for post in posts:
            is_due = post.pid is None and stop_at is None and post.due_at <= now
            if is_due and _begin(post, now):
                return _become_child(post.number, pipes, before)
        if stop_at is not None and not any(post.pid for post in posts):
            break
        if stop_at is not None and now >= stop_at:
            _send(posts, signal.SIGKILL)
        for number in _wait(pipes, posts, stop_at):
            if number == -1:
                told += 1
            elif number in {signal.SIGTERM, signal.SIGINT} and stop_at is None:
                stop_at = now + patience_s
                _send(posts, signal.SIGTERM)
        if told >= count and not is_ready:
            is_ready = True
            ready()
        if _reap(posts) and not is_ready and stop_at is None:
            _send(posts, signal.SIGTERM)
            raise ConfigurationError(
                "a process of the server ended before it was ready", hint="Its words are above."
            )
    return None


def _begin(post: _Post, now: float) -> bool:
    """Fork; return whether this is the new process."""
    pid = os.fork()
    if pid == 0:
        return True
    post.pid, post.begun_at = pid, now
    return False


def _become_child(number: int, pipes: _Pipes, before: Mapping[signal.Signals, object]) -> Child:
    signal.set_wakeup_fd(-1)
    for one, handler in before.items():
        signal.signal(one, handler)  # type: ignore[arg-type]  # what `signal` returned
    for descriptor in (*pipes.signals, pipes.ready[0], pipes.life[1]):
        os.close(descriptor)
    return Child(number, pipes.life[0], pipes.ready[1])


def _wait(pipes: _Pipes, posts: list[_Post], stop_at: float | None) -> list[int]:
    """Return the signals that came, and -1 for each process that became ready."""
    now = time.monotonic()
    due = [post.due_at for post in posts if post.pid is None]
    until = min(due, default=now + 3600) if stop_at is None else max(stop_at, now + 0.1)
    readable, _, _ = select.select(
        [pipes.signals[0], pipes.ready[0]], [], [], max(0.0, until - now)
    )
    came: list[int] = []
    if pipes.signals[0] in readable:
        came += os.read(pipes.signals[0], 4096)
    if pipes.ready[0] in readable:
        came += [-1] * len(os.read(pipes.ready[0], 4096))
    return came


def _reap(posts: list[_Post]) -> bool:
    """Take notice of processes that ended, and say when their successors begin."""
    ended = False
    for post in posts:
        if post.pid is None:
            continue
        pid, status = os.waitpid(post.pid, os.WNOHANG)
        if not pid:
            continue
        now = time.monotonic()
        if now - post.begun_at >= _LIVED_LONG_S:
            post.wait_s = _FIRST_WAIT_S
        _log.error("process %d of the server ended (%d)", pid, os.waitstatus_to_exitcode(status))
        post.pid, post.due_at = None, now + post.wait_s
        post.wait_s = min(_LONGEST_WAIT_S, 2 * post.wait_s)
        ended = True
    return ended


def _send(posts: list[_Post], number: signal.Signals) -> None:
    for post in posts:
        if post.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(post.pid, number)
