"""Frames turned into pictures, and which of several shows most. For worker processes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc, Interpolation, VideoReformatter
from PIL import Image

from haulier.media.image_writing import bounded_size
from haulier.media.probe_reading import shown_size

_HDR_TRANSFERS = {ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67}
_SCALING = Interpolation.AREA | Interpolation.ACCURATE_RND
_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}
_LOOKED_AT_PX = 256
_NEARLY_BLACK, _NEARLY_WHITE = 24, 235
_NEARLY_FLAT = 6
_WELL_LIT = 118


class Painter:
    """Makes upright pictures in sRGB of frames; for the frames of one video."""

    def __init__(self, pixel_shape: Fraction | None, max_side: int) -> None:
        self._pixel_shape = pixel_shape or Fraction(1)
        self._max_side = max_side
        # What it prepares for HDR takes a second, and is kept for the next frame.
        self._reformatter = VideoReformatter()

    def picture(self, frame: VideoFrame) -> Image.Image:
        """Return the frame as a player shows it, no larger than `max_side` and than it is."""
        turn = round(frame.rotation / 90) * 90 % 360
        shown = shown_size(frame.width, frame.height, self._pixel_shape, turn)
        width, height = bounded_size(
            shown, max_pixels=None, max_width=self._max_side, max_height=self._max_side
        )
        if turn % 180:
            width, height = height, width
        is_hdr = frame.color_trc in _HDR_TRANSFERS
        scaled = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            interpolation=_SCALING,
            # swscale maps tones and colours to what is named here.
            dst_color_trc=ColorTrc.IEC61966_2_1 if is_hdr else None,
            dst_color_primaries=ColorPrimaries.BT709 if is_hdr else None,
        )
        image = Image.fromarray(scaled.to_ndarray())
        return image.transpose(_TURNS[turn]) if turn else image


def score(frame: VideoFrame) -> float:
    """Tell how much a frame shows: contrast times sharpness times exposure.

    Measured on its brightness, from 0 to 255, at 256 pixels: contrast is the deviation, sharpness
    the deviation of the differences between neighbours, exposure falls from 1 at a mean of 118 to
    0 at black and white. Frames that are nearly black, white or of one colour score 0.
    """
    width, height = bounded_size(
        (frame.width, frame.height),
        max_pixels=None, max_width=_LOOKED_AT_PX, max_height=_LOOKED_AT_PX,
    )  # fmt: skip
    small = frame.reformat(width=width, height=height, format="gray", interpolation=_SCALING)
    grey = small.to_ndarray().astype(np.float32)
    mean, contrast = float(grey.mean()), float(grey.std())
    if not _NEARLY_BLACK <= mean <= _NEARLY_WHITE or contrast < _NEARLY_FLAT or min(grey.shape) < 3:
        return 0.0
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    sharpness = float((4 * grey[1:-1, 1:-1] - around).std())
    reach = _WELL_LIT if mean < _WELL_LIT else 255 - _WELL_LIT
    return contrast * sharpness * (1 - ((mean - _WELL_LIT) / reach) ** 2)
