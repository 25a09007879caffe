"""The secret that signs tokens, made once and kept beside the data."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from haulier.errors import ConfigurationError


def kept_secret(path: Path) -> str:
    """Return the secret in the file at `path`; it is made (0600) when it is not there yet.

    Of several processes that make it at once one wins, and all return the same.

    Raises:
        ConfigurationError: the file can't be read or made.
    """
    try:
        if not path.exists():
            _make(path)
        return path.read_text("ascii").strip()
    except OSError as exc:
        raise ConfigurationError(
            f"the secret {path} can't be kept: {exc.strerror}",
            hint="Set HAULIER_DATA to a place you may write to, or set JWT_SECRET_KEY.",
        ) from exc


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, secrets.token_hex(32).encode())
        os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.close(descriptor)
        temporary.unlink()
