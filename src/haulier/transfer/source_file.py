"""A file that is sent: read in blocks, and watched for changes meanwhile."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from haulier.errors import SourceChanged, TargetMissing, TargetUnreadable

BLOCK_BYTES = 1 << 20


class SourceFile:
    """An open regular file. Methods block.

    Args:
        path: the file.

    Raises:
        TargetMissing: there is no such file.
        TargetUnreadable: it may not be read, or is no regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # A pipe without a writer would block for ever.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._descriptor = os.open(path, flags)
        except OSError as exc:
            message = f"{path.name}: {exc.strerror or exc}"
            if exc.errno in {errno.ENOENT, errno.ENOTDIR}:
                raise TargetMissing(message, hint="Check the spelling of the path.") from exc
            raise TargetUnreadable(message, hint="Give yourself read permission.") from exc
        self._status = os.fstat(self._descriptor)
        self.size_bytes = self._status.st_size
        try:
            if not stat.S_ISREG(self._status.st_mode):
                raise TargetUnreadable(f"{path.name} is no regular file", hint="Name a file.")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)

    @property
    def blocks(self) -> int:
        """How many blocks it has; the last one may be shorter."""
        return -(-self.size_bytes // BLOCK_BYTES)

    def read_block(self, index: int) -> bytes:
        """Return a block.

        Raises:
            SourceChanged: the file is not what it was when it was opened.
            TargetUnreadable: the disk can't give it.
        """
        offset = index * BLOCK_BYTES
        wanted = min(BLOCK_BYTES, self.size_bytes - offset)
        try:
            data = os.pread(self._descriptor, wanted, offset)
        except OSError as exc:
            raise TargetUnreadable(
                f"{self.path.name}: {exc.strerror}", hint="Check the disk."
            ) from exc
        if len(data) != wanted:
            raise self.changed()
        self.check()
        return data

    def check(self) -> None:
        """Raise SourceChanged when the file was written to since it was opened."""
        now, before = os.fstat(self._descriptor), self._status
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise self.changed()

    def changed(self) -> SourceChanged:
        """Return the error that tells of a change."""
        return SourceChanged(
            f"{self.path.name} changed while it was sent",
            hint="It was not sent. Try again once nobody writes to it.",
        )
