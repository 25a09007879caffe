"""What worker processes are asked about a file that is to become smaller; PyAV is imported there
and not before."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

from haulier.errors import UnreadableMedia, UnsupportedMedia
from haulier.media.ffmpeg import INPUT_FORMATS

_HDR_TRANSFERS = {16, 18}
_UPRIGHT = 180
_COMMON_FPS = (15.0, 24.0, 25.0, 30.0, 60.0)


def facts(*, path: str) -> dict[str, Any]:
    """Return the fields of `core.bitrate.Footage`, `is_hdr`, and the sound's codec."""
    import av

    name = os.path.basename(path)
    options = {"protocol_whitelist": "file", "format_whitelist": INPUT_FORMATS}
    try:
        with av.open(path, options=options, metadata_errors="replace") as container:
            return _facts(container, name)
    except av.FFmpegError as error:
        # Its own words would show the path.
        raise UnreadableMedia(f"{name} can't be read: {error.strerror}") from error


def _facts(container: Any, name: str) -> dict[str, Any]:
    import av

    pictures = [
        stream
        for stream in container.streams.video
        if not stream.disposition & av.stream.Disposition.attached_pic
    ]
    sounds = container.streams.audio
    if not pictures and not sounds:
        raise UnsupportedMedia(f"{name} has neither video nor sound")
    told: dict[str, Any] = {
        "duration_s": (container.duration or 0) / av.time_base,
        "is_hdr": False,
        "audio_codec": None,
    }
    if sounds:
        context = sounds[0].codec_context
        told |= {
            "channels": context.channels,
            "audio_bps": context.bit_rate or None,
            "audio_codec": context.codec.canonical_name,
        }
    if pictures:
        told |= _pictures(container, pictures[0])
    if told["duration_s"] <= 0:
        raise UnreadableMedia(
            f"{name} does not tell how long it lasts",
            hint="Copy it into a container that does: `ffmpeg -i FILE -c copy FILE.mkv`.",
        )
    return told


def _pictures(container: Any, stream: Any) -> dict[str, Any]:
    context = stream.codec_context
    shape = stream.sample_aspect_ratio or Fraction(1)
    size = max(1, round(context.width * shape)), context.height
    frame = next(container.decode(stream), None)
    if frame is None:
        raise UnreadableMedia(f"{os.path.basename(container.name)} has no picture that decodes")
    width, height = reversed(size) if frame.rotation % _UPRIGHT else size
    return {
        "width": width,
        "height": height,
        "fps": _rate(stream),
        "video_codec": context.codec.canonical_name,
        "video_bps": stream.bit_rate or None,
        "is_hdr": context.color_trc in _HDR_TRANSFERS,
    }


def _rate(stream: Any) -> float:
    average = float(stream.average_rate or stream.guessed_rate or _COMMON_FPS[-2])
    base = float(stream.base_rate or average)
    if abs(base - average) <= average / 50:
        return min(average, _COMMON_FPS[-1])
    # The intervals vary: the next common rate keeps most frames where they are.
    return next((fps for fps in _COMMON_FPS if fps >= average * 0.98), _COMMON_FPS[-1])
