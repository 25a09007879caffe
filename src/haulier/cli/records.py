"""history, show, files: what the catalog knows."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from haulier.cli.options import SIZES, DataOption, JsonOption

if TYPE_CHECKING:
    from datetime import datetime
    from enum import StrEnum

    from haulier.catalog.catalog import Catalog
    from haulier.core.records import OperationRecord

T = TypeVar("T")

SinceOption = Annotated[
    str | None, typer.Option(metavar="WHEN", help="From then on: 2026-01-31, 2026-01-31T10:00, 3d.")
]
UntilOption = Annotated[str | None, typer.Option(metavar="WHEN", help="Before then.")]
NameOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="A name, or a pattern with * and ?.")
]
LocationOption = Annotated[
    str | None, typer.Option(metavar="PLACE", help="local, completed, s3 or file.")
]
TagOption = Annotated[str | None, typer.Option(metavar="KEY[=VALUE]", help="Has this tag.")]
LimitOption = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")]
CursorOption = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Go on behind an earlier page.")
]


def history(
    status: Annotated[
        str | None,
        typer.Option(
            metavar="STATUS", help="pending, running, success, failed, partial or cancelled."
        ),
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    name: NameOption = None,
    file: Annotated[
        str | None, typer.Option(metavar="PATH", help="What was done to this file.")
    ] = None,
    location: LocationOption = None,
    operation_type: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="upload, download, verify, delete, …"),
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="Who did it.")] = None,
    tag: TagOption = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Tell what was done, newest first.

    Example: haulier history --status failed --since 7d
    """
    from haulier.catalog.filters import OperationFilter
    from haulier.cli.output import print_json
    from haulier.core.records import OperationStatus

    wanted = OperationFilter(
        status=_choice(OperationStatus, status),
        since=_when(since),
        until=_when(until),
        name=name,
        file=file,
        location=location,
        operation_type=operation_type,
        user=user,
        tag=_tag(tag),
        limit=limit,
        cursor=cursor,
    )
    page = _read(data, lambda catalog: catalog.list_operations(wanted))
    if as_json:
        print_json(page.items)
    else:
        from haulier.cli.render import table

        columns = ("id", "started", "type", "status", "name", "size", "result")
        table(columns, (_operation_row(record) for record in page.items))
    _say_more(page.next_cursor)


def _operation_row(record: OperationRecord) -> tuple[object, ...]:
    from haulier.cli.render import identifier, is_drawn
    from haulier.core.records import UploadRecord, format_time
    from haulier.core.units import format_size

    size, result = None, record.result_path
    if isinstance(record, UploadRecord):
        size = record.original_size
        result = record.s3_object_key if is_drawn() else result
    return (
        identifier(record.operation_id),
        format_time(record.started_at.replace(microsecond=0)),
        record.operation_type,
        record.status,
        record.target_name,
        "" if size is None else format_size(size),
        record.error_message or result or "",
    )


def _say_more(cursor: str | None) -> None:
    from haulier.cli.output import say

    if cursor is not None:
        say(f"there is more: --cursor {cursor}")


def show(
    reference: Annotated[
        str, typer.Argument(metavar="ID", help="Or its beginning, from 6 characters on.")
    ],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show everything about one operation.

    Example: haulier show 3f2a91c0
    """
    from haulier.cli.output import failures_as_json, print_json

    with failures_as_json(as_json, "show", [reference], one=True):
        record = _read(data, lambda catalog: catalog.get_operation(reference))
    if as_json:
        print_json(record)
        return
    from haulier.cli.render import table

    table(("field", "value"), _fields(record.to_json()))


def _fields(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield what is known, the fields of records in it as `record.field`."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _fields(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value:
            yield f"{prefix}{name}", " ".join(map(str, value))
        elif value not in (None, "", []):
            yield f"{prefix}{name}", value


def files(
    status: Annotated[
        str | None,
        typer.Option(metavar="STATUS", help="pending, uploading, completed, failed or deleted."),
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    name: NameOption = None,
    path: Annotated[
        str | None, typer.Option(metavar="PATH", help="This path and what lies below it.")
    ] = None,
    location: LocationOption = None,
    tag: TagOption = None,
    checksum: Annotated[
        str | None, typer.Option(metavar="ALG:HEX", help="sha256:…, crc64nvme:…")
    ] = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all that match to this file, as JSON."),
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List the registry: every file at every place.

    Example: haulier files --location completed --name '*.mp4'
    """
    from haulier.catalog.filters import FileFilter
    from haulier.cli.output import print_json, printable, say
    from haulier.core.records import FileStatus

    wanted = FileFilter(
        status=_choice(FileStatus, status),
        since=_when(since),
        until=_when(until),
        name=name,
        path=path,
        location=location,
        tag=_tag(tag),
        checksum=checksum,
        limit=limit,
        cursor=cursor,
    )
    if export is not None:
        from haulier.cli.export import export_files

        count = _read(data, lambda catalog: export_files(catalog, wanted, export))
        say(f"{count} file records written to {printable(export)}")
        return
    page = _read(data, lambda catalog: catalog.list_files(wanted))
    if as_json:
        print_json(page.items)
    else:
        from haulier.cli.render import table
        from haulier.core.units import format_size

        table(
            ("location", "status", "size", "name", "path"),
            [(r.location, r.status, format_size(r.size), r.name, r.path) for r in page.items],
        )
    _say_more(page.next_cursor)


def _read(data: Path | None, work: Callable[[Catalog], Coroutine[Any, Any, T]]) -> T:
    from haulier.catalog.catalog import Catalog
    from haulier.cli.running import run
    from haulier.settings import Settings

    url = Settings.load(data=data).catalog_url

    async def ask() -> T:
        async with await Catalog.open(url) as catalog:
            return await work(catalog)

    return run(ask)


def _choice(kind: type[StrEnum], text: str | None) -> Any:
    from haulier.cli.output import require

    if text is None:
        return None
    known = [member.value for member in kind]
    require(text in known, f"there is no status {text!r}", f"Use one of {', '.join(known)}.")
    return kind(text)


def _when(text: str | None) -> datetime | None:
    from haulier.core.units import parse_when

    return None if text is None else parse_when(text)


def _tag(text: str | None) -> tuple[str, str | None] | None:
    if text is None:
        return None
    key, separator, value = text.partition("=")
    return key, value if separator else None


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    for command in (history, show, files):
        app.command(epilog=SIZES)(command)
