"""Which encoders an ffmpeg has, and how each is told what to do.

An encoder that is listed may still not work, so each is tried on one frame before it is used.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from haulier.core.bitrate import AudioCodec, Container, SoundPlan, VideoCodec
from haulier.errors import HaulierError, MissingProgram, UsageError
from haulier.media.ffmpeg import run_ffmpeg

FFMPEG_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
)  # fmt: skip
_TRIAL_TIMEOUT_S = 30
_LONGEST_GOP_S = 10


class Preset(StrEnum):
    """How much time a good picture is worth; `balanced` is the setting's."""

    FAST = "fast"
    BALANCED = "balanced"
    QUALITY = "quality"


@dataclass(frozen=True, slots=True)
class VideoEncoder:
    """One encoder.

    Attributes:
        name: ffmpeg's.
        passes: 2 when a first look makes it hit a size.
        finest: the quantizer below which no difference is seen; it spends no more than that.
        container: what its pictures are kept in.
        audio: the sound that goes with them.
        options: what may be asked for besides, with the values that are allowed.
    """

    name: str
    passes: int
    finest: int
    container: Container
    audio: AudioCodec
    options: Mapping[str, frozenset[str] | range]


_GOP = {"g": range(1, 1000)}
VIDEO_ENCODERS = {
    VideoCodec.H264: VideoEncoder(
        "libx264", 2, 14, Container.MP4, AudioCodec.AAC,
        {
            "tune": frozenset({"film", "animation", "grain", "stillimage", "fastdecode"}),
            "profile:v": frozenset({"baseline", "main", "high"}),
            "bf": range(17), "refs": range(1, 17), **_GOP,
        },
    ),
    VideoCodec.HEVC: VideoEncoder(
        "libx265", 2, 14, Container.MP4, AudioCodec.AAC,
        {"tune": frozenset({"animation", "grain", "fastdecode"}), **_GOP},
    ),
    VideoCodec.VP9: VideoEncoder(
        "libvpx-vp9", 2, 8, Container.WEBM, AudioCodec.OPUS,
        {
            "tune-content": frozenset({"default", "screen", "film"}),
            "tile-columns": range(7), **_GOP,
        },
    ),
    VideoCodec.AV1: VideoEncoder("libsvtav1", 1, 10, Container.MP4, AudioCodec.AAC, _GOP),
}  # fmt: skip
AUDIO_ENCODERS = {
    AudioCodec.AAC: "aac",
    AudioCodec.OPUS: "libopus",
    AudioCodec.MP3: "libmp3lame",
}
_FORMATS = {
    Container.MP4: ("-f", "mp4", "-movflags", "+faststart"),
    Container.WEBM: ("-f", "webm"),
    Container.OGG: ("-f", "ogg"),
    Container.MP3: ("-f", "mp3"),
}
# By position in FFMPEG_PRESETS: what comes nearest in these encoders' own numbers.
_CPU_USED = (5, 5, 5, 4, 4, 3, 2, 1, 0)
_SVT_PRESETS = (12, 12, 11, 10, 9, 8, 6, 5, 4)


class Encoders:
    """The encoders of one ffmpeg, each tried once.

    Args:
        program: the ffmpeg.
    """

    def __init__(self, program: Path) -> None:
        self.program = program
        self._works: dict[str, bool] = {}

    async def require(self, *codecs: VideoCodec | AudioCodec) -> None:
        """Try the encoders of these codecs on one frame each.

        Raises:
            MissingProgram: this ffmpeg can't encode one of them.
        """
        found = await asyncio.gather(*(self.works(codec) for codec in codecs))
        for codec, works in zip(codecs, found, strict=True):
            if not works:
                raise MissingProgram(
                    f"the ffmpeg that was found can't encode {codec} with {_name_of(codec)}",
                    hint="Install a fuller ffmpeg, of version 5.1 or later, or choose another "
                    "codec.",
                )

    async def works(self, codec: VideoCodec | AudioCodec) -> bool:
        """Tell whether one frame can be encoded."""
        name = _name_of(codec)
        if name not in self._works:
            self._works[name] = await self._try(codec, name)
        return self._works[name]

    async def _try(self, codec: VideoCodec | AudioCodec, name: str) -> bool:
        if isinstance(codec, VideoCodec):
            sample = ["-f", "lavfi", "-i", "color=s=64x64:r=25:d=0.04", "-frames:v", "1"]
            sample += ["-fps_mode", "passthrough", "-c:v", name]
        else:
            sample = ["-f", "lavfi", "-i", "anullsrc=r=48000:d=0.1", "-c:a", name]
        try:
            await run_ffmpeg(
                self.program, [*sample, "-f", "null", "-"],
                name=name, cwd=Path("/"), timeout_s=_TRIAL_TIMEOUT_S,
            )  # fmt: skip
        except HaulierError:
            return False
        return True


def check_options(codec: VideoCodec, options: Mapping[str, str]) -> None:
    """Check that these options of an encoder may be asked for.

    Raises:
        UsageError: one may not, or not with that value.
    """
    known = VIDEO_ENCODERS[codec].options
    for name, value in options.items():
        allowed = known.get(name)
        if allowed is None:
            raise UsageError(
                f"{name!r} is no option of {codec} that may be set",
                hint=f"Allowed are {', '.join(sorted(known))}.",
            )
        is_number = re.fullmatch(r"[0-9]{1,4}", value) is not None
        if isinstance(allowed, range):
            if not is_number or int(value) not in allowed:
                raise UsageError(
                    f"{name} can't be {value!r}",
                    hint=f"Give a number from {allowed.start} to {allowed.stop - 1}.",
                )
        elif value not in allowed:
            raise UsageError(
                f"{name} can't be {value!r}", hint=f"Choose among {', '.join(sorted(allowed))}."
            )


@dataclass(frozen=True, slots=True)
class Bitrate:
    """What an encoder may spend.

    Attributes:
        bps: bits per second.
        number: of the pass, from 1; its notes lie in the working directory.
        window_s: the seconds over which it must be kept; None when only the whole counts.
    """

    bps: int
    number: int
    window_s: float | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """How fine H.264 is to be, whatever it takes.

    Attributes:
        factor: x264's rate factor; higher is coarser.
        number: of the pass: it needs no notes.
    """

    factor: float
    number: int = 1


def video_arguments(
    codec: VideoCodec,
    *,
    rate: Bitrate | Quality,
    fps: float,
    speed: str,
    options: Mapping[str, str],
) -> list[str]:
    """Return the arguments that encode pictures.

    Args:
        codec: which.
        rate: what it may spend, or how fine it is to be.
        fps: frames per second.
        speed: one of FFMPEG_PRESETS.
        options: checked by `check_options`.
    """
    encoder = VIDEO_ENCODERS[codec]
    merged = {"g": str(max(round(fps * _LONGEST_GOP_S), 1)), **options}
    arguments = ["-c:v", encoder.name, "-pix_fmt", "yuv420p"]
    arguments += [part for name, value in merged.items() for part in (f"-{name}", value)]
    rank = FFMPEG_PRESETS.index(speed)
    if codec is VideoCodec.HEVC:
        params = f"pass={rate.number}:stats=notes:qpmin={encoder.finest}:log-level=error"
        arguments += ["-preset", speed, "-tag:v", "hvc1", "-x265-params", params]
    elif codec is VideoCodec.AV1:
        arguments += ["-qmin", str(encoder.finest), "-preset", str(_SVT_PRESETS[rank])]
    elif codec is VideoCodec.VP9:
        arguments += ["-qmin", str(encoder.finest), "-deadline", "good", "-row-mt", "1"]
        arguments += ["-cpu-used", str(_CPU_USED[rank])]
    else:
        arguments += ["-qmin", str(encoder.finest), "-preset", speed]
    return arguments + _rate_arguments(codec, rate)


def _rate_arguments(codec: VideoCodec, rate: Bitrate | Quality) -> list[str]:
    if isinstance(rate, Quality):
        # The pass of which notes are written, but none of its short cuts.
        notes = ["-pass", str(rate.number), "-fastfirstpass", "0", "-passlogfile", "notes"]
        return ["-crf", f"{rate.factor:.2f}", *notes]
    arguments = ["-b:v", str(rate.bps)]
    if codec in {VideoCodec.H264, VideoCodec.VP9}:
        # x264's third pass is a second one that writes notes too: how fine it really was.
        number = 3 if codec is VideoCodec.H264 and rate.number > 1 else rate.number
        arguments += ["-pass", str(number), "-passlogfile", "notes"]
    if rate.window_s is not None and codec in {VideoCodec.H264, VideoCodec.HEVC}:
        arguments += ["-maxrate", str(rate.bps), "-bufsize", str(round(rate.bps * rate.window_s))]
    return arguments


def audio_arguments(codec: AudioCodec, sound: SoundPlan, *, first: str = "") -> list[str]:
    """Return the arguments that encode sound at 48 kHz; it starts with the file, if in silence.

    Filters in `first`, each with a comma behind, go before the others.
    """
    arguments = ["-c:a", AUDIO_ENCODERS[codec], "-b:a", str(sound.audio_bps)]
    arguments += ["-ac", str(sound.channels), "-af", f"{first}aresample=48000:async=1:first_pts=0"]
    if codec is AudioCodec.MP3:
        arguments += ["-abr", "1"]
    return arguments


def container_arguments(container: Container) -> tuple[str, ...]:
    """Return the arguments that name the container."""
    return _FORMATS[container]


def _name_of(codec: VideoCodec | AudioCodec) -> str:
    return VIDEO_ENCODERS[codec].name if isinstance(codec, VideoCodec) else AUDIO_ENCODERS[codec]
