"""What an encoder is told next, from what the runs before came to: a rate, or a quality."""

from __future__ import annotations

import math

from haulier.core.bitrate import (
    MOST_CORRECTIONS,
    VideoCodec,
    VideoPlan,
    next_log_rate,
    overhead_bytes,
    video_bps_for,
)
from haulier.media.encoders import Bitrate, Quality
from haulier.media.video_passes import FirstLook, VideoJob

_SHORT_FRAMES = 120
_LEAST_WINDOW_S = 0.3
_WINDOW_SHARE = 0.4
_MOST_WINDOW_S = 1.0
_BURSTS_SHARE = 0.8
_RUNAWAY_SHARE = 1.3
_MOST_CUT = 6
_NO_GROWTH = 1.02
# By how much the logarithm of the size falls with each step of the rate factor, where most of the
# picture stands still.
_STEP = 0.04
# Of what the hasty first pass took, what the whole encoder needs to look the same.
_OF_FIRST_PASS = 0.72
_FINEST_FACTOR, _COARSEST_FACTOR = 4.0, 51.0


def first_window_s(job: VideoJob) -> float | None:
    """Return the window of films with too few frames to make up for what was misjudged: without
    one, a second of noise takes up to half more than it should."""
    if job.footage.duration_s * job.plan.fps >= _SHORT_FRAMES:
        return None
    return min(max(job.footage.duration_s * _WINDOW_SHARE, _LEAST_WINDOW_S), _MOST_WINDOW_S)


class ByRate:
    """Second passes, each at the rate that would have hit.

    Args:
        job: what is encoded.
        seen: what its first pass found.
    """

    most_corrections = MOST_CORRECTIONS

    def __init__(self, job: VideoJob, seen: FirstLook) -> None:
        self._job = job
        self._fixed_bytes = _fixed_bytes(job, seen)
        self._bps = video_bps_for(
            job.target_bytes,
            frames=seen.frames,
            fps=job.plan.fps,
            sound_bytes=seen.sound_bytes,
            packets=seen.packets,
            container=job.container,
        )
        self._window_s = first_window_s(job)
        self._tries: list[tuple[float, int]] = []
        self._changed_window = False

    @property
    def rate(self) -> Bitrate:
        """What to try next."""
        return Bitrate(self._bps, self._job.encoder.passes, self._window_s)

    def is_exhausted(self, size_bytes: int) -> bool:
        """Tell whether this is hardly more than the last try, which was given less.

        Of H.264 it is known how fine it is, and a rate that is not taken says little.
        """
        if self._job.codec is VideoCodec.H264 or not self._tries:
            return False
        _, last_bytes = self._tries[-1]
        return last_bytes < self._job.target_bytes and size_bytes < last_bytes * _NO_GROWTH

    def learn(self, size_bytes: int) -> None:
        """Choose the next rate, now that this one came to so many bytes."""
        target = self._job.target_bytes
        is_first = not self._tries and not self._changed_window
        if is_first and self._window_s and size_bytes < _BURSTS_SHARE * target:
            # It comes in bursts, which the window cuts off, and calm, which needs no more.
            self._window_s, self._changed_window = None, True
            self._bps = round(self._bps * math.sqrt(target / size_bytes))
            return
        if self._window_s is None and size_bytes > _RUNAWAY_SHARE * target:
            # One burst in a calm film, which the first pass did not see coming.
            self._window_s, self._changed_window, self._tries = _MOST_WINDOW_S, True, []
            return
        self._tries.append((math.log(self._bps), size_bytes))
        wanted = next_log_rate(self._tries, target_bytes=target, fixed_bytes=self._fixed_bytes)
        # Encoders refuse rates that make no sense.
        self._bps = max(round(math.exp(wanted)), self._bps // _MOST_CUT)


class ByQuality:
    """Encodes of what mostly stands still, each as fine as would have hit.

    The second pass of slides or text misses by up to a quarter, either way: it spreads over the
    film what is spent where a page turns. The size at a rate factor is smooth, so that none or one
    correction lands mostly; what takes more is quickly encoded.

    Args:
        job: what is encoded.
        seen: what a first pass found.
        looked_at: the plan of that pass; the job's may have more pixels and frames.
    """

    most_corrections = MOST_CORRECTIONS + 1

    def __init__(self, job: VideoJob, seen: FirstLook, *, looked_at: VideoPlan) -> None:
        assert seen.notes is not None
        self._job = job
        self._fixed_bytes = _fixed_bytes(job, seen)
        self._tries: list[tuple[float, int]] = []
        pixels = job.plan.width * job.plan.height / (looked_at.width * looked_at.height)
        guessed_bytes = round(seen.notes.bits / 8 * pixels * _OF_FIRST_PASS) + self._fixed_bytes
        self._factor = self._next([(-seen.notes.quantizer * _STEP, guessed_bytes)])

    @property
    def rate(self) -> Quality:
        """What to try next."""
        return Quality(self._factor)

    def is_exhausted(self, _size_bytes: int) -> bool:
        """Tell whether nothing finer is left to try."""
        return self._factor == _FINEST_FACTOR

    def learn(self, size_bytes: int) -> None:
        """Choose the next rate factor, now that this one came to so many bytes."""
        self._tries.append((-self._factor * _STEP, size_bytes))
        self._factor = self._next(self._tries)

    def _next(self, tries: list[tuple[float, int]]) -> float:
        wanted = self._wanted(tries)
        if all(size_bytes > self._job.target_bytes for _, size_bytes in tries):
            # The coarser it is, the faster the size falls: what two fine tries say leads too far.
            wanted = max(wanted, self._wanted(tries[-1:]))
        return min(max(-wanted / _STEP, _FINEST_FACTOR), _COARSEST_FACTOR)

    def _wanted(self, tries: list[tuple[float, int]]) -> float:
        return next_log_rate(
            tries, target_bytes=self._job.target_bytes, fixed_bytes=self._fixed_bytes
        )


def _fixed_bytes(job: VideoJob, seen: FirstLook) -> int:
    return seen.sound_bytes + overhead_bytes(
        job.container, frames=seen.frames, packets=seen.packets
    )
