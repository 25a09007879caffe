"""What an unfinished upload of a file needs to go on, in this process or in another one.

A file of lines: the upload's place first, then the checksum of each block that is about to be
sent, at last how it ended. It is written before what it tells of is sent, and held by one process
at a time. Its owner alone may read it: who knows the place may be able to write to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from haulier import errors
from haulier.store.local_files import system_errors

_FORMAT = 1


class UploadJournal:
    """The journal of one upload. Methods block.

    Args:
        folder: where journals are kept; None: in memory alone.
        key: what the upload is recognised by.
        size_bytes: of the file, which must not have changed.

    Raises:
        OperationBusy: another process sends the same file.
        StorageFull, AccessDenied, RequestRejected: as the system says.
    """

    def __init__(self, folder: Path | None, key: str, size_bytes: int) -> None:
        self.place: Mapping[str, Any] | None = None
        """Where the upload is, as its protocol tells it."""
        self.crcs: list[int] = []
        """CRC-64/NVME of the file's blocks, from its beginning, that were or are being sent."""
        self.outcome: str | None = None
        """What the far end answered to the whole."""
        self._size_bytes = size_bytes
        self._path: Path | None = None
        self._descriptor = -1
        if folder is None:
            return
        with system_errors(f"the state of uploads in {folder}"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.upload"
            self._descriptor = _open_alone(self._path)
            self._load()

    def close(self) -> None:
        """Give it back; what is in it stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def begin(self, place: Mapping[str, Any]) -> None:
        """Keep a new place; what was known of an earlier one is forgotten."""
        self.clear()
        self.place = dict(place)
        head = {**place, "format": _FORMAT, "size_bytes": self._size_bytes}
        self._append(head, sync=True)

    def add_block(self, crc: int) -> None:
        """Keep the checksum of the next block, before it is sent."""
        self.crcs.append(crc)
        self._append({"crc": f"{crc:016x}"})

    def keep_blocks(self, count: int) -> None:
        """Forget the checksums of all blocks behind the first `count`: these never arrived."""
        if count < len(self.crcs) and self.place is not None:
            del self.crcs[count:]
            self._rewrite(self.place)

    def finish(self, outcome: str) -> None:
        """Keep how it ended: the file is sent whole."""
        self.outcome = outcome
        self._append({"done": outcome}, sync=True)

    def clear(self) -> None:
        """Forget everything."""
        self.place, self.outcome = None, None
        self.crcs.clear()
        if self._descriptor >= 0:
            with system_errors(str(self._path)):
                os.ftruncate(self._descriptor, 0)

    def discard(self) -> None:
        """Forget everything, and remove the file."""
        self.clear()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _append(self, values: Mapping[str, Any], *, sync: bool = False) -> None:
        if self._descriptor < 0:
            return
        with system_errors(str(self._path)):
            line = json.dumps(values).encode() + b"\n"
            if os.write(self._descriptor, line) != len(line):
                raise errors.StorageFull(f"{self._path}: no space for the state of an upload")
            if sync:
                os.fsync(self._descriptor)

    def _load(self) -> None:
        """Read what an earlier process kept; what can't be gone on with counts for nothing."""
        with open(self._descriptor, "rb", closefd=False) as file:
            lines = file.read().split(b"\n")
        try:
            head = json.loads(lines[0])
            if head.pop("format") != _FORMAT or head.pop("size_bytes") != self._size_bytes:
                raise ValueError("another file")
        except (ValueError, KeyError, TypeError, AttributeError):
            self.clear()
            return
        self.place = head
        with contextlib.suppress(ValueError, KeyError, TypeError):
            for line in lines[1:-1]:  # the last one is cut short, or empty
                values = json.loads(line)
                if "done" in values:
                    self.outcome = str(values["done"])
                else:
                    self.crcs.append(int(values["crc"], 16))
        self._rewrite(head)

    def _rewrite(self, place: Mapping[str, Any]) -> None:
        """Write the lines again that could be read, so that the next one is not behind half a
        line."""
        crcs, outcome = list(self.crcs), self.outcome
        self.begin(place)
        for crc in crcs:
            self.add_block(crc)
        if outcome is not None:
            self.finish(outcome)


def _open_alone(path: Path) -> int:
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before may have removed it meanwhile.
            if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise errors.OperationBusy(
                "another process sends this file to the same place",
                hint="Wait until it has ended.",
            ) from None
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
