"""What a file of video or sound is: streams, size, duration; told without decoding it.

Every file is read in a worker process (`isolation`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from haulier.media import video_tasks
from haulier.media.image_output import source_size
from haulier.media.isolation import Workers

_TIMEOUT_S = 30


class Hdr(StrEnum):
    """How a picture tells brightness beyond that of ordinary screens."""

    NONE = "none"
    HDR10 = "hdr10"
    HLG = "hlg"
    DOLBY_VISION = "dolby_vision"


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoStream:
    """The video of a file; None where nothing tells.

    Attributes:
        width: pixels as shown, with rotation and pixel shape applied; `height` likewise.
        coded_width: pixels as stored; `coded_height` likewise.
        rotation: degrees clockwise that a player turns it by: 0, 90, 180, 270.
        sample_aspect_ratio: how much wider than high a stored pixel is shown.
        fps: frames per second, on average.
        fps_min: of the longest interval between two frames that were looked at.
        fps_max: of the shortest.
        variable_frame_rate: the intervals differ by more than rounding.
        hdr: HDR10 is told by its transfer function alone.
        bit_rate: bits per second.
        bit_depth: bits of each colour channel.
        language: as the file writes it, mostly of three letters.
    """

    codec: str
    profile: str | None
    pixel_format: str | None
    bit_depth: int | None
    width: int
    height: int
    coded_width: int
    coded_height: int
    rotation: int
    sample_aspect_ratio: float
    fps: float | None
    fps_min: float | None
    fps_max: float | None
    variable_frame_rate: bool
    hdr: Hdr
    bit_rate: int | None
    language: str | None
    title: str | None

    @property
    def display_aspect_ratio(self) -> float:
        """How much wider than high the picture is shown."""
        return self.width / self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioStream:
    """One sound track; None where nothing tells.

    Attributes:
        layout: the channels' places, such as `stereo` or `5.1`.
        sample_rate: samples per second.
        bits_per_sample: of what is stored without loss; None for codecs with loss.
        bit_rate: bits per second.
        language: as the file writes it, mostly of three letters.
    """

    codec: str
    profile: str | None
    channels: int | None
    layout: str | None
    sample_rate: int | None
    bits_per_sample: int | None
    bit_rate: int | None
    language: str | None
    title: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtitleStream:
    """One track of subtitles; None where nothing tells."""

    codec: str | None
    language: str | None
    title: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A named stretch of a file."""

    start_s: float
    end_s: float
    title: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaProbe:
    """What a file of video or sound is.

    Attributes:
        container: as FFmpeg names it: `mp4`, `matroska`, `mp3`, …
        duration_s: None where even reading all of it tells nothing.
        duration_estimated: it was reckoned from the bit rate, and may be far off.
        bit_rate: bits per second of the whole file.
        video: the main one; a cover picture is none.
        audio: in the file's order.
        attachments: such as fonts.
        cover_art: there is a cover picture.
        faststart: the index stands before the data, so that playing can begin while loading; None
            for containers that have no such choice.
        tags: of the file, keys in lower case.
    """

    container: str
    size_bytes: int
    duration_s: float | None
    duration_estimated: bool
    bit_rate: int | None
    video: VideoStream | None
    audio: tuple[AudioStream, ...]
    subtitles: tuple[SubtitleStream, ...]
    attachments: int
    cover_art: bool
    faststart: bool | None
    chapters: tuple[Chapter, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


async def probe_media(
    path: Path, *, workers: Workers, exact: bool = False, timeout_s: float = _TIMEOUT_S
) -> MediaProbe:
    """Tell what a file of video or sound is.

    Args:
        path: the file.
        workers: where it is read.
        exact: read all of it to learn the duration, where the header gives no more than a guess;
            done without being asked where it gives nothing.
        timeout_s: seconds it may take.

    Raises:
        UnreadableMedia: it is damaged, or no video or sound of a known kind.
        UnsupportedMedia: there is neither video nor sound in it.
        MediaTooDemanding: it claims absurdly many pixels or streams, or took too much time or
            memory.
        TargetMissing, TargetUnreadable: there is no such file, or it may not be read.
    """
    size_bytes = source_size(path, max_bytes=sys.maxsize)
    told = await workers.run(
        video_tasks.probe,
        name=path.name,
        timeout_s=timeout_s,
        path=str(path.absolute()),
        exact=exact,
    )
    return _probe(told, size_bytes)


def _probe(told: dict[str, Any], size_bytes: int) -> MediaProbe:
    video = told["video"]
    return MediaProbe(
        **{
            **told,
            "video": video and VideoStream(**{**video, "hdr": Hdr(video["hdr"])}),
            "audio": tuple(AudioStream(**each) for each in told["audio"]),
            "subtitles": tuple(SubtitleStream(**each) for each in told["subtitles"]),
            "chapters": tuple(Chapter(**each) for each in told["chapters"]),
        },
        size_bytes=size_bytes,
        bit_rate=round(size_bytes * 8 / told["duration_s"]) if told["duration_s"] else None,
    )
