"""New files that appear whole or not at all, written by another process."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from haulier import errors


def source_size(path: Path, *, max_bytes: int) -> int:
    """Return the size in bytes of a file that is about to be read.

    Raises:
        TargetMissing: there is no such file.
        TargetUnreadable: it may not be read, or is no regular file.
        MediaTooDemanding: it is larger than `max_bytes`.
        UnreadableMedia: it is empty.
    """
    with _plain_errors(path.name):
        size_bytes = path.stat().st_size
    if not path.is_file() or not os.access(path, os.R_OK):
        raise errors.TargetUnreadable(f"{path.name} is no file that may be read")
    if size_bytes == 0:
        raise errors.UnreadableMedia(f"{path.name} is empty")
    if size_bytes > max_bytes:
        raise errors.MediaTooDemanding(
            f"{path.name} has {size_bytes} bytes; at most {max_bytes} are read",
            hint="Raise the limit if you trust the file.",
        )
    return size_bytes


class NewFile:
    """A file in the making: another process writes `temporary`, which then becomes `out`."""

    def __init__(self, temporary: Path, out: Path) -> None:
        self.temporary = temporary
        self.out = out


@asynccontextmanager
async def new_file(out: Path, *, source: Path) -> AsyncIterator[NewFile]:
    """Make an empty temporary file beside `out` that becomes it when the block ends well.

    The block may set another `out` in the same directory. What was there before is replaced, and
    is untouched when the block fails.

    Raises:
        UsageError: `out` is `source` itself, which is never altered.
        TargetMissing: the directory of `out` does not exist.
        TargetUnreadable: it may not be written to.
        StorageFull: no space is left.
    """
    _require_another(out, source)
    temporary = out.with_name(f".haulier-{secrets.token_hex(8)}.haulier-partial")
    with _plain_errors(out.name):
        # Made here and not by the worker, whose umask would hide it from everybody else.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        file = NewFile(temporary, out)
        yield file
        _require_another(file.out, source)
        with _plain_errors(file.out.name):
            await _to_its_end(temporary, file.out)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _require_another(out: Path, source: Path) -> None:
    if out.exists() and out.samefile(source):
        raise errors.UsageError(
            f"{out.name} would replace the file it is made from",
            hint="Give another name or directory for the result.",
        )


async def _to_its_end(temporary: Path, out: Path) -> None:
    publishing = asyncio.ensure_future(asyncio.to_thread(_publish, temporary, out))
    try:
        await asyncio.shield(publishing)
    except asyncio.CancelledError:
        # A thread can't be stopped; nothing may be renamed any more once this returns.
        await asyncio.wait([publishing])
        raise


def _publish(temporary: Path, out: Path) -> None:
    _sync(temporary, os.O_RDONLY)
    temporary.replace(out)
    _sync(out.parent, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _plain_errors(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"{name}: {error.strerror or error}"
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise errors.StorageFull(message) from error
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            raise errors.TargetMissing(message, hint="Check the spelling of the path.") from error
        raise errors.TargetUnreadable(
            message, hint="Give yourself permission, or choose another directory."
        ) from error
