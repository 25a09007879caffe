"""From what a person types to an archive in a store: an operation's id, a key, or a URL."""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from urllib.parse import unquote

from haulier.archive.index import INDEX_SUFFIX, ArchiveIndex, read_index
from haulier.catalog.filters import FileFilter, OperationFilter
from haulier.core.records import FileStatus, OperationRecord, UploadRecord
from haulier.errors import (
    ConfigurationError,
    NoSuchBucket,
    NoSuchObject,
    UnknownReference,
    UnsafePath,
)
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.destination import Destination, OpenDestination
from haulier.journeys.archive.sealed import open_blob
from haulier.store.base import MultipartStore
from haulier.store.keys import split_url

ARCHIVE_SUFFIXES = (".tar.gz", ".tar.zst", ".tar")
_ID = re.compile(r"[0-9a-fA-F-]{6,36}")
_NEAR_AMONG = 500
_NEAR_MATCHES = 3


@dataclass(frozen=True, slots=True)
class StoredArchive:
    """An archive in a store, and the upload that brought it there, when the catalog knows it."""

    operation: UploadRecord | None
    destination: OpenDestination
    key: str

    @property
    def store(self) -> MultipartStore:
        return self.destination.store

    @property
    def url(self) -> str:
        return self.destination.url_of(self.key)

    @property
    def name(self) -> str:
        """What was archived: the target's name, or the key's last part without its suffix."""
        return self.operation.target_name if self.operation is not None else name_in(self.key)


def name_in(key: str) -> str:
    """Return what the archive at `key` is called without directories and suffix."""
    name = key.rsplit("/", 1)[-1]
    for suffix in ARCHIVE_SUFFIXES:
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    return name


def index_key(key: str) -> str:
    """Return the key of the index that lies beside the archive at `key`."""
    return key + INDEX_SUFFIX


async def resolve(ctx: ArchiveContext, reference: str) -> StoredArchive:
    """Return the archive that `reference` means.

    Args:
        reference: the id of an upload or its beginning, a key (newest upload of it that is not
            deleted, else an object in the current destination, with or without its prefix), or
            `s3://bucket/key`, `https://server/path` or `file:///path`.

    Raises:
        UnknownReference: it is none of these; the hint names what is near.
        StoreError: the store can't be asked.
    """
    if "://" in reference:
        return await _by_url(ctx, reference)
    unknown = None
    if _ID.fullmatch(reference):
        try:
            found = await ctx.catalog.get_operation(reference)
        except UnknownReference as error:
            unknown = error
        else:
            return await _of_operation(ctx, found)
    upload = await _upload_with_key(ctx, reference)
    if upload is not None:
        return await _of_operation(ctx, upload)
    for key in dict.fromkeys([reference, ctx.destination.destination.prefix + reference]):
        if await _exists(ctx.destination, key):
            return StoredArchive(None, ctx.destination, key)
    raise unknown or UnknownReference(
        f"no upload and no stored object is called {reference!r}", hint=await _hint(ctx, reference)
    )


async def of_upload(ctx: ArchiveContext, upload: UploadRecord) -> StoredArchive:
    """Return the archive that `upload` brought to its store.

    Raises UnknownReference when it brought none.
    """
    if upload.s3_object_key is None:
        raise UnknownReference(
            f"{upload.operation_id} ({upload.target_name}) is {upload.status}: nothing is stored",
            hint="Run `haulier resume` or `haulier retry ID` first.",
        )
    place = upload.metadata.get("destination")
    if place is None:
        return StoredArchive(upload, ctx.destination, upload.s3_object_key)
    destination = await ctx.open_destination(Destination.from_json(place))
    return StoredArchive(upload, destination, upload.s3_object_key)


async def _of_operation(ctx: ArchiveContext, found: OperationRecord) -> StoredArchive:
    if not isinstance(found, UploadRecord):
        raise UnknownReference(
            f"{found.operation_id} is an operation of type {found.operation_type}, not an upload"
        )
    equal_to = found.metadata.get("equal_to")
    if equal_to is not None:
        return await _of_operation(ctx, await ctx.catalog.get_operation(equal_to))
    return await of_upload(ctx, found)


async def upload_of(
    ctx: ArchiveContext, destination: OpenDestination, key: str
) -> UploadRecord | None:
    """Return the newest upload to exactly that place that is not deleted, or None."""
    async for upload in _uploads_named(ctx, key.rsplit("/", 1)[-1]):
        place = upload.metadata.get("destination")
        if upload.s3_object_key != key or place is None:
            continue
        if Destination.from_json(place).identity == destination.destination.identity:
            return upload
    return None


async def _upload_with_key(ctx: ArchiveContext, reference: str) -> UploadRecord | None:
    async for upload in _uploads_named(ctx, reference.rsplit("/", 1)[-1]):
        prefix = (upload.metadata.get("destination") or {}).get("prefix", "")
        if upload.s3_object_key in {reference, prefix + reference}:
            return upload
    return None


async def _uploads_named(ctx: ArchiveContext, name: str) -> AsyncIterator[UploadRecord]:
    """Yield uploads whose object is there and has `name` behind its last slash, newest first."""
    cursor = None
    while True:
        page = await ctx.catalog.list_files(
            FileFilter(name=name, status=FileStatus.COMPLETED, cursor=cursor)
        )
        for record in page.items:
            operation_id = record.tags.get("upload_operation_id")
            if operation_id is None or record.location in {"local", "completed"}:
                continue
            upload = await ctx.catalog.get_operation(operation_id)
            if isinstance(upload, UploadRecord):
                yield upload
        cursor = page.next_cursor
        if cursor is None:
            return


async def _by_url(ctx: ArchiveContext, url: str) -> StoredArchive:
    destination, key = await open_url(ctx, url)
    upload = await upload_of(ctx, destination, key)
    if upload is None and not await _exists(destination, key):
        raise UnknownReference(f"there is no object at {url}", hint=await _hint(ctx, url))
    return StoredArchive(upload, destination, key)


async def open_url(ctx: ArchiveContext, url: str) -> tuple[OpenDestination, str]:
    """Return the destination that `url` leads to, and the key it names there.

    Below the current destination's root it is that one; another bucket is opened with the
    current endpoint; another path is a local store of its own. Raises ConfigurationError for
    any other URL.
    """
    here = ctx.destination.destination
    is_bucket = url.startswith("s3://")
    if url.startswith(f"{here.root}/"):
        rest = url.removeprefix(f"{here.root}/")
        return ctx.destination, rest if is_bucket else unquote(rest)
    if is_bucket:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return await ctx.open_destination(place_at(ctx, f"s3://{bucket}")), key
    if url.startswith("file:///"):
        root, _, key = url.rpartition("/")
        return await ctx.open_destination(place_at(ctx, root)), unquote(key)
    if url.startswith(("https://", "http://")):
        root, key = split_url(url)
        return await ctx.open_destination(place_at(ctx, root)), key
    raise ConfigurationError(
        f"{url!r} is not the URL of a stored object",
        hint="Use s3://bucket/key, https://server/path or file:///path.",
    )


def place_at(ctx: ArchiveContext, root: str, prefix: str = "") -> Destination:
    """Return the destination at `root`; a bucket is reached as the current one is."""
    here = ctx.destination.destination
    if root == here.root or (root.startswith("s3://") and here.root.startswith("s3://")):
        return replace(here, root=root, prefix=prefix)
    return Destination(root=root, prefix=prefix)


async def _exists(destination: OpenDestination, key: str) -> bool:
    try:
        await destination.store.head(key)
    except (NoSuchObject, NoSuchBucket, UnsafePath):
        return False
    return True


async def fetch_index(archive: StoredArchive, key: str | None = None) -> bytes | None:
    """Read the index that lies beside `archive`, decrypted by the key named `key` if sealed.

    Returns None when there is none. Raises DecryptionFailed when the key is missing or wrong.
    """
    try:
        async with archive.store.get(index_key(archive.key)) as pieces:
            blob = b"".join([piece async for piece in pieces])
    except NoSuchObject:
        return None
    return await asyncio.to_thread(open_blob, blob, key)


async def load_index(
    ctx: ArchiveContext, archive: StoredArchive, key: str | None = None
) -> ArchiveIndex | None:
    """Return the index of `archive`, from the catalog or else from beside the object.

    Returns None when there is none: the archive was not made by haulier. Raises
    DecryptionFailed when it is sealed and `key` does not open it, CorruptArchive when it can't
    be read.
    """
    blob = None
    if archive.operation is not None:
        operation_id = archive.operation.operation_id
        blob = await ctx.catalog.read(lambda tx: tx.get_index(operation_id))
    if blob is None:
        blob = await fetch_index(archive, key)
    return None if blob is None else await asyncio.to_thread(read_index, blob)


async def _hint(ctx: ArchiveContext, reference: str) -> str:
    page = await ctx.catalog.list_operations(
        OperationFilter(operation_type="upload", limit=_NEAR_AMONG)
    )
    keys = {
        word: upload.s3_object_key
        for upload in page.items
        if isinstance(upload, UploadRecord) and upload.s3_object_key is not None
        for word in (upload.s3_object_key, upload.target_name, upload.result_path or "")
    }
    near = difflib.get_close_matches(reference, keys, n=_NEAR_MATCHES)
    if not near:
        return UnknownReference.advice
    names = dict.fromkeys(repr(keys[word]) for word in near)
    return f"Did you mean {' or '.join(names)}?"
