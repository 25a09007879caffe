"""What is asked of a download, what comes of it, and where its file goes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal, Self

from haulier.core.checksums import parse_checksum
from haulier.core.link_names import link_name
from haulier.core.records import JsonRecord
from haulier.transfer.batches import BatchItem
from haulier.transfer.control_file import refuse_existing
from haulier.transfer.download import DownloadReceipt
from haulier.transfer.link_source import LinkFacts, Refresh

IfExists = Literal["refuse", "overwrite", "rename"]
"""What is done about a file that has the name already: `rename` takes `name-2.ext`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadRequest:
    """A file to be fetched.

    Args:
        url: http or https.
        name: what to call it; made safe. Else the server or the link says.
        key: recognises the file where its link differs each time, both when a download is
            resumed and in the cache. What it names must never change its content.
        checksum: `<algorithm>:<hex>` that it must have.
        size_bytes: the size that it must have.
        headers: sent along to the link's own server.
        refresh: asked for a fresh link when this one has expired.
    """

    url: str
    name: str | None = None
    key: str | None = None
    checksum: str | None = None
    size_bytes: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    refresh: Refresh | None = None

    @property
    def cache_key(self) -> str | None:
        """What the file is found by: a checksum that is given must be the content's own."""
        if self.checksum is None:
            return self.key
        checksum = ":".join(parse_checksum(self.checksum))
        return checksum if checksum.startswith("sha256:") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadedFile(JsonRecord):
    """A file that was fetched.

    `mime_type` is what the server called it, `crc64nvme` that of its bytes, `checksum` the one
    that was asked for. `resumed_bytes` were there from an earlier run, `received_bytes` came in
    this one, and `restarts` times all was begun again.
    """

    path: Path
    size_bytes: int
    mime_type: str | None
    crc64nvme: str
    checksum: str | None
    etag: str | None
    last_modified: str | None
    resumed_bytes: int
    received_bytes: int
    restarts: int
    from_cache: bool

    @classmethod
    def of(
        cls,
        receipt: DownloadReceipt,
        mime_type: str | None,
        checksum: str | None,
        *,
        from_cache: bool,
    ) -> Self:
        """Return the record of a download that has ended."""
        return cls(
            path=receipt.path,
            size_bytes=receipt.size_bytes,
            mime_type=mime_type,
            crc64nvme=receipt.crc64nvme,
            checksum=checksum,
            etag=receipt.etag,
            last_modified=receipt.last_modified,
            resumed_bytes=receipt.resumed_bytes,
            received_bytes=0 if from_cache else receipt.received_bytes,
            restarts=receipt.restarts,
            from_cache=from_cache,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return {**JsonRecord.to_json(self), "path": str(self.path)}


class Place:
    """Where a file goes, once its name is known."""

    def __init__(self, directory: Path, name: str | None, if_exists: IfExists) -> None:
        self.directory, self.name, self.if_exists = directory, name, if_exists

    def gathering(self, source: str) -> Path:
        """Return the target whose part file gathers the bytes: the same for a later run."""
        if self.name is not None and self.if_exists != "rename":
            return self.directory / self.name
        return self.directory / hashlib.sha256(os.fsencode(source)).hexdigest()[:32]

    def learn(self, facts: LinkFacts) -> None:
        """Refuse a name that is taken before a byte is fetched in vain."""
        self.check(self.name or facts.name)

    def check(self, name: str | None) -> None:
        """Raise DuplicateName when the file may not have that name; None is none yet."""
        if name is None or self.if_exists == "rename":
            return
        path = self.directory / name
        if self.if_exists == "refuse" or path.is_dir():
            refuse_existing(path)

    def names(self, told: str) -> Iterator[Path]:
        """Yield what the file may be called, best first; `told` is what its source calls it."""
        path = self.directory / (self.name or told)
        yield path
        if self.if_exists != "rename":
            return
        for number in count(2):
            yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def batch_items(requests: Iterable[DownloadRequest]) -> Iterator[BatchItem]:
    """Return requests as items of a batch, each recognised by its key or its link."""
    for request in requests:
        yield BatchItem(
            id=request.key or request.url,
            name=request.name or link_name(request.url),
            size_bytes=request.size_bytes,
            data=request,
        )
