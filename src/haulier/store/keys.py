"""What a key may look like, and how a store's URL is taken apart."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from haulier import errors

MAX_KEY_BYTES = 1024
_HINT = "Give it another name, or leave it out with --exclude."


def check_key(key: str) -> str:
    """Return `key` if every store can hold it.

    Raises UnsafePath when it is empty, starts with a slash, has a `.`, `..` or NUL in it,
    is no valid Unicode, or is longer than 1,024 bytes.
    """
    try:
        size_bytes = len(key.encode())
    except UnicodeEncodeError:
        raise errors.UnsafePath(f"the key {key!r} is not valid Unicode", hint=_HINT) from None
    if not key or key.startswith("/") or "\0" in key:
        raise errors.UnsafePath(f"{key!r} is not a key", hint=_HINT)
    if any(component in {".", ".."} for component in key.split("/")):
        raise errors.UnsafePath(f"the key {key!r} leads out of the store", hint=_HINT)
    if size_bytes > MAX_KEY_BYTES:
        raise errors.UnsafePath(
            f"the key {key[:60]!r}… has {size_bytes} bytes, more than {MAX_KEY_BYTES}", hint=_HINT
        )
    return key


def split_url(url: str) -> tuple[str, str]:
    """Split `s3://bucket/prefix`, `https://server/folder` or `file:///path` into the store's URL
    and a key prefix.

    A directory is a store as a whole, so its prefix is always empty.
    Raises ConfigurationError when the URL is neither.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3" and parts.netloc:
        return f"s3://{parts.netloc}", unquote(parts.path).lstrip("/")
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path:
        return f"file://{parts.path}", ""
    if parts.scheme in {"https", "http"} and parts.hostname:
        return f"{parts.scheme}://{parts.netloc.lower()}", unquote(parts.path).strip("/")
    raise errors.ConfigurationError(
        f"{url!r} is not the URL of a store",
        hint="Use s3://bucket/prefix, https://server/folder or file:///path.",
    )
