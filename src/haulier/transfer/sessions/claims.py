"""Bytes of an unfinished upload are written by one at a time, whatever became of its locks."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from haulier.errors import LockBusy


def claim_range(descriptor: int, offset: int, length: int) -> None:
    """Keep every other opening of the file, in any process, from claiming the same bytes.

    Until `descriptor` is closed, be it because the process ended. So whoever lost the lock of an
    upload while it was paused in a write keeps others from writing there before that write is over.

    Args:
        descriptor: of the file, open for writing.
        offset: where the bytes begin.
        length: how many these are; 0 for all that follow.

    Raises:
        LockBusy: another opening has claimed some of them.
    """
    command = getattr(fcntl, "F_OFD_SETLK", None)
    if command is None:  # only Linux knows locks that belong to an opening
        return
    wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, offset, length, 0)
    try:
        fcntl.fcntl(descriptor, command, wanted)
    except OSError as exc:
        if exc.errno in {errno.EAGAIN, errno.EACCES}:
            raise LockBusy("another process still writes to the same upload") from None
        if exc.errno not in {errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP}:
            raise
