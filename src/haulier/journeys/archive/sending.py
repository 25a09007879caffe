"""From plan to parts: the key is chosen, the multipart upload opened, the parts sent.

A resume comes through here as well. It plans again, keeps the parts whose sources are still the
same, and sends what the store does not have.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from haulier.archive.codec import codec_named
from haulier.archive.layout import dump_plan
from haulier.archive.parts import PartCutter
from haulier.archive.tar_stream import TarStream
from haulier.catalog.journal import JournalStage, PartRow
from haulier.catalog.transaction import Tx
from haulier.core.names import subdirectory_key, timestamped_key
from haulier.core.part_plan import part_bytes_for, parts_at_once
from haulier.errors import DuplicateName, NoSuchObject
from haulier.journeys.archive.context import ArchiveContext, StageReached
from haulier.journeys.archive.equal import Twin, twin_at_key
from haulier.journeys.archive.keeping import KeptArchive
from haulier.journeys.archive.select import Target, select
from haulier.journeys.archive.shipment import Shipment, archive_name, commit
from haulier.store.base import ListingStore, ObjectOptions
from haulier.transfer.part_upload import PartSender, PartSource, Survey, receipts_of, survey

if TYPE_CHECKING:
    from haulier.archive.seal import Sealer

ARCHIVE_TAG = ("haulier", "archive")
_FIRST_CLASH = 2


async def open_upload(ctx: ArchiveContext, shipment: Shipment) -> Twin | None:
    """Choose the key, open the multipart upload and commit its id.

    Returns the twin when an object of equal content is there already; then nothing is opened.
    """
    shipment.meter.set_stage("opening")
    twin = await _choose_key(ctx, shipment)
    if twin is not None:
        return twin
    await _abort_unrecorded(shipment)
    options = shipment.options
    upload_id = await shipment.destination.store.start_upload(
        shipment.journal.key,
        ObjectOptions(
            content_type="application/octet-stream",
            metadata={"haulier-operation": shipment.id},
            tags=dict([ARCHIVE_TAG]) if shipment.destination.checks.tags else {},
            storage_class=options.storage_class,
            sse=options.sse,
            sse_kms_key_id=options.sse_kms_key_id,
        ),
    )
    ctx.observe(StageReached(shipment.id, "opened", upload_id))
    await commit(ctx, shipment, stage=JournalStage.SENDING, journal={"upload_id": upload_id})
    return None


async def _choose_key(ctx: ArchiveContext, shipment: Shipment) -> Twin | None:
    """Settle on a free key by the rules for duplicates and commit it before it is used."""
    store = shipment.destination.store
    if shipment.options.force or shipment.journal.options.get("untrusted_key"):
        return None
    wanted = shipment.journal.key
    for key in _candidate_keys(shipment, wanted):
        try:
            info = await store.head(key)
        except NoSuchObject:
            if key != wanted:
                await commit(ctx, shipment, journal={"key": key})
            return None
        if key == wanted:
            twin = await twin_at_key(shipment, info)
            if twin is not None:
                return twin
            if shipment.options.duplicate_handling == "error":
                raise DuplicateName(f"{key} exists already in {shipment.destination.store.url}")
    raise AssertionError("the candidate keys never end")


def _candidate_keys(shipment: Shipment, wanted: str) -> Iterable[str]:
    yield wanted
    moment = shipment.record.started_at
    rename = (
        subdirectory_key
        if shipment.options.duplicate_handling == "subdirectory"
        else timestamped_key
    )
    yield rename(wanted, moment)
    number = _FIRST_CLASH
    while True:
        yield rename(wanted, moment, number)
        number += 1


async def _abort_unrecorded(shipment: Shipment) -> None:
    """End an upload of ours whose id was lost between its opening and our commit.

    Such an upload is for our key, younger than our record and empty: parts are only sent once
    the id is committed.
    """
    store = shipment.destination.store
    if not isinstance(store, ListingStore):
        return
    key = shipment.journal.key
    async for found in store.list_uploads(key):
        if found.key != key or found.upload_id == shipment.journal.upload_id:
            continue
        begun = found.started_at
        if begun is not None and begun < shipment.journal.created_at.replace(microsecond=0):
            continue
        if not await store.list_parts(key, found.upload_id):
            await store.abort_upload(key, found.upload_id)


async def send(ctx: ArchiveContext, shipment: Shipment, *, resumed: bool) -> None:
    """Send every part the store does not have yet, and commit that all are there."""
    keep_until = await _plan_again(ctx, shipment) if resumed else shipment.layout.size_bytes
    found = await _survey(ctx, shipment, keep_until)
    shipment.meter.set_stage("uploading")
    shipment.meter.add(sum(row.tar_end - row.tar_start for row in found.stored))
    with (
        ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="haulier-pack") as pool,
        _keeper(shipment) as keeper,
    ):
        digests = _known_digests(found)
        with TarStream(shipment.layout, digests) as stream:
            sender = PartSender(
                catalog=ctx.catalog,
                store=shipment.destination.store,
                operation_id=shipment.id,
                key=shipment.journal.key,
                upload_id=shipment.journal.upload_id or "",
                tar_size=shipment.layout.size_bytes,
                jobs=parts_at_once(
                    shipment.journal.part_bytes,
                    shipment.options.jobs,
                    sealed=shipment.options.encrypt is not None,
                ),
                pool=pool,
                seal=seal_for(shipment),
                keep=keeper.write if keeper else None,
                advance=shipment.meter.add,
                on_stored=_tell(ctx, shipment),
            )
            for source, offset in _sources(shipment, found, stream, pool):
                await sender.send_all(source, offset=offset)
    await commit(ctx, shipment, stage=JournalStage.COMPLETING)


def _sources(
    shipment: Shipment, found: Survey, stream: TarStream, pool: ThreadPoolExecutor
) -> Iterable[tuple[PartSource, int]]:
    """Yield a source for each gap, then one for the rest of the stream."""
    codec = codec_named(shipment.options.compression)
    for row in found.missing:
        yield (
            PartCutter(
                stream, codec, pool,
                start=row.tar_start, end=row.tar_end, number=row.number, part_bytes=None,
            ),
            row.offset,
        )  # fmt: skip
    behind = [row for row in (*found.stored, *found.missing) if row.number < found.next_number]
    offset = max((row.offset + row.size_bytes for row in behind), default=0)
    yield (
        PartCutter(
            stream, codec, pool,
            start=found.next_start, end=shipment.layout.size_bytes, number=found.next_number,
            part_bytes=shipment.journal.part_bytes,
        ),
        offset,
    )  # fmt: skip


def _tell(ctx: ArchiveContext, shipment: Shipment) -> Any:
    async def stored(row: PartRow) -> None:
        ctx.observe(StageReached(shipment.id, "part-stored", str(row.number)))

    return stored


async def _survey(ctx: ArchiveContext, shipment: Shipment, keep_until: int) -> Survey:
    rows = await ctx.catalog.read(lambda tx: tx.get_parts(shipment.id))
    if not rows:
        return Survey([], [], 1, 0)
    store = shipment.destination.store
    listed = await store.list_parts(
        shipment.journal.key, shipment.journal.upload_id or "", sent=receipts_of(rows)
    )
    found = survey(rows, listed, contiguous=store.limits.contiguous_parts, keep_until=keep_until)
    told = {row.number: row.etag for row in rows}

    def write(tx: Tx) -> None:
        tx.delete_parts(shipment.id, from_number=found.next_number)
        for row in found.stored:
            # The answer to a part that did arrive was lost; Complete needs its ETag.
            if row.etag and row.etag != told[row.number]:
                tx.mark_part_stored(shipment.id, row.number, row.etag)

    await ctx.catalog.transaction(write)
    return found


async def _plan_again(ctx: ArchiveContext, shipment: Shipment) -> int:
    """Hold the plan against the sources as they are now.

    Returns up to which tar offset both agree. When the sources changed, the new plan is
    committed together with the removal of the rows behind that offset.
    """
    target = Target(shipment.record.target_path, shipment.record.target_name)
    selected = await asyncio.to_thread(select, target, shipment.options)
    same_until = shipment.layout.unchanged_prefix(selected.layout)
    if same_until >= shipment.layout.size_bytes:
        return shipment.layout.size_bytes
    rows: list[PartRow] = await ctx.catalog.read(lambda tx: tx.get_parts(shipment.id))
    part_bytes = part_bytes_for(
        selected.layout.size_bytes, shipment.destination.store.limits.max_parts
    )
    if part_bytes > shipment.journal.part_bytes:  # with parts as small, numbers would run out
        same_until = 0
    first_dropped = next((row.number for row in rows if row.tar_end > same_until), None)
    record = replace(
        shipment.record,
        original_size=selected.size_bytes,
        source_file_record=replace(shipment.source, size=selected.size_bytes),
        metadata={**shipment.record.metadata, "original_size": selected.size_bytes},
    )
    journal = replace(
        shipment.journal,
        tar_size=selected.layout.size_bytes,
        part_bytes=max(part_bytes, shipment.journal.part_bytes),
    )
    plan = dump_plan(selected.layout)

    def write(tx: Tx) -> None:
        tx.put_operation(record)
        tx.put_upload(journal)
        tx.put_plan(shipment.id, plan)
        if first_dropped is not None:
            tx.delete_parts(shipment.id, from_number=first_dropped)

    await ctx.catalog.transaction(write)
    shipment.record, shipment.journal, shipment.layout = record, journal, selected.layout
    shipment.meter.set_total(selected.layout.size_bytes)
    return same_until


def _known_digests(found: Survey) -> dict[str, str]:
    digests: dict[str, str] = {}
    for row in found.stored:
        digests.update(row.digests)
    return digests


def _keeper(shipment: Shipment) -> AbstractContextManager[KeptArchive | None]:
    directory = shipment.options.keep_archive_dir
    if directory is None:
        return nullcontext(None)
    return KeptArchive(directory, archive_name(shipment), shipment.id)


def seal_for(shipment: Shipment) -> Sealer | None:
    """Return what encrypts the parts of `shipment`, or None."""
    if shipment.options.encrypt is None:
        return None
    from haulier.archive.seal import Sealer, load_key

    return Sealer(
        load_key(shipment.options.encrypt), bytes.fromhex(shipment.journal.options["file_id"])
    )


async def restart(ctx: ArchiveContext, shipment: Shipment, *, untrusted: bool = False) -> None:
    """Go back to the beginning: the upload is gone, or what it made is not to be trusted."""
    store = shipment.destination.store
    if shipment.journal.upload_id is not None:
        await store.abort_upload(shipment.journal.key, shipment.journal.upload_id)
    journal = replace(
        shipment.journal,
        stage=JournalStage.PLANNED,
        upload_id=None,
        options={
            **shipment.journal.options,
            **({"untrusted_key": shipment.journal.key} if untrusted else {}),
        },
    )

    def write(tx: Tx) -> None:
        tx.delete_parts(shipment.id)
        tx.put_upload(journal)

    await ctx.catalog.transaction(write)
    shipment.journal = journal
    ctx.observe(StageReached(shipment.id, "restarted", journal.key))
