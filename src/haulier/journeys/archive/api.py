"""The archive journey as two functions, for programs: `haulier.upload` and `haulier.restore`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from haulier.core.progress import Progress
from haulier.core.records import OperationRecord, UploadRecord
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.open import open_archive, upload_options
from haulier.journeys.archive.upload import upload as upload_targets
from haulier.settings import Settings
from haulier.transfer.ticker import Ticker

OnProgress = Callable[[Progress], None]


async def upload(
    targets: str | Path | Sequence[str | Path],
    *,
    to: str | None = None,
    settings: Settings | None = None,
    dry_run: bool = False,
    limit_rate: str | None = None,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> list[UploadRecord]:
    """Pack, upload, verify and complete files and directories.

    Args:
        targets: paths, or `"all"` for each entry of the local directory.
        to: `s3://bucket/prefix`, `https://server/folder`, `file:///path` or a remote of
            `haulier.toml`; None: what the settings say.
        settings: read from environment and files when left out.
        dry_run: only tell what would be done.
        limit_rate: bytes per second as `"20M"`, or a timetable.
        on_progress: called some times a second with a `Progress` of each target.
        options: fields of `UploadOptions`, and `complete` and `keep_archive` (booleans).

    Returns:
        One record for each target; look at `status`.

    Raises:
        UsageError, ConfigurationError: what was asked for makes no sense.
        SourceError: nothing can be selected. StoreError: the store can't be opened.
    """
    names = [str(targets)] if isinstance(targets, (str, Path)) else [str(t) for t in targets]
    chosen = settings or Settings.load()
    async with AsyncExitStack() as stack:
        ctx = await _open(stack, chosen, to, limit_rate, on_progress)
        wanted = upload_options(chosen, to, **options)
        return await upload_targets(ctx, names, wanted, dry_run=dry_run)


async def restore(
    reference: str,
    *,
    out: str | Path = ".",
    member: str | None = None,
    key: str | None = None,
    overwrite: bool = False,
    settings: Settings | None = None,
    limit_rate: str | None = None,
    on_progress: OnProgress | None = None,
) -> OperationRecord:
    """Bring an archive, or one member of it, back: download, verify, unpack.

    Args:
        reference: an operation's id, a key, or a URL.
        out: the directory that NAME is made in.
        member: only this path of the archive.
        key: the key of an encrypted archive: a file's path or `keyring:NAME`.
        overwrite: replace what is there.

    Returns:
        The operation's record; `result_path` is where it went.

    Raises:
        UnknownReference, DuplicateName, ObjectArchived, UnsafeArchive, CorruptArchive,
        VerificationFailed, StoreError, StorageFull: as their docstrings say.
    """
    from haulier.journeys.archive.restore import restore as restore_archive

    async with AsyncExitStack() as stack:
        ctx = await _open(stack, settings or Settings.load(), None, limit_rate, on_progress)
        return await restore_archive(
            ctx, reference, out=Path(out), member=member, key=key, overwrite=overwrite
        )


async def _open(
    stack: AsyncExitStack,
    settings: Settings,
    to: str | None,
    limit_rate: str | None,
    on_progress: OnProgress | None,
) -> ArchiveContext:
    ctx = await stack.enter_async_context(open_archive(settings, to=to, limit_rate=limit_rate))
    if on_progress is not None:
        await stack.enter_async_context(Ticker(ctx.board, [on_progress]))
    return ctx
