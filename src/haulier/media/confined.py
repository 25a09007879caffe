"""Becomes another program, bound to its parent: `confined.py MEMORY_BYTES PROGRAM ARGUMENT…`.

The program may take that much address space and is killed when its parent dies, however that
came. Run as a file, so that nothing of haulier is imported for it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Take the limits, then become the program."""
    parent = os.getppid()
    memory_bytes = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            # It died before it was watched.
            os._exit(1)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  # the argument list is the program's own


if __name__ == "__main__":
    main()
