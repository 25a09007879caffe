"""A film made to take a size: a first look with the sound, then passes until it lands.

The first pass reads the pictures, and encodes the sound beside, so that the second knows how many
frames there are and what the sound takes. A pass that misses is done again with the rate that
would have hit; the first look is not repeated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
    plan_video,
    seen_need,
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
_LEAST_WINDOW_S = 0.3
_WINDOW_SHARE = 0.4
_BURSTS_SHARE = 0.8
_RUNAWAY_SHARE = 1.3
_MOST_CUT = 6
_MOST_WINDOW_S = 1.0
# Of each frame its mean quantizer, and bits for texture, motion and the rest.
_NOTES = re.compile(r" aq:([\d.]+) tex:(\d+) mv:(\d+) misc:(\d+) ")
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
    quantizer: float | None
    bits: int


async def shrink_video(job: VideoJob, report: Report) -> tuple[Attempt, VideoPlan]:
    """Encode a film so that it lands at 92 to 100 % of the target, and never above.

    Returns the best attempt, and the plan it follows: that of the job, or one with a larger picture
    when the content turns out to need less than most.

    Raises:
        DoesNotFit: it stays above the target after two corrections.
        EncoderFailed, StorageFull, MediaTooDemanding: as `run_ffmpeg`.
    """
    look = await _look(job, report)
    if (plan := _larger_plan(job, look)) is None:
        return await _land(job, look, report), job.plan
    larger = replace(job, plan=plan)
    return await _land(larger, await _look(larger, report), report), plan


async def _land(job: VideoJob, look: _FirstLook, report: Report) -> Attempt:
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
    window_s = _window_s(job)
    tries: list[tuple[float, int]] = []
    best, last = None, None
    for corrections in range(MOST_CORRECTIONS + 1):
        rate = Bitrate(bps, job.encoder.passes, window_s)
        attempt = await _encode(job, look, rate, corrections, last, report)
        size_bytes = attempt.size_bytes
        if size_bytes <= job.target_bytes:
            best = max(best or attempt, attempt, key=lambda each: each.size_bytes)
        if is_near(size_bytes, job.target_bytes) or attempt.is_finest:
            break
        last = attempt
        if corrections == 0 and window_s and size_bytes < _BURSTS_SHARE * job.target_bytes:
            # It comes in bursts, which the window cuts off, and calm, which needs no more.
            window_s, tries, last = None, [], None
            bps = round(bps * math.sqrt(job.target_bytes / size_bytes))
            continue
        if window_s is None and size_bytes > _RUNAWAY_SHARE * job.target_bytes:
            # One burst in a calm film, which the first pass did not see coming.
            window_s, tries = _MOST_WINDOW_S, []
            continue
        tries.append((math.log(bps), size_bytes))
        wanted = next_log_rate(tries, target_bytes=job.target_bytes, fixed_bytes=fixed)
        # Encoders refuse rates that make no sense.
        bps = max(round(math.exp(wanted)), bps // _MOST_CUT)
    if best is None:
        raise DoesNotFit(
            f"{job.path.name} came to {size_bytes} bytes; {job.target_bytes} were asked for",
            smallest_bytes=math.ceil(size_bytes * _MARGIN),
        )
    return replace(best, corrections=corrections, is_finest=attempt.is_finest)


def _larger_plan(job: VideoJob, look: _FirstLook) -> VideoPlan | None:
    """Return a plan with more pixels when the first pass shows that they have bits enough."""
    if look.quantizer is None:
        return None
    need = seen_need(job.plan, bits=look.bits, frames=look.frames, quantizer=look.quantizer)
    plan = plan_video(job.footage, job.target_bytes, name=job.path.name, seen_need=need)
    return plan if _pixel_rate(plan) > _pixel_rate(job.plan) else None


def _first_pass_notes(job: VideoJob) -> tuple[float | None, int]:
    """Return the quantizer of the mean bit, and the bits of all pictures, where they are noted."""
    notes = job.scratch / "notes-0.log"
    if job.codec is not VideoCodec.H264 or not notes.exists():
        return None, 0
    found = _NOTES.findall(notes.read_text("ascii", "replace"))
    frames = [(float(quantizer), sum(map(int, bits))) for quantizer, *bits in found]
    # Pictures that stand still take next to nothing, and should not count for more.
    bits = sum(taken for _, taken in frames)
    if not bits:
        return None, 0
    return sum(quantizer * taken for quantizer, taken in frames) / bits, bits


def _pixel_rate(plan: VideoPlan) -> float:
    return plan.width * plan.height * plan.fps


def _window_s(job: VideoJob) -> float | None:
    """Return the window of films with too few frames to make up for what was misjudged: without
    one, a second of noise takes up to half more than it should."""
    if job.footage.duration_s * job.plan.fps >= _SHORT_FRAMES:
        return None
    return min(max(job.footage.duration_s * _WINDOW_SHARE, _LEAST_WINDOW_S), _MOST_WINDOW_S)


async def _look(job: VideoJob, report: Report) -> _FirstLook:
    """Read the pictures for the second pass, where there is one, and encode the sound."""
    reads_pictures = job.encoder.passes == 2
    sound, track = job.plan.sound, job.scratch / "sound"
    arguments: list[str] = []
    if reads_pictures:
        arguments += [
            *_pictures(job, Bitrate(job.plan.video_bps, 1, _window_s(job))),
            "-an",
            *_BARE,
            "-f",
            "null",
            "-",
        ]
    if sound is not None:
        arguments += ["-map", "0:a:0", *audio_arguments(job.encoder.audio, sound)]
        arguments += ["-vn", *_BARE, *container_arguments(job.container), track.name]
    frames = math.ceil(job.footage.duration_s * job.plan.fps)
    if arguments:
        encoded = await _run(
            job, [*input_of(job.path), *arguments], "first pass", 0, _FIRST_PASS_SHARE, report
        )
        frames = (encoded.frames if reads_pictures else 0) or frames
    quantizer, bits = _first_pass_notes(job)
    if sound is None:
        return _FirstLook(frames, None, 0, 0, quantizer, bits)
    packets = packets_in(job.encoder.audio, job.footage.duration_s)
    size_bytes = track.stat().st_size - overhead_bytes(job.container, packets=packets)
    return _FirstLook(frames, track, max(size_bytes, 0), packets, quantizer, bits)


async def _encode(
    job: VideoJob, look: _FirstLook, rate: Bitrate, corrections: int, last: Attempt | None,
    report: Report,
) -> Attempt:  # fmt: skip
    out = job.scratch / f"attempt{corrections}"
    arguments = [*input_of(job.path)]
    if look.sound is not None:
        arguments += ["-i", look.sound.name]
    arguments += _pictures(job, rate)
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
        is_finest=_is_finest(job, look, encoded, size_bytes, last),
    )


def _is_finest(
    job: VideoJob, look: _FirstLook, encoded: Encoded, size_bytes: int, last: Attempt | None
) -> bool:
    if size_bytes > job.target_bytes or is_near(size_bytes, job.target_bytes):
        return False
    if last is not None and last.size_bytes < job.target_bytes:
        # It was given more, and took no more.
        return size_bytes < last.size_bytes * _NO_GROWTH
    coarsest = max(encoded.quantizers, default=None)
    quantizer = coarsest if look.quantizer is None else look.quantizer
    return quantizer is not None and quantizer <= job.encoder.finest + _NEAR_FINEST


def _pictures(job: VideoJob, rate: Bitrate) -> list[str]:
    plan = job.plan
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
