"""What worker processes are asked to do with video; PyAV is imported there and not before.

Each task gets and returns what JSON can carry.
"""

from __future__ import annotations

from typing import Any

from haulier.media.image_formats import ImageFormat


def probe(*, path: str, exact: bool) -> dict[str, Any]:
    """Describe a file of video or sound."""
    from haulier.media import probe_reading

    return probe_reading.describe(path, exact=exact)


def thumbnail(
    *, path: str, out: str, at_s: float | None, best_of: int, max_side: int,
    image_format: str, quality: int,
) -> dict[str, Any]:  # fmt: skip
    """Write one picture of a video to `out`."""
    from haulier.media import video_pictures

    return video_pictures.make_thumbnail(
        path, out, at_s=at_s, best_of=best_of, max_side=max_side,
        image_format=ImageFormat(image_format), quality=quality,
    )  # fmt: skip


def contact_sheet(
    *, path: str, out: str, columns: int, rows: int, max_side: int,
    image_format: str, quality: int,
) -> dict[str, Any]:  # fmt: skip
    """Write pictures of evenly spaced moments of a video to `out`."""
    from haulier.media import video_pictures

    return video_pictures.make_contact_sheet(
        path, out, columns=columns, rows=rows, max_side=max_side,
        image_format=ImageFormat(image_format), quality=quality,
    )  # fmt: skip
