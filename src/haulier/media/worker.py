"""The other side of `isolation`: `python -m haulier.media.worker MEMORY_BYTES`.

It reads requests from its standard input and answers each on its standard output until the input
ends: a length of four bytes, then JSON.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import signal
import sys
from typing import Any, BinaryIO

from haulier.media.isolation import LENGTH

_PACKAGE = "haulier."
_PR_SET_PDEATHSIG = 1
_OPEN_FILES = 128


def main() -> None:
    """Serve requests until standard input ends."""
    _limit(int(sys.argv[1]))
    answers = os.fdopen(os.dup(1), "wb")
    # Libraries print what they like; it must not end up among the answers.
    os.dup2(2, 1)
    while (request := _read(sys.stdin.buffer)) is not None:
        reply = json.dumps(_answer(request), default=str).encode()
        answers.write(LENGTH.pack(len(reply)) + reply)
        answers.flush()


def _limit(memory_bytes: int) -> None:
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    if sys.platform == "linux":
        # A decoder that hangs must not outlive a parent that was killed.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _read(stream: BinaryIO) -> dict[str, Any] | None:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    body = stream.read(LENGTH.unpack(head)[0])
    return dict(json.loads(body))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    module, _, function = str(request["task"]).partition(":")
    if not module.startswith(_PACKAGE):
        return {"error": "PermissionError", "message": f"{module} may not run here"}
    try:
        task = getattr(importlib.import_module(module), function)
        return {"result": task(**request["arguments"])}
    except ModuleNotFoundError as exc:
        return {
            "error": "MissingExtra",
            "message": f"this needs {exc.name}, which is not installed",
            "hint": "Install it with `pip install 'haulier[media]'`.",
        }
    except Exception as exc:  # noqa: BLE001  # whatever a decoder raises is the answer
        return {
            "error": "MemoryError" if isinstance(exc, MemoryError) else type(exc).__name__,
            "message": str(exc) or type(exc).__name__,
            "hint": getattr(exc, "hint", None),
        }


if __name__ == "__main__":
    main()
