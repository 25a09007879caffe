"""Deleting an archive: the object, the index beside it, and what the records say of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from haulier.catalog.transaction import Tx
from haulier.core.records import FileStatus, OperationRecord, UploadRecord
from haulier.errors import NoSuchObject
from haulier.journeys.archive.bookkeeping import operation
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.references import StoredArchive, index_key, resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletePlan:
    """What would be deleted; `size_bytes` is None when the object is gone already."""

    archive: StoredArchive
    key: str
    url: str
    size_bytes: int | None


async def plan_delete(ctx: ArchiveContext, reference: str) -> DeletePlan:
    """Say what `delete` would remove, so that a person can agree.

    Raises UnknownReference when nothing has that name, StoreError when the store can't tell.
    """
    archive = await resolve(ctx, reference)
    try:
        size_bytes: int | None = (await archive.store.head(archive.key)).size_bytes
    except NoSuchObject:
        size_bytes = None
    return DeletePlan(archive=archive, key=archive.key, url=archive.url, size_bytes=size_bytes)


async def delete(ctx: ArchiveContext, archive: StoredArchive) -> OperationRecord:
    """Delete the object of `archive` and its index; the upload's remote file becomes `deleted`.

    The source in the completed directory is not touched. An object that is gone already is
    fine. After a crash anywhere in between, deleting again ends what was begun.

    Raises StoreError when the store refuses; the operation is recorded as failed then.
    """
    upload = archive.operation
    about = {"s3_object_key": archive.key}
    if upload is not None:
        about["upload_operation_id"] = upload.operation_id
    async with operation(
        ctx, "delete", target_path=archive.url, target_name=archive.name, metadata=about
    ) as running:
        # The object goes first: an index without its archive is found by `gc`, an archive
        # without its index would look like one that was never ours.
        await archive.store.delete(archive.key)
        await archive.store.delete(index_key(archive.key))
        if upload is not None:
            await _mark_deleted(ctx, upload.operation_id)
    return running.record


async def _mark_deleted(ctx: ArchiveContext, operation_id: str) -> None:
    def mark(tx: Tx) -> None:
        upload = tx.get_operation(operation_id)
        if not isinstance(upload, UploadRecord) or upload.s3_file_record is None:
            return
        gone = replace(upload.s3_file_record, status=FileStatus.DELETED)
        tx.put_operation(replace(upload, s3_file_record=gone))

    await ctx.catalog.transaction(mark)
