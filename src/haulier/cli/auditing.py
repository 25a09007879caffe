"""audit verify, audit head: whether the audit log is what was written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from haulier.cli.options import SIZES, DataOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, TypeVar

    from haulier.core.audit import AuditHead
    from haulier.files.audit import AuditLog

    T = TypeVar("T")

log = typer.Typer(help="Who did what on the server.", no_args_is_help=True)


@log.command("head", epilog=SIZES)
def head(data: DataOption = None) -> None:
    """Print where the audit log ends, as one line of JSON: an anchor.

    Keep anchors on another machine: a log that lacks what one was taken of was cut.

    Example: haulier audit head >> anchors.jsonl
    """
    import json
    from dataclasses import asdict

    print(json.dumps(asdict(_run(data, lambda audit: audit.head()))))


@log.command("verify", epilog=SIZES)
def verify(
    anchor: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Anchors of `haulier audit head`.")
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Check that no entry of the audit log was changed, removed or inserted.

    Without anchors a log whose end was cut off together with the record of its end looks whole.
    Exits with 1 when anything is wrong.

    Example: haulier audit verify --anchor anchors.jsonl
    """
    from haulier.cli.output import say

    anchors = [] if anchor is None else _read_anchors(anchor)

    async def work(audit: AuditLog) -> tuple[str | None, AuditHead]:
        return await audit.verify(anchors), await audit.head()

    wrong, end = _run(data, work)
    if as_json:
        import json

        status = "success" if wrong is None else "failed"
        told = {"status": status, "entries": end.number, "error_message": wrong}
        print(json.dumps([{**told, "anchors": len(anchors)}]))
    elif wrong is None:
        say(f"{end.number} entries, as they were written")
    else:
        say(f"the audit log is not what was written: {wrong}")
    if wrong is not None:
        raise typer.Exit(1)


def _run(data: Path | None, work: Callable[[AuditLog], Coroutine[Any, Any, T]]) -> T:
    from haulier.cli.running import run

    async def with_log() -> T:
        from haulier.catalog.catalog import Catalog
        from haulier.files.audit import AuditLog, audit_key
        from haulier.settings import Settings

        settings = Settings.load(data=data)
        async with await Catalog.open(settings.catalog_url) as catalog:
            return await work(AuditLog(catalog, audit_key(settings.general.data)))

    return run(with_log)


def _read_anchors(path: Path) -> list[AuditHead]:
    import json

    from haulier.core.audit import AuditHead
    from haulier.errors import UsageError

    try:
        lines = path.read_text("utf-8").splitlines()
        return [AuditHead(**json.loads(line)) for line in lines if line.strip()]
    except (OSError, ValueError, TypeError) as exc:
        raise UsageError(
            f"{path} can't be read as anchors: {exc}",
            hint="It holds lines that `haulier audit head` printed.",
        ) from exc


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.add_typer(log, name="audit")
