"""The MIME type of a file by its name, for records."""

from __future__ import annotations

import mimetypes


def mime_type_of(path: str) -> str | None:
    """Return the type that the ending of `path` stands for, or None when it says nothing."""
    return mimetypes.guess_type(path, strict=False)[0]
