"""A download on disk before it is complete: the `.part` file and its control file.

    .haulier-NAME.part         the bytes, each at its offset; locked while somebody writes
    .haulier-NAME.part.json    which bytes of which version are there

The control file never claims a byte that is not on the disk: data is synced before the
claim is written, and the claim is taken back before data is thrown away. It names the part
file's inode, so that it can't be mistaken for the claim of another one. It is readable by
its owner only, since links can be secrets.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from haulier import errors
from haulier.archive.rename import rename_no_replace, sync_directory
from haulier.core.checksums import Buffer
from haulier.core.file_version import Version
from haulier.core.intervals import Intervals
from haulier.core.ranges import Resumable
from haulier.transfer.sessions.disk import start_write_back

_FORMAT = 1
_GIVEN_UP_BYTES = 64 << 10
_MAX_NAME_BYTES = 255
_PREFIX, _SUFFIX, _CONTROL_SUFFIX, _NEW_SUFFIX = ".haulier-", ".part", ".json", ".new"
_HINT = "Check the permissions and the disk of the directory to download to."


@contextlib.contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn OSError inside the block into StorageFull, TargetMissing, AccessDenied or
    RequestRejected; a full disk leaves what can be resumed."""
    try:
        yield
    except OSError as exc:
        message = f"{path}: {exc.strerror or exc}"
        if exc.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise errors.StorageFull(
                message, hint="Free some space and run the command again; it goes on from here."
            ) from exc
        if exc.errno in {errno.ENOENT, errno.ENOTDIR}:
            raise errors.TargetMissing(
                message, hint="Create the directory to download to."
            ) from exc
        if exc.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise errors.AccessDenied(message, hint=_HINT) from exc
        raise errors.RequestRejected(message, hint=_HINT) from exc


def part_path(target: Path) -> Path:
    """Return where the bytes for `target` gather."""
    name = os.fsencode(target.name)
    room = _MAX_NAME_BYTES - len(_PREFIX + _SUFFIX + _CONTROL_SUFFIX + _NEW_SUFFIX)
    if len(name) > room:
        name = hashlib.sha256(name).hexdigest().encode()
    return target.with_name(os.fsdecode(_PREFIX.encode() + name + _SUFFIX.encode()))


class PartFile:
    """The `.part` file of `target`, open and held alone by this process. Methods block.

    Args:
        target: what the file will be called.
        sync: whether to wait for the disk; without it a power cut may cost the download.

    Raises:
        OperationBusy: another process downloads to the same target.
        TargetMissing, AccessDenied, StorageFull, RequestRejected: it can't be opened.
    """

    def __init__(self, target: Path, *, sync: bool = True) -> None:
        self.target = target
        self.path = part_path(target)
        self._control = self.path.with_name(self.path.name + _CONTROL_SUFFIX)
        self._sync = sync
        with file_errors(self.path):
            self.descriptor = _open_alone(self.path)

    def close(self) -> None:
        """Give the file back; it stays only when a later run can go on from it."""
        try:
            if not self._control.exists():
                with contextlib.suppress(OSError):
                    self._remove_own()
        finally:
            os.close(self.descriptor)

    def _remove_own(self) -> None:
        # Once it was published another process may have begun one under the same name.
        if os.path.samestat(os.fstat(self.descriptor), os.lstat(self.path)):
            self.path.unlink()

    def write(self, data: Buffer, offset: int) -> None:
        """Write all of `data` at `offset`."""
        view = memoryview(data)
        with file_errors(self.path):
            while view:
                count = os.pwrite(self.descriptor, view, offset)
                view, offset = view[count:], offset + count

    def start_write_back(self, offset: int, count: int) -> None:
        """Have the disk begin to take bytes that are written, where they are waited for later."""
        if self._sync:
            start_write_back(self.descriptor, offset, count)

    def check_space(self, size_bytes: int) -> None:
        """Raise StorageFull when the disk can't hold the rest of `size_bytes`."""
        with file_errors(self.path):
            disk = os.fstatvfs(self.descriptor)
            held = os.fstat(self.descriptor).st_blocks * 512
        missing = size_bytes - held - disk.f_bavail * disk.f_frsize
        if disk.f_blocks and missing > 0:
            raise errors.StorageFull(
                f"{self.target}: {missing} bytes too little space for {size_bytes} bytes",
                hint="Free some space and run the command again.",
            )

    def load(self, source: str) -> Resumable | None:
        """Return what an earlier run kept of `source`; None when there is nothing usable."""
        try:
            values = json.loads(self._control.read_bytes())
            if values["format"] != _FORMAT or values["source"] != source:
                return None
            kept = _read_kept(values)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        status = os.fstat(self.descriptor)
        last = max(end for _, end in kept.done)
        if values["part_inode"] != status.st_ino or last > status.st_size:
            return None
        return kept

    def save(self, source: str, url: str, kept: Resumable) -> None:
        """Claim that the bytes of `kept` are there, after making sure that they are."""
        with file_errors(self._control):
            self._claim(source, url, kept)

    def save_last(self, source: str, url: str, kept: Resumable) -> None:
        """Claim as `save` does, when nothing is written any more. A full disk has no room
        for the claim either: the file's last bytes are given up for it then."""
        with contextlib.suppress(errors.StorageFull):
            self.save(source, url, kept)
            return
        end = max(end for _, end in kept.done) - _GIVEN_UP_BYTES
        done = tuple((start, min(stop, end)) for start, stop in kept.done if start < end)
        with file_errors(self._control):
            os.ftruncate(self.descriptor, max(0, end))
            if done:
                self._claim(source, url, replace(kept, done=done))

    def _claim(self, source: str, url: str, kept: Resumable) -> None:
        values = {
            "format": _FORMAT,
            "source": source,
            "url": url,
            "part_inode": os.fstat(self.descriptor).st_ino,
            "size_bytes": kept.version.size_bytes,
            "etag": kept.version.etag,
            "last_modified": kept.version.last_modified,
            "done": kept.done,
        }
        new = self._control.with_name(self._control.name + _NEW_SUFFIX)
        if self._sync:
            os.fdatasync(self.descriptor)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(values, file)
            file.flush()
            if self._sync:
                os.fsync(descriptor)
        new.replace(self._control)

    def void(self) -> None:
        """Throw away what is there."""
        with file_errors(self.path):
            self._control.unlink(missing_ok=True)
            if self._sync:
                sync_directory(self.path.parent)
            os.ftruncate(self.descriptor, 0)

    def discard(self) -> None:
        """Remove part file and control file."""
        with file_errors(self.path):
            self._control.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)

    def publish(
        self, size_bytes: int, *, overwrite: bool, names: Iterable[Path] | None = None
    ) -> Path:
        """Give the file its name, durably and at once; return it.

        Args:
            size_bytes: what is behind them is cut off.
            overwrite: whether a file of that name is replaced.
            names: tried in turn until one is free; the target's alone when left out.

        Raises:
            DuplicateName: the names are taken and nothing is to be overwritten.
        """
        with file_errors(self.target):
            os.ftruncate(self.descriptor, size_bytes)
            if self._sync:
                os.fsync(self.descriptor)
            name = self._rename([self.target] if names is None else names, overwrite=overwrite)
            self._control.unlink(missing_ok=True)
            if self._sync:
                sync_directory(self.path.parent)
            return name

    def _rename(self, names: Iterable[Path], *, overwrite: bool) -> Path:
        name = self.target
        for name in names:
            if overwrite and not name.is_dir():
                self.path.replace(name)
                return name
            with contextlib.suppress(FileExistsError):
                rename_no_replace(self.path, name)
                return name
        raise _exists(name)


def refuse_existing(target: Path) -> None:
    """Raise DuplicateName when something has the name of `target`."""
    if os.path.lexists(target):
        raise _exists(target)


def _exists(target: Path) -> errors.DuplicateName:
    return errors.DuplicateName(
        f"{target} exists already", hint="Choose another name, or allow it to be overwritten."
    )


def _open_alone(path: Path) -> int:
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(descriptor)
            # Whoever held it before may have renamed it meanwhile, or have been killed
            # between linking it to its target and unlinking it here.
            if os.path.samestat(status, os.lstat(path)):
                if status.st_nlink == 1:
                    return descriptor
                path.unlink()
        except BlockingIOError:
            os.close(descriptor)
            raise errors.OperationBusy(f"another process downloads to {path}") from None
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _read_kept(values: dict[str, Any]) -> Resumable:
    done = [(int(start), int(end)) for start, end in values["done"]]
    size_bytes = values["size_bytes"]
    version = Version(
        size_bytes=None if size_bytes is None else int(size_bytes),
        etag=values["etag"],
        last_modified=values["last_modified"],
    )
    if not version.is_proven or not done or any(not 0 <= start < end for start, end in done):
        raise ValueError("nothing to go on with")
    return Resumable(version=version, done=tuple(Intervals(done)))
