"""Objects of the local store: plain files, and what is known of them beside.

    <root>/<key>                              the bytes, under the name people look for
    <root>/.haulier/objects/<xx>/<name>.json  their ETag, CRC, type and metadata

The note's name is made of the key, the file's size and its time of change. So a note is
written before its file gets its name, belongs to that one version, and a file that somebody
changed by hand simply has none.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from haulier import errors
from haulier.store.base import ObjectInfo, ObjectOptions
from haulier.store.keys import check_key
from haulier.store.local_files import make_directories, sync_directory, write_durably
from haulier.store.local_uploads import Finished

RESERVED = ".haulier"
_MAX_COMPONENT_BYTES = 255


class LocalObjects:
    """Keys below `root` as files. All methods block."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._notes = root / RESERVED / "objects"

    def path(self, key: str) -> Path:
        """Return where `key` lies; raises UnsafePath when it can't or may not lie there.

        A link on the way is refused: it could lead out of the store.
        """
        components = check_key(key).split("/")
        if "" in components or components[0].casefold() == RESERVED:
            raise errors.UnsafePath(f"the key {key!r} can't be the name of a file in {self.root}")
        path = self.root
        for component in components:
            if len(os.fsencode(component)) > _MAX_COMPONENT_BYTES:
                raise errors.UnsafePath(
                    f"the name {component[:60]!r}… is longer than {_MAX_COMPONENT_BYTES} bytes",
                    hint="Give it a shorter name.",
                )
            path /= component
            if path.is_symlink():
                raise errors.UnsafePath(
                    f"{path} is a symbolic link", hint="Remove the link from the store."
                )
        return path

    def head(self, key: str) -> ObjectInfo:
        """Return what is known of `key`; raises NoSuchObject."""
        with self.open(key) as descriptor:
            return self._info(key, os.fstat(descriptor))

    @contextlib.contextmanager
    def open(self, key: str) -> Iterator[int]:
        """Open the file of `key` for reading; raises NoSuchObject when there is none."""
        path = self.path(key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            missing = path if self.root.is_dir() else self.root
            raise errors.NoSuchObject(f"{missing} does not exist") from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise errors.NoSuchObject(f"{path} is not a file")
            yield descriptor
        finally:
            os.close(descriptor)

    def place(
        self, key: str, data: Path, finished: Finished, options: ObjectOptions, *, replace: bool
    ) -> ObjectInfo:
        """Give a synced file the name of `key`, durably and at once.

        Repeating it after a crash is harmless. Raises ObjectExists when the key is taken and
        `replace` is false, RequestRejected when a directory or a file is in the way.
        """
        path = self.path(key)
        status = data.stat()
        old_note = self._note_of(key, path)
        note = self._note(key, status)
        make_directories(note.parent, self.root)
        values = {"key": key, **dataclasses.asdict(finished), **_kept(options)}
        write_durably(note, json.dumps(values).encode())
        self._put_name(key, data, path, replace=replace)
        if old_note not in {None, note}:
            old_note.unlink(missing_ok=True)
        return self._info(key, status)

    def delete(self, key: str) -> None:
        """Remove the file, its note, and directories that are empty then."""
        path = self.path(key)
        note = self._note_of(key, path)
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        if note is not None:
            note.unlink(missing_ok=True)
        directory = path.parent
        while directory != self.root:
            try:
                directory.rmdir()
            except OSError:  # not empty, or filled meanwhile
                break
            directory = directory.parent
        sync_directory(directory)

    def walk(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with `prefix`, in the order of keys."""
        if self.root.is_dir():
            yield from self._walk(self.root, "", prefix)

    def _walk(self, directory: Path, parent: str, prefix: str) -> Iterator[ObjectInfo]:
        try:
            with os.scandir(directory) as entries:
                found = [
                    (parent + entry.name + ("/" if entry.is_dir(follow_symlinks=False) else ""))
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
                ]
        except FileNotFoundError:
            return
        for key in sorted(found, key=os.fsencode):
            if key == f"{RESERVED}/" or not (key.startswith(prefix) or prefix.startswith(key)):
                continue
            if key.endswith("/"):
                yield from self._walk(self.root / key, key, prefix)
            elif key.startswith(prefix) and _is_unicode(key):
                with contextlib.suppress(errors.NoSuchObject):
                    yield self.head(key)

    def _put_name(self, key: str, data: Path, path: Path, *, replace: bool) -> None:
        while True:
            try:
                make_directories(path.parent, self.root)
                if replace:
                    data.replace(path)
                else:
                    path.hardlink_to(data)
            except FileNotFoundError:
                if not data.exists():
                    raise
                continue  # a deletion took the empty directory away meanwhile
            except FileExistsError as exc:
                if path.is_dir() or not path.parent.is_dir():
                    raise _in_the_way(key, exc) from exc
                if not (path.is_file() and path.samefile(data)):
                    raise errors.ObjectExists(f"{path} exists already") from exc
            except (NotADirectoryError, IsADirectoryError) as exc:
                raise _in_the_way(key, exc) from exc
            sync_directory(path.parent)
            return

    def _info(self, key: str, status: os.stat_result) -> ObjectInfo:
        values: dict[str, Any] = {}
        with contextlib.suppress(FileNotFoundError, ValueError):
            values = json.loads(self._note(key, status).read_bytes())
        return ObjectInfo(
            key=key,
            size_bytes=status.st_size,
            etag=values.get("etag"),
            crc64nvme=values.get("crc64nvme"),
            modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
            content_type=values.get("content_type"),
            metadata=values.get("metadata", {}),
        )

    def _note_of(self, key: str, path: Path) -> Path | None:
        try:
            return self._note(key, path.stat(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _note(self, key: str, status: os.stat_result) -> Path:
        # A hash, because a key and ".json" can be too long, or be another key's directory.
        name = hashlib.sha256(key.encode()).hexdigest()[:40]
        return self._notes / name[:2] / f"{name}-{status.st_size:x}-{status.st_mtime_ns:x}.json"


def _kept(options: ObjectOptions) -> dict[str, Any]:
    return {"content_type": options.content_type, "metadata": dict(options.metadata)}


def _is_unicode(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _in_the_way(key: str, exc: OSError) -> errors.RequestRejected:
    return errors.RequestRejected(
        f"{key} can't be stored: a file or directory is in the way ({exc.filename})",
        hint="Choose another name: a file can't be a directory as well.",
    )
