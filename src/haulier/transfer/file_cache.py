"""Files kept on disk by their content, so that they need not be fetched or made again.

    files/ab/abcdef…        content, named by its SHA-256; mtime: when it was last used
    names/<sha256 of key>   what a key stands for: the content's SHA-256 and what is known of it
    new/                    content on its way in, locked by the process that writes it

The file system is the index (docs/adr): what is there is there whole, since it appears by rename
after fsync, and several processes need no more than that to share it. A file that somebody reads
stays readable until it is closed, even when it is evicted meanwhile.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from haulier import errors
from haulier.core.checksums import parse_checksum
from haulier.net.threads import in_thread
from haulier.store.local_files import system_errors

MAX_BYTES = 1 << 30
_KEPT_SHARE = 0.9
_RESCAN_SHARE = 0.05
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFile:
    """A file from the cache, open for reading; whoever got it closes it.

    `sha256` is 64 hex digits, `about` what was kept with the key that it was found by.
    """

    file: BinaryIO
    size_bytes: int
    sha256: str
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStatistics:
    """What lies in the cache now, and what came of asking this object for files."""

    files: int
    size_bytes: int
    hits: int
    misses: int
    bytes_saved: int


@dataclass(frozen=True, slots=True)
class _Entry:
    path: str
    size_bytes: int
    used_at: float


class FileCache:
    """Content on disk, the longest unused going first. Any number of processes may share it.

    Args:
        directory: where it lies; made when missing.
        max_bytes: how much it may hold. It is looked after each time that 5 % of it were
            added here, so several processes together may exceed it by 5 % each.
        max_age_s: what was not used for so long is not found any more; None: no such limit.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        max_bytes: int = MAX_BYTES,
        max_age_s: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if max_bytes < 1:
            raise errors.UsageError("a cache holds at least one byte")
        self.directory = Path(directory)
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._clock = clock
        self._lock = threading.Lock()
        # Content left over by another process is unknown: the first file added looks for it.
        self._added_bytes = max_bytes
        self._hits = self._misses = self._bytes_saved = 0

    async def open(self, key: str) -> CachedFile | None:
        """Return the file of a key, or of a content named `sha256:<hex>`; None when not there.

        Raises:
            AccessDenied, RequestRejected: the disk refuses.
        """
        # Here and now: opening a file takes a third of what a thread would.
        with system_errors(str(self.directory)):
            found = self._open(key)
        with self._lock:
            if found is None:
                self._misses += 1
            else:
                self._hits += 1
                self._bytes_saved += found.size_bytes
        return found

    async def put(
        self, source: Path, *, key: str | None = None, about: Mapping[str, str] | None = None
    ) -> str:
        """Keep a copy of `source`; return its SHA-256 as 64 hex digits.

        Args:
            source: a file that nobody writes to.
            key: a name by which the content is found too, such as a link that never changes
                its content. An earlier meaning of it is replaced.
            about: kept with the key.

        Raises:
            StorageFull, AccessDenied, RequestRejected: the disk refuses; nothing is kept.
        """
        return await in_thread(lambda stop: self._put(source, key, about or {}, stop))

    async def remove(self, key: str) -> bool:
        """Forget a key, or with `sha256:<hex>` a content; return whether it was there."""
        return await in_thread(lambda _: self._remove(key))

    async def clear(self) -> None:
        """Forget everything that is not on its way in."""
        await in_thread(lambda _: self._clean(None))

    async def clean(self) -> None:
        """Remove what is too much, too old, or was left by a process that died."""
        await in_thread(lambda _: self._clean(self._max_bytes))

    async def statistics(self) -> CacheStatistics:
        """Return how much there is, and how often what was asked for was there."""
        entries = await in_thread(lambda _: list(self._entries("files")))
        return CacheStatistics(
            files=len(entries),
            size_bytes=sum(entry.size_bytes for entry in entries),
            hits=self._hits,
            misses=self._misses,
            bytes_saved=self._bytes_saved,
        )

    def _open(self, key: str) -> CachedFile | None:
        sha256, about = self._content_of(key)
        if sha256 is None:
            return None
        try:
            file = open(self._path(sha256), "rb")  # noqa: SIM115 - handed to the caller
        except FileNotFoundError:
            return None
        status = os.fstat(file.fileno())
        if self._is_old(status.st_mtime):
            file.close()
            return None
        now = self._clock()
        # One second after another would be written for nothing when a file is used often.
        if now - status.st_mtime >= 1:
            with contextlib.suppress(OSError):
                os.utime(file.fileno(), (now, now))
        return CachedFile(file=file, size_bytes=status.st_size, sha256=sha256, about=about)

    def _content_of(self, key: str) -> tuple[str | None, Mapping[str, str]]:
        if key.startswith("sha256:"):
            return parse_checksum(key)[1], {}
        try:
            values = json.loads(self._name_path(key).read_bytes())
            return parse_checksum(values["content"])[1], values["about"]
        except (FileNotFoundError, ValueError, KeyError, TypeError, errors.UsageError):
            return None, {}

    def _put(
        self, source: Path, key: str | None, about: Mapping[str, str], stop: threading.Event
    ) -> str:
        with system_errors(str(self.directory)), self._new_file() as (descriptor, path):
            sha256, size_bytes = _copy(source, descriptor, stop)
            now = self._clock()
            os.utime(descriptor, (now, now))
            os.fsync(descriptor)
            _move(path, self._path(sha256))
        if key is not None:
            with system_errors(str(self.directory)), self._new_file() as (descriptor, path):
                values = {"content": f"sha256:{sha256}", "about": dict(about)}
                # Not synced: a key that a power cut leaves empty is a miss.
                os.write(descriptor, json.dumps(values).encode())
                _move(path, self._name_path(key))
        with self._lock:
            self._added_bytes += size_bytes
            is_due = self._added_bytes >= self._max_bytes * _RESCAN_SHARE
        if is_due:
            self._clean(self._max_bytes)
        return sha256

    def _remove(self, key: str) -> bool:
        sha256, _ = self._content_of(key)
        path = self._name_path(key)
        if key.startswith("sha256:"):
            path = self._path(sha256 or "")
        with system_errors(str(self.directory)):
            try:
                path.unlink()
            except FileNotFoundError:
                return False
        return True

    def _clean(self, max_bytes: int | None) -> None:
        """Keep at most so many bytes; with None not even empty files."""
        with system_errors(str(self.directory)), self._alone("clean") as is_alone:
            if not is_alone:
                return
            with self._lock:
                self._added_bytes = 0
            self._remove_dead()
            entries = sorted(self._entries("files"), key=lambda entry: entry.used_at)
            total = sum(entry.size_bytes for entry in entries)
            aim = -1 if max_bytes is None else total
            if max_bytes is not None and total > max_bytes:
                aim = int(max_bytes * _KEPT_SHARE)
            for entry in entries:
                if total <= aim and not self._is_old(entry.used_at):
                    break
                _unlink(entry.path)
                total -= entry.size_bytes
            self._remove_empty_names()

    def _remove_empty_names(self) -> None:
        """Remove keys whose content is gone."""
        for entry in list(self._entries("names")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                content = json.loads(Path(entry.path).read_bytes())["content"]
                if self._path(content.removeprefix("sha256:")).exists():
                    continue
            _unlink(entry.path)

    def _remove_dead(self) -> None:
        """Remove what processes that died were about to add."""
        with self._alone("new", wait=True):
            for entry in list(self._entries("new")):
                with contextlib.suppress(OSError):
                    _remove_unlocked(entry.path)

    def _entries(self, kind: str) -> Iterator[_Entry]:
        for folder, _, names in os.walk(self.directory / kind):
            for name in names:
                path = os.path.join(folder, name)
                with contextlib.suppress(FileNotFoundError):
                    status = os.lstat(path)
                    yield _Entry(path, status.st_size, status.st_mtime)

    def _is_old(self, used_at: float) -> bool:
        return self._max_age_s is not None and self._clock() - used_at > self._max_age_s

    def _path(self, sha256: str) -> Path:
        return self.directory / "files" / sha256[:2] / sha256

    def _name_path(self, key: str) -> Path:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return self.directory / "names" / digest[:2] / digest

    @contextlib.contextmanager
    def _new_file(self) -> Iterator[tuple[int, Path]]:
        folder = self.directory / "new"
        with self._alone("new", wait=True):
            folder.mkdir(exist_ok=True, mode=0o700)
            # Nobody may take it for a dead process's before it is locked.
            descriptor, name = tempfile.mkstemp(dir=folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield descriptor, Path(name)
        finally:
            _unlink(name)
            os.close(descriptor)

    @contextlib.contextmanager
    def _alone(self, what: str, *, wait: bool = False) -> Iterator[bool]:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.directory / f"{what}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            yield False
            return
        try:
            yield True
        finally:
            os.close(descriptor)


def _copy(source: Path, descriptor: int, stop: threading.Event) -> tuple[str, int]:
    """Copy a file and return its SHA-256 and size."""
    digest, size_bytes = hashlib.sha256(), 0
    with open(source, "rb") as reader, open(descriptor, "wb", closefd=False) as writer:
        while piece := reader.read(_READ_BYTES):
            if stop.is_set():
                raise InterruptedError
            digest.update(piece)
            writer.write(piece)
            size_bytes += len(piece)
    return digest.hexdigest(), size_bytes


def _move(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.replace(target)


def _remove_unlocked(path: str) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    finally:
        os.close(descriptor)


def _unlink(path: str | os.PathLike[str]) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
