"""Open uploads of the local store: one data file each, and a receipt for every part.

    .haulier/uploads/<id>/upload.json   key, options; its absence means there is no upload
    .haulier/uploads/<id>/data          the object to be, parts at their offsets
    .haulier/uploads/<id>/parts/<name>  an empty file per part; the name is the receipt

A receipt is made after its bytes are on the disk and removed before bytes under it change,
so that at any crash the receipts tell the truth. Completing renames the data file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from awscrt import checksums

from haulier import errors
from haulier.store.base import Advance, ObjectInfo, ObjectOptions, OpenUpload, Part, PartReceipt
from haulier.store.local_files import locked, sync_directory, write_durably

PIECE_BYTES = 1 << 20

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A receipt, and where its bytes lie."""

    number: int
    offset: int
    size_bytes: int
    md5: str
    crc64nvme: str

    @classmethod
    def parse(cls, name: str) -> Self:
        number, offset, size_bytes, md5, crc64nvme = name.split("-")
        return cls(int(number), int(offset), int(size_bytes), md5, crc64nvme)

    @property
    def name(self) -> str:
        return f"{self.number}-{self.offset}-{self.size_bytes}-{self.md5}-{self.crc64nvme}"

    @property
    def end(self) -> int:
        return self.offset + self.size_bytes

    @property
    def receipt(self) -> PartReceipt:
        return PartReceipt(
            number=self.number,
            size_bytes=self.size_bytes,
            etag=self.md5 or self.crc64nvme,
            crc64nvme=self.crc64nvme,
        )


@dataclass(frozen=True, slots=True)
class Finished:
    """What the parts come to: size, and digests as S3 would say them."""

    size_bytes: int
    etag: str
    crc64nvme: str


class LocalUpload:
    """One open upload, at `directory`. All methods block; several processes may call them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._data = directory / "data"
        self._parts = directory / "parts"
        self._head = directory / "upload.json"

    @classmethod
    def create(cls, uploads: Path, key: str, options: ObjectOptions) -> Self:
        """Open a new upload for `key`."""
        upload = cls(uploads / secrets.token_hex(16))
        upload.directory.mkdir()
        upload._parts.mkdir()
        upload._data.touch()
        values = {"key": key, "options": dataclasses.asdict(options)}
        write_durably(upload._head, json.dumps(values).encode())
        sync_directory(uploads)
        return upload

    @classmethod
    def find(cls, uploads: Path, key: str, upload_id: str) -> Self:
        """Return the open upload; raises NoSuchUpload."""
        if _ID.fullmatch(upload_id):
            upload = cls(uploads / upload_id)
            if upload.is_open() and upload.key == key:
                return upload
        raise _gone(key, upload_id)

    @classmethod
    def all_open(cls, uploads: Path) -> Iterator[Self]:
        """Yield every open upload, those included whose completion was cut short."""
        if uploads.is_dir():
            for directory in sorted(uploads.iterdir()):
                if (directory / "upload.json").is_file():
                    yield cls(directory)

    @classmethod
    def end(cls, uploads: Path, upload_id: str) -> None:
        """Remove the upload, if it is there, whole or in part."""
        if _ID.fullmatch(upload_id):
            cls(uploads / upload_id).remove()

    @property
    def upload_id(self) -> str:
        return self.directory.name

    @property
    def key(self) -> str:
        key: str = self._values()["key"]
        return key

    @property
    def options(self) -> ObjectOptions:
        return ObjectOptions(**self._values()["options"])

    def is_open(self) -> bool:
        return self._head.is_file() and self._data.is_file()

    def describe(self) -> OpenUpload:
        """Return what a listing says of it."""
        started_at = datetime.fromtimestamp(self._head.stat().st_mtime, UTC)
        return OpenUpload(key=self.key, upload_id=self.upload_id, started_at=started_at)

    def stored_parts(self) -> list[StoredPart]:
        """Return the receipts by number; raises NoSuchUpload."""
        try:
            names = os.listdir(self._parts)
        except FileNotFoundError:
            raise _gone("", self.upload_id) from None
        return sorted(map(StoredPart.parse, names), key=lambda part: part.number)

    def write_part(
        self,
        part: Part,
        advance: Advance,
        stop: threading.Event,
        wait: Callable[[int], None] | None = None,
    ) -> PartReceipt:
        """Write one part to its offset, sync it and leave its receipt.

        `wait` is called with the size of each piece before it is written. Raises BadDigest when
        the bytes are not what `part` says, InterruptedError when `stop` was set.
        """
        stored = StoredPart(part.number, part.offset, part.size_bytes, part.md5, part.crc64nvme)
        if sum(memoryview(buffer).nbytes for buffer in part.buffers) != part.size_bytes:
            raise errors.BadDigest(f"part {part.number} has other than {part.size_bytes} bytes")
        with self._open(os.O_WRONLY) as descriptor, locked(descriptor, part.offset, _span(part)):
            self._check_not_published(descriptor)
            self._withdraw(stored)
            crc64nvme = _write(descriptor, part, advance, stop, wait)
            if crc64nvme != part.crc64nvme:
                raise errors.BadDigest(
                    f"part {part.number} of upload {self.upload_id}: "
                    f"CRC-64/NVME is {crc64nvme}, not {part.crc64nvme}"
                )
            os.fdatasync(descriptor)
            try:
                (self._parts / stored.name).touch()
                sync_directory(self._parts)
            except FileNotFoundError:  # aborted meanwhile
                raise _gone("", self.upload_id) from None
        return stored.receipt

    def publish(
        self, parts: Sequence[PartReceipt], place: Callable[[Path, Finished], ObjectInfo]
    ) -> ObjectInfo:
        """Check that `parts` are the whole object and have `place` give the data its name.

        `place` is called with the synced data file while nobody else can write to it.
        Raises RequestRejected when the parts leave a gap or are not the stored ones.
        """
        with self._open(os.O_RDWR) as descriptor, locked(descriptor):
            finished = self._finish(parts)
            if os.fstat(descriptor).st_size != finished.size_bytes:
                os.ftruncate(descriptor, finished.size_bytes)
            os.fsync(descriptor)
            info = place(self._data, finished)
            self.remove()
        return info

    def remove(self) -> None:
        """Forget the upload; its head goes first, so that it is gone at once."""
        self._head.unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _finish(self, parts: Sequence[PartReceipt]) -> Finished:
        stored = {part.number: part for part in self.stored_parts()}
        md5s = hashlib.md5(usedforsecurity=False)
        offset = crc64nvme = 0
        for receipt in sorted(parts, key=lambda receipt: receipt.number):
            part = stored.get(receipt.number)
            if (
                part is None
                or part.receipt.etag != receipt.etag
                or part.size_bytes != receipt.size_bytes
            ):
                raise self._rejected(f"part {receipt.number} is not the one that is stored")
            if part.offset != offset:
                raise self._rejected(f"part {receipt.number} starts at {part.offset}, not {offset}")
            offset = part.end
            md5s.update(bytes.fromhex(part.md5))
            crc64nvme = checksums.combine_crc64nvme(
                crc64nvme, int(part.crc64nvme, 16), part.size_bytes
            )
        if not parts:
            raise self._rejected("no parts were named")
        # Parts without MD5 make an ETag of the CRC: no ETag of another content can equal it.
        has_md5s = all(part.md5 for part in stored.values())
        digest = md5s.hexdigest() if has_md5s else f"{crc64nvme:016x}"
        return Finished(offset, f"{digest}-{len(parts)}", f"{crc64nvme:016x}")

    def _withdraw(self, new: StoredPart) -> None:
        """Remove the receipts of the same number and of bytes that will be overwritten."""
        stale = [
            part.name
            for part in self.stored_parts()
            if part.number == new.number or (part.offset < new.end and new.offset < part.end)
        ]
        for name in stale:
            (self._parts / name).unlink(missing_ok=True)
        if stale:
            sync_directory(self._parts)

    def _check_not_published(self, descriptor: int) -> None:
        # While we waited for the lock, or at a crash in between, the data may have become
        # the object itself: then it must not be written to any more.
        if os.fstat(descriptor).st_nlink != 1 or not self.is_open():
            raise _gone("", self.upload_id)

    @contextmanager
    def _open(self, flags: int) -> Iterator[int]:
        try:
            descriptor = os.open(self._data, flags)
        except FileNotFoundError:
            raise _gone("", self.upload_id) from None
        try:
            yield descriptor
        finally:
            os.close(descriptor)  # gives back its locks too

    def _values(self) -> dict[str, Any]:
        try:
            values: dict[str, Any] = json.loads(self._head.read_bytes())
        except FileNotFoundError:
            raise _gone("", self.upload_id) from None
        return values

    def _rejected(self, why: str) -> errors.RequestRejected:
        return errors.RequestRejected(
            f"upload {self.upload_id} of {self.key} can't be completed: {why}",
            hint="Run `haulier retry ID` to send what is missing.",
        )


def _write(
    descriptor: int,
    part: Part,
    advance: Advance,
    stop: threading.Event,
    wait: Callable[[int], None] | None,
) -> str:
    """Write the part's bytes to their offset and return the CRC of what was written."""
    offset, crc64nvme = part.offset, 0
    for buffer in part.buffers:
        view = memoryview(buffer).cast("B")
        for start in range(0, len(view), PIECE_BYTES):
            if stop.is_set():
                raise InterruptedError
            piece = view[start : start + PIECE_BYTES]
            if wait is not None:
                wait(len(piece))
            crc64nvme = checksums.crc64nvme(piece, crc64nvme)
            written = 0
            while written < len(piece):
                written += os.pwrite(descriptor, piece[written:], offset + written)
            offset += len(piece)
            advance(len(piece))
    return f"{crc64nvme:016x}"


def _span(part: Part) -> int:
    # A lock of length 0 would reach to the end of the file; an empty part needs one byte.
    return max(1, part.size_bytes)


def _gone(key: str, upload_id: str) -> errors.NoSuchUpload:
    of_key = f" of {key}" if key else ""
    return errors.NoSuchUpload(f"there is no open upload {upload_id}{of_key}")
