"""Pictures of files, made by worker processes: what is asked is checked, what is told is typed."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from haulier.errors import UsageError
from haulier.media.image_formats import ImageFormat, format_of_name
from haulier.media.image_output import new_file, source_size
from haulier.media.isolation import Workers


def picture_format(
    wanted: ImageFormat | None, target: Path, *, quality: int, **sides_px: int
) -> ImageFormat:
    """Return the format of a picture that is to be made: by the ending of `target` when left out.

    Raises:
        UnsupportedMedia: `target` names no format.
        UsageError: the format can't be had at that quality, or with a side of so many pixels.
    """
    image_format = wanted or format_of_name(target)
    for what, side_px in sides_px.items():
        require(what, side_px, image_format.most_side)
    require("quality", quality, 100)
    return image_format


async def write_picture(
    task: Callable[..., dict[str, Any]],
    path: Path,
    target: Path,
    *,
    workers: Workers,
    timeout_s: float,
    max_bytes: int = sys.maxsize,
    **arguments: Any,
) -> dict[str, Any]:
    """Have a task write a picture of `path` to `target`; returns the fields of `WrittenImage`.

    Args:
        task: of a `*_tasks` module; it gets `path` and `out`, and tells the picture's format.
        path: the file.
        target: where the picture goes, whole or not at all.
        workers: where it is made.
        timeout_s: seconds it may take.
        max_bytes: largest file that is read.
        **arguments: what the task gets besides.

    Raises:
        MediaError: as the task.
        UsageError: `target` is the file itself.
        TargetMissing, TargetUnreadable, StorageFull: as the system says of either file.
    """
    source_size(path, max_bytes=max_bytes)
    async with new_file(target, source=path) as file:
        told = await workers.run(
            task, name=path.name, timeout_s=timeout_s, path=str(path.absolute()),
            out=str(file.temporary), **arguments,
        )  # fmt: skip
    return {**told, "path": target, "format": ImageFormat(told["format"])}


def require(what: str, number: int, most: float = math.inf) -> None:
    """Raise UsageError unless the number lies between 1 and `most`."""
    if not 1 <= number <= most:
        allowed = "above 0" if most == math.inf else f"from 1 to {most}"
        raise UsageError(f"{what} can't be {number}", hint=f"Give a whole number {allowed}.")
