"""Sound: what its tags say, its cover, how loud it is, and its waveform as data and picture.

Every file is read in a worker process (`isolation`). `probe.probe_media` tells duration, bit rate
and codec. Of a video the main sound is taken.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haulier.errors import UsageError
from haulier.media import audio_tasks
from haulier.media.image_formats import ImageFormat, WrittenImage
from haulier.media.image_output import source_size
from haulier.media.isolation import Workers
from haulier.media.picture_making import picture_format, require, write_picture

__all__ = [
    "AudioTags", "CoverArt", "Loudness", "Waveform", "cover_thumbnail", "measure_loudness",
    "read_tags", "waveform_peaks", "waveform_picture",
]  # fmt: skip

_TIMEOUT_S = 30
# All of the sound is decoded: an hour of it takes seconds.
_DECODING_TIMEOUT_S = 300
_MOST_POINTS = 100_000
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverArt:
    """The picture that goes with a sound; width and height are in pixels."""

    mime_type: str
    width: int
    height: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioTags:
    """What a file of sound says of itself; None where it says nothing.

    Attributes:
        date: as it is written: `2024`, `2024-05-06`, …
        track: of `tracks`, from 1; `disc` of `discs` likewise.
    """

    title: str | None
    artists: tuple[str, ...]
    album: str | None
    album_artist: str | None
    composer: str | None
    genres: tuple[str, ...]
    date: str | None
    track: int | None
    tracks: int | None
    disc: int | None
    discs: int | None
    comment: str | None
    cover: CoverArt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waveform:
    """Levels at evenly spaced points over all channels; full scale reaches from -1 to 1.

    Attributes:
        lows: the lowest sample about each point; `highs` likewise.
        means: the root of the mean square about each point.
    """

    duration_s: float
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    means: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness:
    """Loudness by EBU R128; None where there is nothing but silence.

    Attributes:
        integrated_lufs: of all of it, in LUFS.
        range_lu: between quiet and loud stretches, in LU.
        true_peak_dbtp: the highest level between samples too, in dB of full scale.
    """

    integrated_lufs: float | None
    range_lu: float | None
    true_peak_dbtp: float | None


async def read_tags(path: Path, *, workers: Workers, timeout_s: float = _TIMEOUT_S) -> AudioTags:
    """Read title, artist and so on from ID3, MP4, Vorbis or other tags.

    Raises:
        UnsupportedMedia: there is no sound in it.
        UnreadableMedia: it is damaged, or of no known kind.
        MediaTooDemanding: it took too much time or memory.
        TargetMissing, TargetUnreadable: there is no such file, or it may not be read.
    """
    told = await _told(audio_tasks.tags, path, workers, timeout_s)
    return AudioTags(**{
        **told,
        "artists": tuple(told["artists"]),
        "genres": tuple(told["genres"]),
        "cover": told["cover"] and CoverArt(**told["cover"]),
    })  # fmt: skip


async def waveform_peaks(
    path: Path, *, workers: Workers, points: int = 800, timeout_s: float = _DECODING_TIMEOUT_S
) -> Waveform:
    """Return the waveform as data, for whoever draws it.

    Args:
        path: the file.
        workers: where it is decoded.
        points: how many levels, 1 to 100,000.
        timeout_s: seconds it may take.

    Raises:
        UsageError: `points` makes no sense.
        UnsupportedMedia, UnreadableMedia, MediaTooDemanding, TargetMissing, TargetUnreadable: as
            `read_tags`.
    """
    require("points", points, _MOST_POINTS)
    told = await _told(audio_tasks.peaks, path, workers, timeout_s, points=points)
    levels = {name: tuple(told[name]) for name in ("lows", "highs", "means")}
    return Waveform(duration_s=told["duration_s"], **levels)


async def measure_loudness(
    path: Path, *, workers: Workers, timeout_s: float = _DECODING_TIMEOUT_S
) -> Loudness:
    """Measure integrated loudness, loudness range and true peak by EBU R128.

    Raises:
        UnreadableMedia: it is damaged, or too short to be measured (400 ms).
        UnsupportedMedia, MediaTooDemanding, TargetMissing, TargetUnreadable: as `read_tags`.
    """
    return Loudness(**await _told(audio_tasks.loudness, path, workers, timeout_s))


async def waveform_picture(
    path: Path,
    target: Path,
    *,
    workers: Workers,
    width_px: int = 800,
    height_px: int = 160,
    color: str = "#2f6f9f",
    format: ImageFormat | None = None,  # noqa: A002  # the field's word
    quality: int = 80,
    timeout_s: float = _DECODING_TIMEOUT_S,
) -> WrittenImage:
    """Draw the waveform: peaks in a light tone, the mean level within them in full.

    The loudest peak fills the height. The ground is transparent where the format has it, and white
    elsewhere.

    Args:
        path: the file.
        target: where the picture goes; what was there is replaced.
        workers: where it is decoded.
        width_px: pixels wide.
        height_px: pixels high.
        color: of the waveform, as `#rrggbb`.
        format: by the ending of `target` when left out.
        quality: 1 to 100, for formats with loss.
        timeout_s: seconds it may take.

    Raises:
        UnsupportedMedia: there is no sound in it, or `target` names no image format.
        EncoderFailed: the picture can't be encoded.
        UsageError: a number or the color makes no sense, or `target` is the file itself.
        UnreadableMedia, MediaTooDemanding: as `read_tags`.
        TargetMissing, TargetUnreadable, StorageFull: as the system says of either file.
    """
    image_format = picture_format(
        format, target, quality=quality, width_px=width_px, height_px=height_px
    )
    if not _COLOR.fullmatch(color):
        raise UsageError(f"{color} is no color", hint="Write it as #rrggbb.")
    told = await write_picture(
        audio_tasks.waveform, path, target, workers=workers, timeout_s=timeout_s, width=width_px,
        height=height_px, color=color, image_format=image_format, quality=quality,
    )  # fmt: skip
    return WrittenImage(**told)


async def cover_thumbnail(
    path: Path,
    target: Path,
    *,
    workers: Workers,
    max_side: int = 320,
    format: ImageFormat | None = None,  # noqa: A002  # the field's word
    quality: int = 80,
    timeout_s: float = _TIMEOUT_S,
) -> WrittenImage:
    """Write the cover picture that a file of sound or video carries, made smaller.

    Args and errors are those of `images.make_thumbnail`, `max_side` bounds width and height;
    besides:

    Raises:
        UnsupportedMedia: it carries no cover picture.
    """
    image_format = picture_format(format, target, quality=quality, max_side=max_side)
    told = await write_picture(
        audio_tasks.cover, path, target, workers=workers, timeout_s=timeout_s, max_side=max_side,
        image_format=image_format, quality=quality,
    )  # fmt: skip
    return WrittenImage(**told)


async def _told(
    task: Callable[..., dict[str, Any]], path: Path, workers: Workers, timeout_s: float,
    **arguments: Any,
) -> dict[str, Any]:  # fmt: skip
    source_size(path, max_bytes=sys.maxsize)
    return await workers.run(
        task, name=path.name, timeout_s=timeout_s, path=str(path.absolute()), **arguments
    )
