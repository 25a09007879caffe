"""A film made to take a size: a first look with the sound, then passes until it lands.

The first pass reads the pictures, and encodes the sound beside, so that the second knows how many
frames there are and what the sound takes. A pass that misses is done again with what would have
hit; the first look is not repeated.
"""

from __future__ import annotations

import math
from dataclasses import replace

from haulier.core.bitrate import (
    VideoPlan,
    is_near,
    plan_video,
    seen_need,
)
from haulier.errors import DoesNotFit
from haulier.media.encoders import Bitrate
from haulier.media.video_passes import Attempt, FirstLook, Report, VideoJob, encode, look
from haulier.media.video_steering import ByQuality, ByRate, first_window_s

_STILL_SHARE = 0.8
_FELL_SHORT = 0.97
_HELD_BACK = 0.3
_COARSE = 22
_RUNAWAY_SHARE = 1.5
_MARGIN = 1.03


async def shrink_video(job: VideoJob, report: Report) -> tuple[Attempt, VideoPlan]:
    """Encode a film so that it lands at 92 to 100 % of the target, and never above.

    Returns the best attempt, and the plan it follows: that of the job, or one with a larger picture
    when the content turns out to need less than most.

    Raises:
        DoesNotFit: it stays above the target after all corrections.
        EncoderFailed, StorageFull, MediaTooDemanding: as `run_ffmpeg`.
    """
    seen = await _look(job, report)
    is_still = _is_still(job, seen)
    plan = _larger_plan(job, seen, is_still=is_still)
    larger = replace(job, plan=plan)
    if is_still and plan.sound == job.plan.sound:
        seen = replace(seen, frames=round(seen.frames * plan.fps / job.plan.fps))
        steering: ByRate | ByQuality = ByQuality(larger, seen, looked_at=job.plan)
    else:
        seen = seen if plan is job.plan else await _look(larger, report)
        steering = ByRate(larger, seen)
    return await _land(larger, seen, steering, report), plan


async def _look(job: VideoJob, report: Report) -> FirstLook:
    return await look(job, Bitrate(job.plan.video_bps, 1, first_window_s(job)), report)


def _is_still(job: VideoJob, seen: FirstLook) -> bool:
    """Tell whether it is slides, text or the like, of which rate control knows too little: most of
    the picture stays as it is, and the first pass did not find use for the rate it was given."""
    notes = seen.notes
    if notes is None or notes.still_share < _STILL_SHARE:
        return False
    spent_share = notes.bits * job.plan.fps / (seen.frames * job.plan.video_bps)
    # What is coarse and spends little has a burst of noise to make up for.
    is_held_back = spent_share < _HELD_BACK and notes.quantizer > _COARSE
    return spent_share < _FELL_SHORT and not is_held_back


def _larger_plan(job: VideoJob, seen: FirstLook, *, is_still: bool) -> VideoPlan:
    """Return a plan with more pixels when the first pass shows that they have bits enough."""
    if seen.notes is None:
        return job.plan
    need = seen_need(
        job.plan, bits=seen.notes.bits, frames=seen.frames, quantizer=seen.notes.quantizer,
        is_still=is_still,
    )  # fmt: skip
    plan = plan_video(job.footage, job.target_bytes, name=job.path.name, seen=need)
    return plan if _pixel_rate(plan) > _pixel_rate(job.plan) else job.plan


def _pixel_rate(plan: VideoPlan) -> float:
    return plan.width * plan.height * plan.fps


async def _land(
    job: VideoJob, seen: FirstLook, steering: ByRate | ByQuality, report: Report
) -> Attempt:
    best, is_finest = None, False
    for corrections in range(steering.most_corrections + 1):
        attempt = await encode(job, seen, steering.rate, corrections, report)
        size_bytes = attempt.size_bytes
        if size_bytes <= job.target_bytes:
            best = max(best or attempt, attempt, key=lambda each: each.size_bytes)
            if is_near(size_bytes, job.target_bytes):
                break
            is_finest = attempt.is_finest or steering.is_exhausted(size_bytes)
            if is_finest:
                break
        if isinstance(steering, ByQuality) and size_bytes > _RUNAWAY_SHARE * job.target_bytes:
            # Not so still after all. What this encode noted serves a second pass.
            steering = ByRate(job, seen)
        else:
            steering.learn(size_bytes)
    if best is None:
        raise DoesNotFit(
            f"{job.path.name} came to {size_bytes} bytes; {job.target_bytes} were asked for",
            smallest_bytes=math.ceil(size_bytes * _MARGIN),
        )
    return replace(best, corrections=corrections, is_finest=is_finest)
