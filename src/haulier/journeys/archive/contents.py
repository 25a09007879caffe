"""What is in an archive: from its index, or else from the archive itself."""

from __future__ import annotations

from haulier.archive.entry import Entry, EntryType
from haulier.archive.reader import ByteSource
from haulier.archive.safety import member_type
from haulier.archive.tar_reader import TarReader, mtime_ns
from haulier.errors import UnsafeArchive
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.readback import tar_stream_of
from haulier.journeys.archive.references import load_index, resolve
from haulier.journeys.archive.sealed import Unseal, unsealer
from haulier.journeys.archive.streaming import read_through


async def list_members(ctx: ArchiveContext, reference: str, key: str | None = None) -> list[Entry]:
    """Return the entries of an archive in their order.

    Without an index the archive is read through for its headers, which takes as long as
    downloading it.

    Args:
        reference: what `resolve` understands.
        key: names the key of an encrypted archive; needed when the catalog has no index.

    Raises:
        UnknownReference: it means nothing. CorruptArchive: index or archive can't be read.
        DecryptionFailed: the key is missing or wrong. StoreError: the store can't be asked.
    """
    archive = await resolve(ctx, reference)
    index = await load_index(ctx, archive, key)
    if index is not None:
        return list(index.entries)
    info = await archive.store.head(archive.key)
    unseal = unsealer(key, None)
    meter = ctx.board.start(archive.url, archive.name, info.size_bytes, "reading")
    try:
        entries = await read_through(
            archive.store,
            archive.key,
            lambda raw: _headers(raw, unseal),
            if_match=info.etag,
            advance=meter.add,
        )
    except BaseException as error:
        meter.fail(str(error))
        raise
    meter.finish()
    return entries


def _headers(raw: ByteSource, unseal: Unseal | None) -> list[Entry]:
    entries: list[Entry] = []
    for member in TarReader(tar_stream_of(raw, None, unseal)):
        try:
            kind = member_type(member)
        except UnsafeArchive:  # devices and pipes, which are never unpacked, are not listed
            continue
        entries.append(
            Entry(
                path=member.name,
                type=kind,
                mode=member.mode,
                mtime_ns=mtime_ns(member),
                size=member.size if kind is EntryType.FILE else 0,
                link_target=member.linkname or None,
                tar_offset=member.offset,
                header_bytes=member.offset_data - member.offset,
            )
        )
    return entries
