"""How many bits a film or a sound may take to land just below a size.

Pure arithmetic: what the container costs by frame and packet is counted, sound goes first, and
what is left decides resolution and frame rate by bits per pixel. Below a floor it refuses, and
says what would fit. After an encode `next_log_rate` tells the next rate from what it came to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from haulier.core.units import format_duration, format_size
from haulier.errors import DoesNotFit

ACCEPTED_SHARE = 0.92
"""What lands between this share of the target and all of it is not encoded again."""
MOST_CORRECTIONS = 2
_AIM = 0.975
# Encoders err more on few frames.
_FEW_FRAMES = 300
_AIM_FEW = 0.95
# By the number of tries: the last miss would be worse than a little less.
_CORRECTED_AIMS = (0.96, 0.945)
_MOST_SLOPE = 4.0


class VideoCodec(StrEnum):
    """A way to encode pictures that move."""

    H264 = "h264"
    HEVC = "hevc"
    VP9 = "vp9"
    AV1 = "av1"


class AudioCodec(StrEnum):
    """A way to encode sound."""

    AAC = "aac"
    OPUS = "opus"
    MP3 = "mp3"


class Container(StrEnum):
    """What encoded frames are kept in; M4A is MP4."""

    MP4 = "mp4"
    WEBM = "webm"
    OGG = "ogg"
    MP3 = "mp3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """What a budget must know of a file.

    Attributes:
        duration_s: seconds.
        width: pixels, as shown; `height` likewise; 0 without video.
        fps: frames per second that are to be kept at most.
        video_codec: the source's, as FFmpeg names it.
        video_bps: bits per second of the source's video; None when unknown.
        channels: of sound; 0 without.
        audio_bps: bits per second of the source's sound; None when unknown.
    """

    duration_s: float
    width: int = 0
    height: int = 0
    fps: float = 0
    video_codec: str = ""
    video_bps: int | None = None
    channels: int = 0
    audio_bps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundPlan:
    """How sound is encoded: bits per second, and 1 or 2 channels."""

    audio_bps: int
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPlan:
    """How a film is encoded; `video_bps` is the first guess, before the sound's size is known."""

    width: int
    height: int
    fps: float
    video_bps: int
    sound: SoundPlan | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenNeed:
    """What a look at the content has shown to be enough.

    Attributes:
        at_fps: bits for each pixel of a frame.
        fps: at which that was seen.
        is_still: most of each picture is that of the frame before.
    """

    at_fps: float
    fps: float
    is_still: bool

    def bits_per_pixel(self, fps: float) -> float:
        """Return the bits for each pixel of a frame; what stands still takes none."""
        return self.at_fps * self.fps / fps if self.is_still else self.at_fps


@dataclass(frozen=True, slots=True)
class _Sound:
    """A codec's rates: where it can't be told from the source, where mono begins, the least."""

    transparent_bps: int
    mono_below_bps: int
    least_bps: int
    packets_per_s: float


_SOUNDS = {
    AudioCodec.AAC: _Sound(192_000, 56_000, 32_000, 48_000 / 1024),
    AudioCodec.OPUS: _Sound(160_000, 40_000, 24_000, 50),
    AudioCodec.MP3: _Sound(256_000, 64_000, 32_000, 48_000 / 1152),
}
_SOUND_STEPS_BPS = (160_000, 128_000, 96_000, 64_000, 48_000, 32_000, 24_000)
_SOUND_SHARE = 0.15

# What codecs need for the same picture, H.264 being 1.
_NEED = {
    "h264": 1.0, "hevc": 0.7, "vp9": 0.7, "av1": 0.55, "mpeg4": 1.5, "mpeg2video": 2.0, "vp8": 1.1,
}  # fmt: skip
_COMFORT_BITS_PER_PIXEL = 0.05
_SIMPLEST_BITS_PER_PIXEL = 0.01
# A careful encoder keeps a picture with about half of what a camera or screen recorder spent.
_OF_SOURCE = 0.5
_FLOOR_SHARE = 0.8
# Of H.264: few see a difference to finer ones.
_GOOD_QUANTIZER = 25
_SHORT_SIDES = (2160, 1440, 1080, 900, 720, 540, 480, 360, 240)
_FAST_FPS = 30.5
_FAST_SHORT_SIDE = 720
_LEAST_HALVED_FPS = 20


def overhead_bytes(
    container: Container, *, frames: int = 0, packets: int = 0, payload_bytes: int = 0
) -> int:
    """Return the bytes a container takes beside its payload, rather a little too many.

    Args:
        container: which.
        frames: pictures.
        packets: of sound.
        payload_bytes: of sound; Ogg writes long packets' sizes in pieces.
    """
    if container is Container.MP4:
        # Sizes and times of each frame, and where each run of one track among the other begins.
        return 2100 + 12 * frames + 4 * packets + 17 * min(frames, packets)
    if container is Container.WEBM:
        return 700 + math.ceil(7.25 * (frames + packets))
    if container is Container.OGG:
        return 250 + math.ceil(1.6 * packets + payload_bytes / 255)
    return 500


def packets_in(codec: AudioCodec, duration_s: float) -> int:
    """Return how many packets of 48 kHz sound there are in so many seconds."""
    return math.ceil(_SOUNDS[codec].packets_per_s * duration_s) + 2


def plan_video(
    footage: Footage,
    target_bytes: int,
    *,
    name: str,
    video: VideoCodec = VideoCodec.H264,
    audio: AudioCodec = AudioCodec.AAC,
    container: Container = Container.MP4,
    seen: SeenNeed | None = None,
) -> VideoPlan:
    """Choose size, frame rate and rates for a film that is to take `target_bytes`.

    The largest picture is taken that gets enough bits for each pixel; what is enough follows from
    the codec, and from the source's own rate where that shows that the content is simple.

    Args:
        footage: what is to be encoded.
        target_bytes: most bytes of the result.
        name: what messages call the file.
        video, audio, container: how it is encoded.
        seen: what a look at the content has shown to be enough.

    Raises:
        DoesNotFit: even the smallest picture would get too few; `smallest_bytes` is enough.
    """
    sound = _sound_of_film(footage, target_bytes, audio)
    rungs = list(_rungs(footage))
    for width, height, fps in rungs:
        plan = _film(footage, target_bytes, (width, height, fps), sound, audio, container)
        need = _needed_bits_per_pixel(footage, video)
        if seen is not None:
            need = min(need, seen.bits_per_pixel(fps))
        if plan.video_bps >= need * width * height * fps:
            return plan
    least_bps = math.ceil(_FLOOR_SHARE * need * width * height * fps)
    least_sound = _least_sound(footage, audio)
    for choice in (sound, least_sound):
        plan = _film(footage, target_bytes, (width, height, fps), choice, audio, container)
        if plan.video_bps >= least_bps:
            return plan
    beside = _beside_video_bytes(footage, fps, least_sound, audio, container)
    smallest_bytes = math.ceil((least_bps * footage.duration_s / 8 + beside + 1) / _AIM)
    raise _does_not_fit(name, target_bytes, smallest_bytes, footage.duration_s)


def seen_need(
    plan: VideoPlan, *, bits: float, frames: int, quantizer: float, is_still: bool = False
) -> SeenNeed:
    """Return what is enough, from what a first pass came to.

    Args:
        plan: what it was made with.
        bits: of all its pictures.
        frames: how many there were.
        quantizer: their mean; six less take about twice the bits.
        is_still: most of each picture is that of the frame before.
    """
    spent = bits / (plan.width * plan.height * frames)
    enough = spent * 2 ** ((quantizer - _GOOD_QUANTIZER) / 6)
    return SeenNeed(at_fps=enough, fps=plan.fps, is_still=is_still)


def video_bps_for(
    target_bytes: int,
    *,
    frames: int,
    fps: float,
    sound_bytes: int,
    packets: int,
    container: Container,
) -> int:
    """Return the video's bits per second once its frames and its sound are known.

    Args:
        target_bytes: most bytes of the result.
        frames: how many there are.
        fps: how many a second.
        sound_bytes: encoded sound, without its container.
        packets: of sound.
        container: what both will be kept in.
    """
    fixed = sound_bytes + overhead_bytes(container, frames=frames, packets=packets)
    aim = _AIM_FEW if frames < _FEW_FRAMES else _AIM
    return max(round((target_bytes * aim - fixed) * 8 * fps / frames), 1)


def next_log_rate(
    tries: Sequence[tuple[float, int]], *, target_bytes: int, fixed_bytes: int = 0
) -> float:
    """Return the logarithm of the rate to try next, from what others came to.

    Args:
        tries: the logarithm of a rate, and the size of the result.
        target_bytes: most bytes the result should take.
        fixed_bytes: of each result, what does not depend on the rate.
    """
    aim = _CORRECTED_AIMS[min(len(tries), len(_CORRECTED_AIMS)) - 1]
    wanted = math.log(max(target_bytes * aim - fixed_bytes, 1))
    points = [(rate, math.log(max(size - fixed_bytes, 1)) - wanted) for rate, size in tries]
    # Between one below and one above, where there are such; else from the two nearest.
    under = [point for point in points if point[1] <= 0]
    over = [point for point in points if point[1] > 0]
    near = [max(under, key=_height), min(over, key=_height)] if under and over else points
    near = sorted(near, key=lambda point: abs(point[1]))[:2]
    (rate, height), *others = near
    slope = 1.0
    for other, other_height in others:
        if other != rate:
            told = (other_height - height) / (other - rate)
            slope = min(max(told, 1 / _MOST_SLOPE), _MOST_SLOPE)
    return rate - height / slope


def _height(point: tuple[float, float]) -> float:
    return point[1]


def is_near(got_bytes: int, target_bytes: int) -> bool:
    """Tell whether a result needs no correction: 92 to 100 % of the target."""
    return ACCEPTED_SHARE * target_bytes <= got_bytes <= target_bytes


def plan_audio(
    footage: Footage,
    target_bytes: int,
    *,
    name: str,
    codec: AudioCodec = AudioCodec.OPUS,
    container: Container = Container.OGG,
) -> SoundPlan:
    """Choose the rate for a file of sound that is to take `target_bytes`.

    No more than what can't be told from the source is spent.

    Raises:
        DoesNotFit: the rate would be too low for speech; `smallest_bytes` is enough.
    """
    sound, duration_s = _SOUNDS[codec], footage.duration_s
    packets = packets_in(codec, duration_s)
    room = target_bytes * _AIM
    payload = room - overhead_bytes(container, packets=packets, payload_bytes=round(room))
    bps = math.floor(payload * 8 / duration_s)
    if bps < sound.least_bps:
        least = sound.least_bps * duration_s / 8
        fixed = overhead_bytes(container, packets=packets) + 16
        # Of 255 bytes one may go to Ogg's sizes.
        smallest_bytes = math.ceil((least + fixed) * 255 / 254 / _AIM)
        raise _does_not_fit(name, target_bytes, smallest_bytes, duration_s)
    channels = 1 if bps < sound.mono_below_bps else min(footage.channels, 2)
    return SoundPlan(audio_bps=min(bps, transparent_bps(codec, channels)), channels=channels)


def transparent_bps(codec: AudioCodec, channels: int) -> int:
    """Return the rate at which a codec can't be told from its source."""
    return _SOUNDS[codec].transparent_bps * 3 // (5 if channels == 1 else 3)


def _needed_bits_per_pixel(footage: Footage, codec: VideoCodec) -> float:
    need = _COMFORT_BITS_PER_PIXEL
    of_codec = _NEED.get(footage.video_codec)
    if footage.video_bps and of_codec:
        pixels_per_s = footage.width * footage.height * footage.fps
        spent = footage.video_bps / pixels_per_s / of_codec
        need = min(need, max(spent * _OF_SOURCE, _SIMPLEST_BITS_PER_PIXEL))
    return need * _NEED[codec]


def _rungs(footage: Footage) -> Iterator[tuple[int, int, float]]:
    """Yield widths, heights and frame rates, the best first.

    Fast motion is kept down to 720 lines, then every other frame goes.
    """
    short = min(footage.width, footage.height)
    sides = [short, *(side for side in _SHORT_SIDES if side < short)]
    fps = footage.fps
    if fps > _FAST_FPS:
        kept = [side for side in sides if side >= _FAST_SHORT_SIDE] or sides[:1]
        yield from ((*_scaled(footage, side), fps) for side in kept)
        fps /= 2
        sides = [side for side in sides if side <= kept[-1]]
    yield from ((*_scaled(footage, side), fps) for side in sides)
    if fps > _LEAST_HALVED_FPS:
        yield (*_scaled(footage, sides[-1]), fps / 2)


def _scaled(footage: Footage, short_side: int) -> tuple[int, int]:
    """Return an even width and height: chroma is stored for two by two pixels."""
    factor = short_side / min(footage.width, footage.height)
    width, height = (max(2, round(side * factor / 2) * 2) for side in _size(footage))
    return width, height


def _size(footage: Footage) -> tuple[int, int]:
    return footage.width, footage.height


def _film(
    footage: Footage, target_bytes: int, rung: tuple[int, int, float], sound: SoundPlan | None,
    audio: AudioCodec, container: Container,
) -> VideoPlan:  # fmt: skip
    width, height, fps = rung
    beside = _beside_video_bytes(footage, fps, sound, audio, container)
    video_bps = math.floor((target_bytes * _AIM - beside) * 8 / footage.duration_s)
    return VideoPlan(width=width, height=height, fps=fps, video_bps=video_bps, sound=sound)


def _beside_video_bytes(
    footage: Footage, fps: float, sound: SoundPlan | None, audio: AudioCodec, container: Container
) -> float:
    frames = math.ceil(footage.duration_s * fps)
    if sound is None:
        return overhead_bytes(container, frames=frames)
    packets = packets_in(audio, footage.duration_s)
    overhead = overhead_bytes(container, frames=frames, packets=packets)
    return overhead + sound.audio_bps * footage.duration_s / 8


def _sound_of_film(footage: Footage, target_bytes: int, codec: AudioCodec) -> SoundPlan | None:
    if not footage.channels:
        return None
    sound = _SOUNDS[codec]
    most = target_bytes * 8 / footage.duration_s * _SOUND_SHARE
    steps = [step for step in _SOUND_STEPS_BPS if step >= sound.least_bps]
    bps = next((step for step in steps if step <= most), steps[-1])
    if footage.audio_bps:
        # The next step above what the source has: more would add nothing.
        bps = min(bps, next((s for s in reversed(steps) if s >= footage.audio_bps), bps))
    channels = 1 if bps < sound.mono_below_bps else min(footage.channels, 2)
    return SoundPlan(audio_bps=bps, channels=channels)


def _least_sound(footage: Footage, codec: AudioCodec) -> SoundPlan | None:
    if not footage.channels:
        return None
    return SoundPlan(audio_bps=_SOUNDS[codec].least_bps, channels=1)


def _does_not_fit(
    name: str, target_bytes: int, smallest_bytes: int, duration_s: float
) -> DoesNotFit:
    fitting_s = duration_s * target_bytes / smallest_bytes
    shorter = f", or cut it to {format_duration(fitting_s)}" if fitting_s >= 1 else ""
    return DoesNotFit(
        f"{name} lasts {format_duration(duration_s)} and can't be made smaller than "
        f"{format_size(smallest_bytes)} without being spoilt; {format_size(target_bytes)} were "
        f"asked for",
        hint=f"Allow {smallest_bytes} bytes{shorter}.",
        smallest_bytes=smallest_bytes,
    )
