"""A film made to take a size: a first look with the sound, then passes until it lands.

The first pass reads the pictures, and encodes the sound beside, so that the second knows how many
frames there are and what the sound takes. A pass that misses is done again with the rate that
would have hit; the first look is not repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from haulier.core.bitrate import (
    MOST_CORRECTIONS,
    Container,
    Footage,
    VideoCodec,
    VideoPlan,
    is_near,
    next_log_rate,
    overhead_bytes,
    packets_in,
    video_bps_for,
)
from haulier.errors import DoesNotFit
from haulier.media.encoders import (
    VIDEO_ENCODERS,
    Bitrate,
    VideoEncoder,
    audio_arguments,
    container_arguments,
    video_arguments,
)
from haulier.media.ffmpeg import Encoded, input_of, run_ffmpeg

Report = Callable[[str, float], None]
"""Told what is being done, and which share of the whole is done."""

_FIRST_PASS_SHARE = 0.3
_SHORT_FRAMES = 120
# An encoder that is held back by its finest quantizer stays near it.
_NEAR_FINEST = 4
_NO_GROWTH = 1.02
_MARGIN = 1.03
_BARE = ("-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoJob:
    """What is to be encoded, and how.

    Attributes:
        program: ffmpeg.
        path: the source.
        footage: what it is.
        plan: what it becomes.
        target_bytes: most bytes of the result.
        codec: of the pictures; sound and container go with it.
        speed: one of `encoders.FFMPEG_PRESETS`.
        options: of the encoder, checked.
        filters: put before scaling.
        scratch: a directory of its own on the result's file system.
        timeout_s: seconds that one pass may take.
    """

    program: Path
    path: Path
    footage: Footage
    plan: VideoPlan
    target_bytes: int
    codec: VideoCodec
    speed: str
    options: Mapping[str, str]
    filters: tuple[str, ...] = ()
    scratch: Path
    timeout_s: float

    @property
    def encoder(self) -> VideoEncoder:
        return VIDEO_ENCODERS[self.codec]

    @property
    def container(self) -> Container:
        return self.encoder.container


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One encode: `is_finest` when more bytes would not have made it look better."""

    path: Path
    size_bytes: int
    corrections: int
    is_finest: bool


@dataclass(frozen=True, slots=True)
class _FirstLook:
    frames: int
    sound: Path | None
    sound_bytes: int
    packets: int


async def shrink_video(job: VideoJob, report: Report) -> Attempt:
    """Encode a film so that it lands at 92 to 100 % of the target, and never above.

    Raises:
        DoesNotFit: it stays above the target after two corrections.
        EncoderFailed, StorageFull, MediaTooDemanding: as `run_ffmpeg`.
    """
    look = await _look(job, report)
    fixed = look.sound_bytes + overhead_bytes(
        job.container, frames=look.frames, packets=look.packets
    )
    bps = video_bps_for(
        job.target_bytes,
        frames=look.frames,
        fps=job.plan.fps,
        sound_bytes=look.sound_bytes,
        packets=look.packets,
        container=job.container,
    )
    tries: list[tuple[float, int]] = []
    best, last = None, None
    for corrections in range(MOST_CORRECTIONS + 1):
        attempt = await _encode(job, look, bps, corrections, last, report)
        if attempt.size_bytes <= job.target_bytes:
            best = max(best or attempt, attempt, key=lambda each: each.size_bytes)
        if is_near(attempt.size_bytes, job.target_bytes) or attempt.is_finest:
            break
        tries.append((math.log(bps), attempt.size_bytes))
        bps = round(
            math.exp(next_log_rate(tries, target_bytes=job.target_bytes, fixed_bytes=fixed))
        )
        last = attempt
    if best is None:
        raise DoesNotFit(
            f"{job.path.name} came to {attempt.size_bytes} bytes at best; {job.target_bytes} were "
            f"asked for",
            smallest_bytes=math.ceil(attempt.size_bytes * _MARGIN),
        )
    return best


async def _look(job: VideoJob, report: Report) -> _FirstLook:
    """Read the pictures for the second pass, where there is one, and encode the sound."""
    reads_pictures = job.encoder.passes == 2
    sound, track = job.plan.sound, job.scratch / "sound"
    arguments: list[str] = []
    if reads_pictures:
        arguments += [*_pictures(job, job.plan.video_bps, 1), "-an", *_BARE, "-f", "null", "-"]
    if sound is not None:
        arguments += ["-map", "0:a:0", *audio_arguments(job.encoder.audio, sound)]
        arguments += ["-vn", *_BARE, *container_arguments(job.container), track.name]
    frames = math.ceil(job.footage.duration_s * job.plan.fps)
    if arguments:
        encoded = await _run(
            job, [*input_of(job.path), *arguments], "first pass", 0, _FIRST_PASS_SHARE, report
        )
        frames = (encoded.frames if reads_pictures else 0) or frames
    if sound is None:
        return _FirstLook(frames, None, 0, 0)
    packets = packets_in(job.encoder.audio, job.footage.duration_s)
    size_bytes = track.stat().st_size - overhead_bytes(job.container, packets=packets)
    return _FirstLook(frames, track, max(size_bytes, 0), packets)


async def _encode(
    job: VideoJob, look: _FirstLook, bps: int, corrections: int, last: Attempt | None,
    report: Report,
) -> Attempt:  # fmt: skip
    out = job.scratch / f"attempt{corrections}"
    arguments = [*input_of(job.path)]
    if look.sound is not None:
        arguments += ["-i", look.sound.name]
    arguments += _pictures(job, bps, job.encoder.passes)
    if look.sound is not None:
        arguments += ["-map", "1:a:0", "-c:a", "copy"]
    arguments += [*_BARE, *container_arguments(job.container), out.name]
    stage = f"correction {corrections}" if corrections else "encoding"
    encoded = await _run(job, arguments, stage, _FIRST_PASS_SHARE, 1, report)
    size_bytes = out.stat().st_size
    return Attempt(
        path=out,
        size_bytes=size_bytes,
        corrections=corrections,
        is_finest=_is_finest(job, encoded, size_bytes, last),
    )


def _is_finest(job: VideoJob, encoded: Encoded, size_bytes: int, last: Attempt | None) -> bool:
    if size_bytes > job.target_bytes or is_near(size_bytes, job.target_bytes):
        return False
    if last is not None and last.size_bytes < size_bytes < last.size_bytes * _NO_GROWTH:
        return True
    quantizers = encoded.quantizers
    nearly = job.encoder.finest + _NEAR_FINEST
    return bool(quantizers) and sum(quantizers) / len(quantizers) <= nearly


def _pictures(job: VideoJob, bps: int, number: int) -> list[str]:
    plan = job.plan
    # Too few frames to make up for what was misjudged: without bounds they miss by a quarter.
    is_tight = job.footage.duration_s * plan.fps < _SHORT_FRAMES
    rate = Bitrate(bps, number, is_tight)
    fps = Fraction(plan.fps).limit_denominator(1001)
    scale = f"scale={plan.width}:{plan.height}:flags=lanczos"
    chain = ",".join([*job.filters, f"fps={fps}", scale, "setsar=1", "format=yuv420p"])
    return [
        *("-map", "0:V:0", "-vf", chain, "-fps_mode", "passthrough"),
        *video_arguments(job.codec, rate=rate, fps=plan.fps, speed=job.speed, options=job.options),
    ]


async def _run(
    job: VideoJob, arguments: list[str], stage: str, begun: float, ended: float, report: Report
) -> Encoded:
    def tell(encoded: Encoded) -> None:
        share = min(encoded.time_s / job.footage.duration_s, 1)
        report(stage, begun + (ended - begun) * share)

    report(stage, begun)
    return await run_ffmpeg(
        job.program, arguments, name=job.path.name, cwd=job.scratch, timeout_s=job.timeout_s,
        on_progress=tell,
    )  # fmt: skip
