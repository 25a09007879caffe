"""Waveforms drawn. Imported in worker processes only."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from PIL import Image, ImageColor

from haulier.media.image_formats import ImageFormat
from haulier.media.image_writing import Picture, save
from haulier.media.sound_reading import Levels, read_peaks

# Drawn larger and scaled down, so that edges are smooth.
_OVERSAMPLING = 2
_PEAK_OPACITY = 0.55
_ALMOST_SILENT = 1e-4


def draw(
    path: str, out: str, *, width: int, height: int, color: str, image_format: ImageFormat,
    quality: int,
) -> dict[str, Any]:  # fmt: skip
    """Write a picture of the sound's peaks over time, and within them of its mean level."""
    columns = width * _OVERSAMPLING
    lows, highs, means = read_peaks(path).at(columns)
    loudest = max(float(highs.max()), -float(lows.min()), _ALMOST_SILENT)
    opacity = np.maximum(
        _PEAK_OPACITY * _column_mask(lows / loudest, highs / loudest, height * _OVERSAMPLING),
        _column_mask(-means / loudest, means / loudest, height * _OVERSAMPLING),
    )
    alpha = Image.fromarray((opacity * 255).astype(np.uint8))
    alpha = alpha.resize((width, height), Image.Resampling.BOX)
    picture = Image.new("RGB", (width, height), ImageColor.getrgb(color)[:3])
    picture.putalpha(alpha)
    return save(Picture([picture]), out, image_format, quality, os.path.basename(path))


def _column_mask(lows: Levels, highs: Levels, height: int) -> Levels:
    """Return 1 in each column from its low to its high, of which 1 is the upper edge."""
    levels = 1 - 2 * (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
    # At least a line where there is no sound.
    half_line = np.float32(1 / height) * _OVERSAMPLING
    mask: Levels = ((levels >= lows - half_line) & (levels <= highs + half_line)).astype(np.float32)
    return mask
