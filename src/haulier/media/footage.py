"""What a budget must know of a file, taken from what a probe tells."""

from __future__ import annotations

from pathlib import Path

from haulier.core.bitrate import Footage
from haulier.errors import UnreadableMedia
from haulier.media.isolation import Workers
from haulier.media.probe import Hdr, MediaProbe, VideoStream, probe_media

_COMMON_FPS = (15.0, 24.0, 25.0, 30.0, 50.0, 60.0)
_MOST_FPS = 60.0
# How much a common rate may lie below the average.
_SLACK = 0.98


async def read_footage(path: Path, *, workers: Workers, name: str) -> tuple[Footage, Hdr]:
    """Probe a file of video or sound.

    Args:
        path: the file.
        workers: where it is read.
        name: what messages call it.

    Raises:
        UnreadableMedia: it is damaged, or does not tell how long it lasts.
        UnsupportedMedia, MediaTooDemanding, TargetMissing, TargetUnreadable: as `probe_media`.
    """
    probe = await probe_media(path, workers=workers, exact=True)
    if not probe.duration_s:
        raise UnreadableMedia(f"{name} does not tell how long it lasts")
    return footage_of(probe, probe.duration_s), probe.video.hdr if probe.video else Hdr.NONE


def footage_of(probe: MediaProbe, duration_s: float) -> Footage:
    """Return the facts of the main video and of the first sound."""
    sound = probe.audio[0] if probe.audio else None
    # Where nothing tells, most players take two.
    channels = 0 if sound is None else sound.channels or 2
    audio_bps = None if sound is None else sound.bit_rate
    video = probe.video
    if video is None:
        return Footage(duration_s=duration_s, channels=channels, audio_bps=audio_bps)
    beside_bps = sum(each.bit_rate or 0 for each in probe.audio)
    return Footage(
        duration_s=duration_s,
        width=video.width,
        height=video.height,
        fps=frame_rate(video),
        video_codec=video.codec,
        video_bps=video.bit_rate or max((probe.bit_rate or 0) - beside_bps, 0) or None,
        channels=channels,
        audio_bps=audio_bps,
    )


def frame_rate(video: VideoStream) -> float:
    """Return the constant rate that keeps the frames: the source's, 60 at most.

    Where the intervals vary it is the next common rate, so that most frames stay where they are.
    """
    average = video.fps or _COMMON_FPS[3]
    if not video.variable_frame_rate:
        return min(average, _MOST_FPS)
    return next((fps for fps in _COMMON_FPS if fps >= average * _SLACK), _MOST_FPS)
