"""`files.json`: the registry of files as one JSON array in a file."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from haulier.catalog.catalog import Catalog
from haulier.catalog.filters import FileFilter
from haulier.errors import StoreError

_PAGE = 1000


async def export_files(catalog: Catalog, wanted: FileFilter, path: Path) -> int:
    """Write every record that `wanted` takes, whatever its limit, to `path`; return how many.

    The file appears whole or not at all. Raises StoreError when it can't be written.
    """
    temporary = path.with_name(f".haulier-partial-{path.name}")
    try:
        with temporary.open("w", encoding="ascii") as file:
            count = await _write(catalog, wanted, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        return count
    except OSError as error:
        raise StoreError(
            f"{path} can't be written: {error.strerror}", hint="Choose another --export FILE."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


async def _write(catalog: Catalog, wanted: FileFilter, file: TextIO) -> int:
    count = 0
    cursor = wanted.cursor
    file.write("[")
    while True:
        page = await catalog.list_files(replace(wanted, limit=_PAGE, cursor=cursor))
        for record in page.items:
            file.write(("," if count else "") + "\n" + json.dumps(record.to_json()))
            count += 1
        cursor = page.next_cursor
        if cursor is None:
            break
    file.write("\n]\n")
    return count
