"""Single runs over a film: a first look with the sound, and encodes at a rate or a quality."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from haulier.core.bitrate import (
    Container,
    Footage,
    VideoCodec,
    VideoPlan,
    overhead_bytes,
    packets_in,
)
from haulier.media.encoders import (
    VIDEO_ENCODERS,
    Bitrate,
    Quality,
    VideoEncoder,
    audio_arguments,
    container_arguments,
    video_arguments,
)
from haulier.media.ffmpeg import Encoded, input_of, run_ffmpeg

Report = Callable[[str, float], None]
"""Told what is being done, and which share of the whole is done."""

_FIRST_PASS_SHARE = 0.3
# Of each frame its mean quantizer, the bits for texture, motion and the rest, and how many of its
# blocks were drawn, were moved, were left as they are.
_NOTES = re.compile(r" aq:([\d.]+) tex:(\d+) mv:(\d+) misc:(\d+) imb:(\d+) pmb:(\d+) smb:(\d+) ")
# Of a mean that is measured, and of the coarsest of some samples.
_AT_FINEST = 1
_NEAR_FINEST = 4
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
class Notes:
    """What x264 wrote down of a run.

    Attributes:
        quantizer: that of the mean bit; higher is coarser.
        bits: of all pictures.
        still_share: of all blocks, those that were left as they were the frame before.
    """

    quantizer: float
    bits: int
    still_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstLook:
    """What a first pass found, and the sound that was encoded beside it.

    Attributes:
        frames: how many there will be.
        sound: where it is; None without.
        sound_bytes: of it, without its container.
        packets: of it.
        notes: None where the encoder's can't be read.
    """

    frames: int
    sound: Path | None
    sound_bytes: int
    packets: int
    notes: Notes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One encode: `is_finest` when more bytes would not have made it look better."""

    path: Path
    size_bytes: int
    corrections: int
    is_finest: bool


async def look(job: VideoJob, rate: Bitrate, report: Report) -> FirstLook:
    """Read the pictures for the second pass, where there is one, and encode the sound.

    Raises:
        EncoderFailed, StorageFull, MediaTooDemanding: as `run_ffmpeg`.
    """
    reads_pictures = job.encoder.passes == 2
    sound, track = job.plan.sound, job.scratch / "sound"
    arguments: list[str] = []
    if reads_pictures:
        arguments += [*_pictures(job, rate), "-an", *_BARE, "-f", "null", "-"]
    if sound is not None:
        arguments += ["-map", "0:a:0", *audio_arguments(job.encoder.audio, sound)]
        arguments += ["-vn", *_BARE, *container_arguments(job.container), track.name]
    frames = math.ceil(job.footage.duration_s * job.plan.fps)
    if arguments:
        encoded = await _run(
            job, [*input_of(job.path), *arguments], "first pass", 0, _FIRST_PASS_SHARE, report
        )
        frames = (encoded.frames if reads_pictures else 0) or frames
    notes = _notes(job)
    if sound is None:
        return FirstLook(frames=frames, sound=None, sound_bytes=0, packets=0, notes=notes)
    packets = packets_in(job.encoder.audio, job.footage.duration_s)
    size_bytes = track.stat().st_size - overhead_bytes(job.container, packets=packets)
    return FirstLook(
        frames=frames, sound=track, sound_bytes=max(size_bytes, 0), packets=packets, notes=notes
    )


async def encode(
    job: VideoJob, seen: FirstLook, rate: Bitrate | Quality, corrections: int, report: Report
) -> Attempt:
    """Encode the pictures and put the sound beside them.

    Args:
        job: what, and how.
        seen: what the first look found.
        rate: what the pictures may take, or how fine they are.
        corrections: how many encodes went before.
        report: told how far it is.

    Raises:
        EncoderFailed, StorageFull, MediaTooDemanding: as `run_ffmpeg`.
    """
    out = job.scratch / f"attempt{corrections}"
    arguments = [*input_of(job.path)]
    if seen.sound is not None:
        arguments += ["-i", seen.sound.name]
    arguments += _pictures(job, rate)
    if seen.sound is not None:
        arguments += ["-map", "1:a:0", "-c:a", "copy"]
    arguments += [*_BARE, *container_arguments(job.container), out.name]
    stage = f"correction {corrections}" if corrections else "encoding"
    noted = _notes_path(job)
    first_notes = noted.read_bytes() if noted.exists() else None
    encoded = await _run(job, arguments, stage, _FIRST_PASS_SHARE, 1, report)
    is_finest = _is_finest(job, encoded)
    if first_notes is not None and isinstance(rate, Bitrate):
        # The next second pass should go by what this one went by, else rates can't be compared.
        noted.write_bytes(first_notes)
    return Attempt(
        path=out, size_bytes=out.stat().st_size, corrections=corrections, is_finest=is_finest
    )


def _is_finest(job: VideoJob, encoded: Encoded) -> bool:
    """Tell whether the encoder went to the finest quantizer it is allowed."""
    if (notes := _notes(job)) is not None:
        return notes.quantizer <= job.encoder.finest + _AT_FINEST
    coarsest = max(encoded.quantizers, default=math.inf)
    return coarsest <= job.encoder.finest + _NEAR_FINEST


def _notes_path(job: VideoJob) -> Path:
    return job.scratch / "notes-0.log"


def _notes(job: VideoJob) -> Notes | None:
    """Return what the last run noted."""
    notes = _notes_path(job)
    if job.codec is not VideoCodec.H264 or not notes.exists():
        return None
    bits = blocks = still = 0
    weighted = 0.0
    for quantizer, *numbers in _NOTES.findall(notes.read_text("ascii", "replace")):
        texture, motion, rest, drawn, moved, left = map(int, numbers)
        # Pictures that stand still take next to nothing, and should not count for more.
        taken = texture + motion + rest
        bits += taken
        weighted += float(quantizer) * taken
        still += left
        blocks += drawn + moved + left
    if not bits or not blocks:
        return None
    return Notes(quantizer=weighted / bits, bits=bits, still_share=still / blocks)


def _pictures(job: VideoJob, rate: Bitrate | Quality) -> list[str]:
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
