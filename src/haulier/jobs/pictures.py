"""The small pictures of a stored file and its waveform: in which sizes, and where they lie."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from haulier.core.accounts import StoredFile
from haulier.core.mime import FileKind
from haulier.media.audio import Waveform, waveform_peaks
from haulier.media.detect import detect_type
from haulier.media.image_formats import ImageFormat
from haulier.media.isolation import Workers
from haulier.media.thumbnails import Thumbnail, thumbnail_of

SIDES_PX = (160, 320, 640, 1280)
"""The sizes in which pictures are made: none is larger than a square of such a side."""
USUAL_SIDE_PX = 320
"""The size that is made after each upload; the others are made when they are asked for."""

_DIGITS = 4


def side_for(wanted_px: int) -> int:
    """Return the smallest size that is as large as wanted, or the largest."""
    return next((side for side in SIDES_PX if side >= wanted_px), SIDES_PX[-1])


@dataclass(frozen=True, slots=True)
class PictureCache:
    """Where the pictures of contents lie: a cache, since they can be made again.

    Args:
        directory: holds them all.
    """

    directory: Path

    def picture(self, content_id: str, side_px: int = USUAL_SIDE_PX) -> Path:
        """Return where the picture of a content lies, or would."""
        size = "" if side_px == USUAL_SIDE_PX else f"-{side_px}"
        return self.directory / content_id[-2:] / f"{content_id}{size}.webp"

    def waveform(self, content_id: str) -> Path:
        """Return where the waveform of a content lies, or would."""
        return self.directory / content_id[-2:] / f"{content_id}.json"

    def remove(self, content_id: str) -> None:
        """Remove all that was made of a content."""
        for side_px in SIDES_PX:
            self.picture(content_id, side_px).unlink(missing_ok=True)
        self.waveform(content_id).unlink(missing_ok=True)


async def make_picture(
    stored: StoredFile, path: Path, out: Path, *, workers: Workers, side_px: int = USUAL_SIDE_PX
) -> Thumbnail:
    """Write the picture of a file whose bytes lie at `path`, as WebP; its content says what it is.

    Raises:
        UnsupportedMedia: no picture is made of what it is.
        MediaError: it is damaged, or too demanding.
        StorageFull: no space is left.
    """
    declared = stored.mime_type
    found = await detect_type(path, name=stored.name, declared_type=declared, workers=workers)
    return await thumbnail_of(
        path, out, workers=workers, detected=found, size_px=side_px,
        waveform=found.kind is FileKind.AUDIO, format=ImageFormat.WEBP,
    )  # fmt: skip


async def make_waveform(path: Path, out: Path, *, workers: Workers) -> Waveform:
    """Write the waveform of a sound or a film whose bytes lie at `path`, as JSON.

    Raises:
        UnsupportedMedia: there is no sound in it.
        MediaError: it is damaged, or too demanding.
        OSError: it can't be written.
    """
    found = await waveform_peaks(path, workers=workers)
    await asyncio.to_thread(_write, out, found)
    return found


def _write(out: Path, found: Waveform) -> None:
    shown = {
        "duration_s": found.duration_s,
        "lows": [round(one, _DIGITS) for one in found.lows],
        "highs": [round(one, _DIGITS) for one in found.highs],
        "means": [round(one, _DIGITS) for one in found.means],
    }
    with NamedTemporaryFile("w", dir=out.parent, prefix=".waveform-", delete=False) as beside:
        beside.write(json.dumps(shown, separators=(",", ":")))
    Path(beside.name).replace(out)
