"""What worker processes are asked about types: libmagic is C code, so it reads files there only."""

from __future__ import annotations

from typing import Any


def ask_libmagic(*, head: str) -> dict[str, Any]:
    """Return what libmagic takes bytes (in hexadecimal) for; None where it is not installed."""
    try:
        import magic
    except ImportError:
        return {"mime_type": None}
    return {"mime_type": magic.from_buffer(bytes.fromhex(head), mime=True)}
