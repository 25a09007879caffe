"""fetch: files from links."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from haulier.cli.options import SIZES, DataOption, JsonOption, RateOption

if TYPE_CHECKING:
    from haulier.transfer.batches import BatchReport, ItemOutcome
    from haulier.transfer.download_requests import DownloadRequest

_STATE = ".haulier-fetch-{}.jsonl"


def fetch(
    urls: Annotated[list[str], typer.Argument(metavar="URL…", help="http or https.")],
    to: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the files go; made when missing.")
    ] = Path(),
    connections: Annotated[
        int, typer.Option(min=1, max=16, help="For each file, where the server takes ranges.")
    ] = 4,
    parallel: Annotated[int, typer.Option(min=1, max=16, help="Files at once.")] = 3,
    limit_rate: RateOption = None,
    checksum: Annotated[
        str | None,
        typer.Option(metavar="ALG:HEX", help="What a single file must have: sha256:…, md5:…."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of the same names.")
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A private host, address or network that may be asked."),
    ] = None,
    as_json: JsonOption = False,
    _data: DataOption = None,
) -> None:
    """Fetch files from links, several connections at a time.

    What was interrupted goes on when the same command is run again; a file that changed on the
    server is begun anew, never mixed. The server says what a file is called, safely.

    Example: haulier fetch https://example.org/film.mp4 --to films
    """
    from haulier.cli.memory import keep_freed_memory
    from haulier.cli.output import print_json, require
    from haulier.cli.running import run
    from haulier.core.checksums import parse_checksum
    from haulier.core.units import parse_limit
    from haulier.net.guard import AddressGuard
    from haulier.transfer.download_requests import DownloadRequest

    require(len(set(urls)) == len(urls), "a link is given twice", "Give each link once.")
    require(
        checksum is None or len(urls) == 1,
        "--checksum is of one file, and several links are given",
        "Fetch that file alone.",
    )
    if checksum is not None:
        parse_checksum(checksum)
    AddressGuard(allow or ())
    limit = None if limit_rate is None else parse_limit(limit_rate)
    keep_freed_memory()
    requests = [DownloadRequest(url=url, checksum=checksum) for url in urls]
    options = {
        "connections": connections, "parallel": parallel, "limit_rate": limit, "allow": allow or (),
    }  # fmt: skip
    report = run(
        lambda: _fetch(requests, to, options, overwrite=overwrite, silent=as_json),
        hint="run the same command again to go on",
    )
    if as_json:
        print_json([_row(url, one) for url, one in zip(urls, report.outcomes, strict=True)])
    _tell(report, results=not as_json)
    if report.failed:
        raise SystemExit(1)


async def _fetch(
    requests: list[DownloadRequest],
    to: Path,
    options: dict[str, Any],
    *,
    overwrite: bool,
    silent: bool,
) -> BatchReport:
    from haulier.cli.render import progress
    from haulier.core.progress import ProgressBoard
    from haulier.transfer.control_file import file_errors
    from haulier.transfer.download_manager import DownloadManager

    board = ProgressBoard()
    with file_errors(to):
        to.mkdir(parents=True, exist_ok=True)
    state = _state_file(requests, to)
    async with DownloadManager(**options, board=board) as manager, progress(board, silent=silent):
        report = await manager.download_many(
            requests, to, if_exists="overwrite" if overwrite else "refuse", state=state
        )
    if state is not None and not report.failed:
        state.unlink(missing_ok=True)
    return report


def _state_file(requests: list[DownloadRequest], to: Path) -> Path | None:
    """Return what remembers which of several files are there already; one needs none."""
    if len(requests) == 1:
        return None
    links = "\n".join(sorted(request.url for request in requests))
    return to / _STATE.format(
        hashlib.sha256(links.encode(errors="surrogateescape")).hexdigest()[:16]
    )


def _row(url: str, outcome: ItemOutcome) -> dict[str, Any]:
    row: dict[str, Any] = {"url": url, "status": "success", **outcome.result}
    if outcome.message is not None:
        row["status"] = "failed"
        row |= {"error_message": outcome.message, "code": outcome.code, "hint": outcome.hint}
    return row


def _tell(report: BatchReport, *, results: bool) -> None:
    from haulier.cli.output import printable, say
    from haulier.core.units import format_size

    for one in report.outcomes:
        if one.message is not None:
            say(f"failed: {printable(one.message)}")
            if one.hint:
                say(f"  {printable(one.hint)}")
        elif results:
            size = format_size(one.result["size_bytes"])
            resumed = one.result["resumed_bytes"]
            before = f" ({format_size(resumed)} were there)" if resumed else ""
            print(f"{printable(one.result['path'])}  {size}{before}  {one.result['crc64nvme']}")


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(epilog=SIZES)(fetch)
