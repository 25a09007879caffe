"""Keeping freed memory for the next megabyte, where the C library can be told to, and looking
for garbage less often."""

from __future__ import annotations

import atexit
import gc
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # glibc's malloc.h
_KEPT_BYTES = 64 << 20
_MMAP_BYTES = 32 << 20
_NEW_OBJECTS = 50_000


def collect_garbage_rarely() -> None:
    """Look for cycles after 50,000 new objects instead of 700, and not when the process ends.

    Importing what a command needs makes many objects that all stay: going through them again
    and again, and at the end once more, took a fifth of the time of a short command (measured).
    """
    gc.set_threshold(_NEW_OBJECTS)
    atexit.register(gc.freeze)


def keep_freed_memory() -> None:
    """Tell glibc not to give every freed buffer back to the system at once.

    An upload passes hundreds of buffers of a megabyte a second; mapping each anew costs a page
    fault every 4 KiB (measured: a third of the system time of an upload). Elsewhere than on
    glibc nothing happens.
    """
    if sys.platform != "linux":
        return
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_MMAP_THRESHOLD, _MMAP_BYTES)
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    mallopt(_ARENA_MAX, 1)
