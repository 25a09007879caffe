"""Decoders that misbehave, to try what runs them (`haulier.media.isolation`)."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from haulier.errors import UnsupportedMedia


def answer(**arguments: Any) -> dict[str, Any]:
    """Return what it was given, and the process that did it."""
    return {"pid": os.getpid(), **arguments}


def crash() -> dict[str, Any]:
    """End as a decoder does that wrote where it should not."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def leave() -> dict[str, Any]:
    """End without an answer."""
    os._exit(0)


def hang() -> dict[str, Any]:
    """Never come to an end."""
    while True:
        time.sleep(60)


def hoard() -> dict[str, Any]:
    """Take memory without end."""
    taken = []
    while True:
        taken.append(bytearray(64 << 20))


def chatter() -> dict[str, Any]:
    """Print to standard output, as libraries do."""
    os.write(1, b"decoding...\n")
    return {}


def refuse() -> dict[str, Any]:
    """Raise an error of ours."""
    raise UnsupportedMedia("clip.xyz is of no known kind", hint="Convert it.")


def stumble() -> dict[str, Any]:
    """Raise an error that is not ours."""
    raise KeyError("moov")


def lack() -> dict[str, Any]:
    """Need a library that is not there."""
    raise ModuleNotFoundError("No module named 'av'", name="av")
