"""history, show, files: what the catalog knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from haulier.cli.uploading import DataOption, JsonOption

StatusOption = Annotated[str | None, typer.Option(help="Only with this status.")]
SinceOption = Annotated[str | None, typer.Option(help="From then on: 2026-01-31, 3d.")]
UntilOption = Annotated[str | None, typer.Option(help="Up to then: 2026-01-31, 3d.")]
NameOption = Annotated[str | None, typer.Option(help="A name, or a pattern with * and ?.")]
LocationOption = Annotated[
    str | None, typer.Option(help="local, completed, s3, file: where it is.")
]
TagOption = Annotated[str | None, typer.Option(help="KEY or KEY=VALUE.")]
LimitOption = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")]
CursorOption = Annotated[str | None, typer.Option(help="Go on behind an earlier page.")]


def history(
    status: StatusOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    name: NameOption = None,
    location: LocationOption = None,
    operation_type: Annotated[
        str | None, typer.Option("--type", help="upload, download, verify, delete, …")
    ] = None,
    user: Annotated[str | None, typer.Option(help="Who did it.")] = None,
    tag: TagOption = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """What was done, newest first.

    Example: haulier history --status failed --since 7d
    """
    from haulier.catalog.filters import OperationFilter
    from haulier.cli.output import print_json, say
    from haulier.core.records import OperationStatus

    wanted = {
        "status": _choice(OperationStatus, status), "since": _when(since), "until": _when(until),
        "name": name, "location": location, "operation_type": operation_type, "user": user,
        "tag": _tag(tag), "limit": limit, "cursor": cursor,
    }  # fmt: skip
    page = _read(data, lambda catalog: catalog.list_operations(OperationFilter(**wanted)))
    if as_json:
        print_json(page.items)
        return
    from haulier.cli.render import table

    table(
        ("id", "started", "type", "status", "name", "size", "result"),
        [_operation_row(record) for record in page.items],
    )
    if page.next_cursor:
        say(f"more: --cursor {page.next_cursor}")


def _operation_row(record: Any) -> tuple[object, ...]:
    from haulier.core.records import format_time
    from haulier.core.units import format_size

    size = getattr(record, "original_size", None)
    return (
        record.operation_id,
        format_time(record.started_at.replace(microsecond=0)),
        record.operation_type,
        record.status,
        record.target_name,
        "" if size is None else format_size(size),
        record.error_message or record.result_path or "",
    )


def show(
    reference: Annotated[str, typer.Argument(metavar="ID")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Everything about one operation.

    Example: haulier show 3f2a91c0
    """
    from haulier.cli.output import print_json
    from haulier.cli.render import table

    record = _read(data, lambda catalog: catalog.get_operation(reference))
    if as_json:
        print_json(record)
        return
    rows: list[tuple[str, object]] = []
    for name, value in record.to_json().items():
        if isinstance(value, dict):
            rows.extend((f"{name}.{key}", inner) for key, inner in value.items() if inner)
        elif value not in (None, "", []):
            rows.append((name, value))
    table(("field", "value"), rows)


def files(
    status: StatusOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    name: NameOption = None,
    path: Annotated[str | None, typer.Option(help="Exactly this path.")] = None,
    location: LocationOption = None,
    tag: TagOption = None,
    checksum: Annotated[str | None, typer.Option(help="sha256:…, crc64nvme:…")] = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the whole registry to this file as JSON.")
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """The registry of files: every place haulier knows of.

    Example: haulier files --location completed --name '*.mp4'
    """
    from haulier.catalog.filters import FileFilter
    from haulier.cli.output import print_json, say
    from haulier.core.records import FileStatus

    wanted = {
        "status": _choice(FileStatus, status), "since": _when(since), "until": _when(until),
        "name": name, "path": path, "location": location, "tag": _tag(tag),
        "checksum": checksum, "limit": limit, "cursor": cursor,
    }  # fmt: skip
    if export is not None:
        count = _read(data, lambda catalog: _export(catalog, wanted, export))
        say(f"{count} file records written to {export}")
        return
    page = _read(data, lambda catalog: catalog.list_files(FileFilter(**wanted)))
    if as_json:
        print_json(page.items)
        return
    from haulier.cli.render import table
    from haulier.core.units import format_size

    table(
        ("location", "status", "size", "name", "path"),
        [(r.location, r.status, format_size(r.size), r.name, r.path) for r in page.items],
    )
    if page.next_cursor:
        say(f"more: --cursor {page.next_cursor}")


async def _export(catalog: Any, wanted: dict[str, Any], path: Path) -> int:
    import json

    from haulier.catalog.filters import FileFilter

    temporary = path.with_name(f".haulier-partial-{path.name}")
    count, cursor = 0, None
    with temporary.open("w", encoding="ascii") as file:
        file.write("[")
        while True:
            page = await catalog.list_files(
                FileFilter(**{**wanted, "limit": 1000, "cursor": cursor})
            )
            for record in page.items:
                file.write(("," if count else "") + "\n" + json.dumps(record.to_json()))
                count += 1
            cursor = page.next_cursor
            if cursor is None:
                break
        file.write("\n]\n")
    temporary.replace(path)
    return count


def _read(data: Path | None, work: Any) -> Any:
    from haulier.catalog.catalog import Catalog
    from haulier.cli.output import run
    from haulier.settings import Settings

    async def ask() -> Any:
        async with await Catalog.open(Settings.load(data=data).catalog_url) as catalog:
            return await work(catalog)

    return run(ask)


def _choice(kind: Any, text: str | None) -> Any:
    from haulier.cli.output import require

    if text is None:
        return None
    known = [member.value for member in kind]
    require(text in known, f"there is no status {text!r}", f"Use one of {', '.join(known)}.")
    return kind(text)


def _when(text: str | None) -> Any:
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
        app.command()(command)
