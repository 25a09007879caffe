"""What worker processes are asked to do with sound; PyAV is imported there and not before.

Each task gets and returns what JSON can carry.
"""

from __future__ import annotations

import os
from typing import Any

from haulier.media.image_formats import ImageFormat, ImageLimits


def tags(*, path: str) -> dict[str, Any]:
    """Read title, artist and so on."""
    from haulier.media import tag_reading

    return tag_reading.describe_tags(path)


def peaks(*, path: str, points: int) -> dict[str, Any]:
    """Return the lowest, highest and mean level at evenly spaced points."""
    from haulier.media import sound_reading

    found = sound_reading.read_peaks(path)
    lows, highs, means = (
        [round(float(level), 5) for level in levels] for levels in found.at(points)
    )
    duration_s = found.samples / found.sample_rate
    return {"duration_s": duration_s, "lows": lows, "highs": highs, "means": means}


def waveform(
    *, path: str, out: str, width: int, height: int, color: str, image_format: str, quality: int
) -> dict[str, Any]:
    """Draw the waveform to `out`."""
    from haulier.media import waveform_drawing

    return waveform_drawing.draw(
        path, out, width=width, height=height, color=color,
        image_format=ImageFormat(image_format), quality=quality,
    )  # fmt: skip


def loudness(*, path: str) -> dict[str, Any]:
    """Measure loudness by EBU R128."""
    from haulier.media import sound_reading

    return dict(sound_reading.read_loudness(path))


def cover(*, path: str, out: str, max_side: int, image_format: str, quality: int) -> dict[str, Any]:
    """Write the cover picture, made smaller, to `out`."""
    from haulier.media import image_writing, sound_reading

    name = f"the cover picture of {os.path.basename(path)}"
    image_writing.write(sound_reading.read_cover(path), out, name)
    return image_writing.make_thumbnail(
        out, out, name, ImageLimits(), (max_side, max_side), ImageFormat(image_format), quality
    )
