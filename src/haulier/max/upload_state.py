"""What an unfinished upload needs to go on, in this process or in another one.

A file of lines: the slot first, then the checksum of each block that is about to be sent, at last
the token. It is written before what it tells of is sent, and held by one process at a time. Its
owner alone may read it: who has the URL can write to the upload.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from haulier import errors
from haulier.max.upload_types import UploadSlot, UploadType
from haulier.store.local_files import system_errors

_FORMAT = 1


class UploadState:
    """The state of one upload. Methods block.

    Args:
        folder: where states are kept; None: in memory alone.
        key: what the upload is recognised by.
        size_bytes: of the file, which must not have changed.

    Raises:
        OperationBusy: another process sends the same file.
        StorageFull, AccessDenied, RequestRejected: as the system says.
    """

    def __init__(self, folder: Path | None, key: str, size_bytes: int) -> None:
        self.slot: UploadSlot | None = None
        self.crcs: list[int] = []
        self.token: str | None = None
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

    def begin(self, slot: UploadSlot) -> None:
        """Keep a new slot; what was known of an earlier one is forgotten."""
        self.clear()
        self.slot = slot
        self._append(
            {
                "format": _FORMAT,
                "type": slot.type,
                "url": slot.url,
                "token": slot.token,
                "size_bytes": self._size_bytes,
            },
            sync=True,
        )

    def add_block(self, crc: int) -> None:
        """Keep the checksum of the next block, before it is sent."""
        self.crcs.append(crc)
        self._append({"crc": f"{crc:016x}"})

    def finish(self, token: str) -> None:
        """Keep the token of the file, which is sent whole."""
        self.token = token
        self._append({"done": token}, sync=True)

    def clear(self) -> None:
        """Forget everything."""
        self.slot, self.token = None, None
        self.crcs.clear()
        if self._descriptor >= 0:
            with system_errors(str(self._path)):
                os.ftruncate(self._descriptor, 0)

    def discard(self) -> None:
        """Forget everything, and remove the file."""
        self.clear()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _append(self, values: dict[str, Any], *, sync: bool = False) -> None:
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
            if head["format"] != _FORMAT or head["size_bytes"] != self._size_bytes:
                raise ValueError("another file")
            slot = UploadSlot(type=UploadType(head["type"]), url=head["url"], token=head["token"])
        except (ValueError, KeyError, TypeError):
            self.clear()
            return
        self.slot = slot
        with contextlib.suppress(ValueError, KeyError, TypeError):
            for line in lines[1:-1]:  # the last one is cut short, or empty
                values = json.loads(line)
                if "done" in values:
                    self.token = str(values["done"])
                else:
                    self.crcs.append(int(values["crc"], 16))
        self._rewrite()

    def _rewrite(self) -> None:
        """Write the lines again that could be read, so that the next one is not behind half a
        line."""
        slot, crcs, token = self.slot, list(self.crcs), self.token
        assert slot is not None
        self.begin(slot)
        for crc in crcs:
            self.add_block(crc)
        if token is not None:
            self.finish(token)


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
                "another process sends this file to MAX", hint="Wait until it has ended."
            ) from None
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
