"""What worker processes are asked to do with documents and archives.

Each task gets and returns what JSON can carry. PDFium is imported there and not before.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from haulier.media.archive_listing import ArchiveLimits
from haulier.media.image_formats import ImageFormat


def inspect(*, path: str) -> dict[str, Any]:
    """Describe a PDF or an office document."""
    from haulier.media import document_reading

    return document_reading.describe(path, os.path.basename(path))


def pdf_thumbnail(
    *, path: str, out: str, size: list[int], image_format: str, quality: int
) -> dict[str, Any]:
    """Draw the first page of a PDF to `out`."""
    from haulier.media import document_reading

    return document_reading.draw_first_page(
        path, out, os.path.basename(path), (size[0], size[1]), ImageFormat(image_format), quality
    )


def list_archive(*, path: str, limits: dict[str, Any]) -> dict[str, Any]:
    """List the entries of an archive."""
    from haulier.media import archive_reading

    archive_format, listing = archive_reading.read_listing(
        path, os.path.basename(path), ArchiveLimits(**limits)
    )
    return {
        "format": archive_format,
        "entries": [asdict(entry) for entry in listing.entries],
        "total_size_bytes": listing.total_bytes,
        "packed_size_bytes": listing.packed_bytes,
        "unsafe_names": listing.unsafe_names,
        "nested": listing.nested,
    }
