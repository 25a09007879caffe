"""Which process holds a job, so that those of a dead one need not wait for their lease."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")
_GONE = frozenset("ZX")


def this_process(proc: Path = _PROC) -> str | None:
    """Return a name of this process that no other one has, before or after; None without `proc`.

    It tells when the machine was started, the process's namespace, its number there, and when it
    began: numbers are given again.
    """
    pid = os.getpid()
    here = _here(proc)
    state = _state(proc, pid)
    return None if here is None or state is None else f"{here}/{pid}/{state[1]}"


def has_ended(worker: str, proc: Path = _PROC) -> bool:
    """Say whether a process is known to have ended; of those of other machines nothing is known."""
    machine, _, process = worker.partition("/")
    namespace, _, process = process.partition("/")
    if f"{machine}/{namespace}" != _here(proc):
        return False
    pid, _, began = process.partition("/")
    state = _state(proc, int(pid))
    if state is None:  # another user's may be hidden; proc(5), hidepid
        return not _exists(int(pid))
    return state[0] in _GONE or state[1] != began


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _here(proc: Path) -> str | None:
    """Return what numbers of processes mean here."""
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(proc / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return None


def _state(proc: Path, pid: int) -> tuple[str, str] | None:
    """Return a process's state and when it began, in ticks since the machine started; proc(5)."""
    try:
        told = (proc / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The program's name stands in brackets, and may hold brackets and spaces.
    fields = told.rpartition(")")[2].split()
    return fields[0], fields[19]
