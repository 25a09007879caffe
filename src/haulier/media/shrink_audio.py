"""Sound made to take a size, by one encode and corrections."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from haulier.core.bitrate import (
    MOST_CORRECTIONS,
    AudioCodec,
    Container,
    Footage,
    SoundPlan,
    is_near,
    next_log_rate,
    overhead_bytes,
    packets_in,
    transparent_bps,
)
from haulier.errors import DoesNotFit
from haulier.media.encoders import audio_arguments, container_arguments
from haulier.media.ffmpeg import Encoded, input_of, run_ffmpeg
from haulier.media.video_passes import Attempt, Report

CONTAINERS = {
    AudioCodec.OPUS: Container.OGG,
    AudioCodec.AAC: Container.MP4,
    AudioCodec.MP3: Container.MP3,
}
_MARGIN = 1.03


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioJob:
    """What is to be encoded, and how; see `video_passes.VideoJob`."""

    program: Path
    path: Path
    footage: Footage
    plan: SoundPlan
    target_bytes: int
    codec: AudioCodec
    scratch: Path
    timeout_s: float


async def shrink_audio(job: AudioJob, report: Report) -> Attempt:
    """Encode sound so that it lands at 92 to 100 % of the target, and never above.

    It may stay below when it can't be told from its source any more.

    Raises:
        DoesNotFit: it stays above the target after two corrections.
        EncoderFailed, StorageFull, MediaTooDemanding: as `run_ffmpeg`.
    """
    container = CONTAINERS[job.codec]
    packets = packets_in(job.codec, job.footage.duration_s)
    fixed = overhead_bytes(container, packets=packets)
    most_bps = transparent_bps(job.codec, job.plan.channels)
    bps, best = job.plan.audio_bps, None
    tries: list[tuple[float, int]] = []
    for corrections in range(MOST_CORRECTIONS + 1):
        attempt = await _encode(job, bps, corrections, bps >= most_bps, report)
        if attempt.size_bytes <= job.target_bytes:
            best = max(best or attempt, attempt, key=lambda each: each.size_bytes)
            if attempt.is_finest or is_near(attempt.size_bytes, job.target_bytes):
                break
        tries.append((math.log(bps), attempt.size_bytes))
        log_rate = next_log_rate(tries, target_bytes=job.target_bytes, fixed_bytes=fixed)
        bps = min(round(math.exp(log_rate)), most_bps)
    if best is None:
        raise DoesNotFit(
            f"{job.path.name} came to {attempt.size_bytes} bytes at best; {job.target_bytes} were "
            f"asked for",
            smallest_bytes=math.ceil(attempt.size_bytes * _MARGIN),
        )
    return best


async def _encode(
    job: AudioJob, bps: int, corrections: int, is_finest: bool, report: Report
) -> Attempt:
    out = job.scratch / f"attempt-{corrections}"
    stage = f"correction {corrections}" if corrections else "encoding"

    def tell(encoded: Encoded) -> None:
        report(stage, min(encoded.time_s / job.footage.duration_s, 1))

    report(stage, 0)
    arguments = [*input_of(job.path), "-map", "0:a:0", "-vn", "-sn", "-dn"]
    arguments += audio_arguments(job.codec, replace(job.plan, audio_bps=bps))
    arguments += [*container_arguments(CONTAINERS[job.codec]), out.name]
    await run_ffmpeg(
        job.program, arguments, name=job.path.name, cwd=job.scratch, timeout_s=job.timeout_s,
        on_progress=tell,
    )  # fmt: skip
    size_bytes = out.stat().st_size
    return Attempt(path=out, size_bytes=size_bytes, corrections=corrections, is_finest=is_finest)
