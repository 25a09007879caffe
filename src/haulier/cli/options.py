"""Options that several commands share, and what every help text says of sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SIZES = "Sizes and rates: K M G T, also KB KiB MB MiB …, are powers of 1024."

DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="haulier's own directory (HAULIER_DATA)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
ToOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="s3://bucket/prefix, https://server/folder, file:///path, or a remote's name.",
    ),
]
RateOption = Annotated[
    str | None,
    typer.Option(
        metavar="RATE",
        help="Bytes per second as 20M, or a timetable: '08:00,512K 18:00,10M 23:00,off'.",
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key-file", metavar="KEY", help="The key's file, or keyring:NAME."),
]

CompressionOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="gzip, zstd or none (MGMT_COMPRESSION).")
]
StorageClassOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="S3's, for example STANDARD_IA.")
]
EncryptOption = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="Encrypt with the key in this file, or keyring:NAME."),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Leave out what matches; written as in .gitignore."),
]
IncludeOption = Annotated[
    list[str] | None, typer.Option(metavar="PATTERN", help="Take only files that match.")
]
HiddenOption = Annotated[bool, typer.Option("--hidden", help="`all` takes hidden entries too.")]
NoCompleteOption = Annotated[
    bool, typer.Option("--no-complete", help="Leave sources where they are.")
]
JobsOption = Annotated[
    int,
    typer.Option(min=1, max=64, help="Parts in flight at once, fewer where memory would not do."),
]
