"""record save, list, queue, sync, stats: recordings of a device without a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from haulier.cli.options import SIZES, DataOption, JsonOption

if TYPE_CHECKING:
    from haulier.core.recordings import Recording
    from haulier.journeys.recording.manager import OfflineAudioManager
    from haulier.journeys.recording.syncing import Outcome, Syncing
    from haulier.settings import Settings

T = TypeVar("T")

commands = typer.Typer(help="Recordings: kept first, sent later.", no_args_is_help=True)

_DEVICE = "device"
_SWEEP_EVERY_S = 24 * 3600
UserOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Whose: a user of the server here; else this device's own."),
]


@commands.command(epilog=SIZES)
def save(
    sound: Annotated[str, typer.Argument(metavar="FILE", help="The sound; - reads it from stdin.")],
    mode: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "recap",
    recording_id: Annotated[
        str | None,
        typer.Option("--id", metavar="UUID", help="Its id; the same may be saved again."),
    ] = None,
    user: UserOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Keep a recording on this machine, and print its id.

    Nothing is sent before `haulier record sync`.

    Example: haulier record save memo.wav --mode lecture
    """
    import sys
    import uuid

    from haulier.cli.output import print_json

    given = sys.stdin.buffer if sound == "-" else Path(sound)

    async def work(manager: OfflineAudioManager, user_id: str) -> Recording:
        return await manager.save_recording(user_id, recording_id or str(uuid.uuid4()), given, mode)

    saved = _with_recordings(work, user, data)
    if as_json:
        print_json(saved)
    else:
        print(saved.recording_id)


@commands.command("list", epilog=SIZES)
def list_recordings(
    status: Annotated[
        str | None, typer.Option(metavar="STATUS", help="Only these: recorded, failed, ….")
    ] = None,
    user: UserOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List recordings, newest first.

    Example: haulier record list --status failed
    """
    from haulier.cli.output import print_json, printable
    from haulier.core.records import format_time
    from haulier.core.units import format_size

    found = _with_recordings(lambda m, user_id: m.list_recordings(user_id, status), user, data)
    if as_json:
        print_json(found)
        return
    for one in found:
        when, size = format_time(one.created_at), format_size(one.file_size)
        told = [one.recording_id, one.status, one.mode, size, when, one.error or ""]
        print("\t".join(printable(cell) for cell in told))


@commands.command(epilog=SIZES)
def queue(user: UserOption = None, as_json: JsonOption = False, data: DataOption = None) -> None:
    """List what waits to be sent, and why it is not there yet.

    Example: haulier record queue
    """
    from haulier.cli.output import print_json, printable
    from haulier.core.records import format_time

    found = _with_recordings(lambda m, user_id: m.get_upload_queue(user_id), user, data)
    if as_json:
        print_json(found)
        return
    for one in found:
        told = [one.recording_id, format_time(one.queued_at), one.attempts, one.last_error or ""]
        print("\t".join(printable(cell) for cell in told))


@commands.command(epilog=SIZES)
def stats(user: UserOption = None, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Say what recordings take, and what of them needs looking at.

    Example: haulier record stats
    """
    from haulier.cli.output import print_json
    from haulier.core.units import format_size

    found = _with_recordings(lambda m, user_id: m.get_storage_stats(user_id), user, data)
    if as_json:
        print_json(found)
        return
    kept = f"{format_size(found.bytes)} of {format_size(found.limit_bytes)}"
    print(f"recordings\t{found.files}\t{kept}")
    for status, count in found.by_status.items():
        if count:
            print(f"{status}\t{count}")
    print(f"queued\t{found.queued}")
    print(f"trash\t{found.trash_files}\t{format_size(found.trash_bytes)}")
    print(f"free\t{format_size(found.free_bytes)}")
    for recording_id in found.only_in_trash:
        print(f"only in the trash\t{recording_id}")
    for name in found.damaged:
        print(f"damaged\t{name}")


@commands.command(epilog=SIZES)
def sync(
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: send what comes, try again what failed.")
    ] = False,
    user: UserOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Send what was recorded to where SYNC_TO says, each recording on its own.

    What fails is tried again the next time. Ends with 1 when something failed.

    Example: haulier record sync --watch
    """
    from haulier.cli.output import print_json, require
    from haulier.cli.running import run
    from haulier.settings import Settings

    require(not (watch and as_json), "--watch has no end", "Leave --json or --watch out.")
    settings = Settings.load(data=data)

    async def work() -> dict[str, Any]:
        async with _open_syncing(settings, user) as (manager, syncing, user_id):
            days = settings.recordings.audio_failed_retention_days
            await manager.sweep(user_id, days)
            if watch:
                await _watch(manager, syncing, user_id, days)
            begun = syncing.begin(user_id, await syncing.queue_everything(user_id))
            return _report([await task for task in begun.values()], silent=as_json)

    report = run(work)
    if as_json:
        print_json(report)
    if report["failed"]:
        raise SystemExit(1)


async def _watch(manager: OfflineAudioManager, syncing: Syncing, user_id: str, days: int) -> None:
    import asyncio
    import time

    swept_at = time.monotonic()
    while True:
        if time.monotonic() - swept_at > _SWEEP_EVERY_S:
            await manager.sweep(user_id, days)
            swept_at = time.monotonic()
        await syncing.queue_everything(user_id)
        _report(await syncing.send_due([user_id]), silent=False)
        await asyncio.sleep(2)


def _report(outcomes: list[Outcome], *, silent: bool) -> dict[str, Any]:
    from haulier.cli.output import printable, say
    from haulier.errors import OperationBusy

    counts = {"synced": 0, "failed": 0, "pending": 0}
    told: list[dict[str, Any]] = []
    for one in outcomes:
        busy = isinstance(one.error, OperationBusy)
        state = "synced" if one.error is None else "pending" if busy else "failed"
        counts[state] += 1
        recording = one.recording
        row: dict[str, Any] = {
            "recording_id": recording.recording_id,
            "status": recording.status,
            "upload_endpoint": recording.location,
        }
        if one.error is not None:
            row["error"] = one.error.message
            say(f"{state}: {recording.recording_id}: {printable(one.error.message)}")
        told.append(row)
        if not silent and one.error is None:
            print(f"{recording.recording_id}\t{recording.status}\t{recording.location}")
    return {**counts, "recordings": told}


def _with_recordings(
    work: Callable[[OfflineAudioManager, str], Awaitable[T]],
    user: str | None,
    data: Path | None,
) -> T:
    from haulier.cli.running import run
    from haulier.journeys.recording.manager import OfflineAudioManager
    from haulier.settings import Settings

    settings = Settings.load(data=data)

    async def on_this_machine() -> T:
        user_id = await _user_id(settings, user)
        return await work(OfflineAudioManager.of_settings(settings), user_id)

    return run(on_this_machine)


async def _user_id(settings: Settings, user: str | None) -> str:
    if user is None:
        return _DEVICE
    from haulier.catalog.catalog import Catalog
    from haulier.files.accounts import Accounts

    async with await Catalog.open(settings.catalog_url) as catalog:
        return (await Accounts(catalog).get(user)).user_id


@asynccontextmanager
async def _open_syncing(
    settings: Settings, user: str | None
) -> AsyncIterator[tuple[OfflineAudioManager, Syncing, str]]:
    """Open what sends recordings; for a user of the server here it is what the server has."""
    user_id = await _user_id(settings, user)
    if user is not None:
        from haulier.server.services import open_services

        async with open_services(settings) as services:
            yield services.recordings, services.syncing, user_id
        return
    from haulier.catalog.catalog import Catalog
    from haulier.journeys.recording.manager import OfflineAudioManager
    from haulier.journeys.recording.opening import sender_of
    from haulier.journeys.recording.syncing import Syncing

    async with AsyncExitStack() as stack:
        catalog = await stack.enter_async_context(await Catalog.open(settings.catalog_url))
        manager = OfflineAudioManager.of_settings(settings)
        sender = sender_of(settings, catalog, stack, own_files=None)
        yield manager, await stack.enter_async_context(Syncing(manager, sender)), user_id


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.add_typer(commands, name="record")
