"""Links as they are written: sent exactly so, and shown without what may be secret."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import yarl


def encoded(url: str) -> yarl.URL:
    """Keep a URL as it is when it can go out so: a signature covers its exact escapes."""
    import yarl

    if url.isascii() and url.isprintable() and " " not in url:
        return yarl.URL(url, encoded=True)
    return yarl.URL(url)


def printable(url: str) -> str:
    """Return `url` without what may be secret in it: user, password, query, fragment."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(malformed link)"
    return f"{parts.scheme}://{host}{parts.path}" + ("?…" if parts.query else "")
