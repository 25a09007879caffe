"""Headers of video and sound, turned into plain values. Imported in worker processes only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from statistics import median
from typing import Any

import av
import av.logging
from av.audio.stream import AudioStream
from av.codec import CodecContext
from av.container import InputContainer
from av.stream import AttachmentStream, Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from haulier.errors import MediaTooDemanding, UnreadableMedia, UnsupportedMedia
from haulier.media.containers import opened
from haulier.media.mp4_boxes import index_is_first
from haulier.media.packet_timing import Timing, frame_intervals_s, read_timing

# A header that says more is not believed.
_MOST_PLAUSIBLE_S = 366 * 86_400
_MOST_PLAUSIBLE_FPS = 10_000
# 16K video still passes.
_MOST_PIXELS = 16_384 * 8_704
# Intervals are written in ticks, and cameras' clocks waver.
_WAVERING = 0.1
_WAVERING_TICKS = 1.5
# A frame that was lost now and then, or the seam of two fragments.
_HICCUPS = 0.02
_FEW_HICCUPS = 2
_GUESS = "Estimating duration from bitrate"
_ROTATION = re.compile(r"^ {6}Display Matrix: rotation of (-?[\d.]+) degrees$", re.MULTILINE)
_DOLBY = re.compile(r"^ {6}DOVI configuration record:", re.MULTILINE)
_DOLBY_TAGS = {"dvh1", "dvhe", "dvav", "dva1", "dav1"}
_HDR_TRANSFERS = {16: "hdr10", 18: "hlg"}
_STORED_BITS = re.compile(r"^.*\((\d+) bit\)")
_LOSSLESS = {"flac", "alac", "wavpack", "tta", "ape", "truehd", "tak"}
_CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2": "mp4", "matroska,webm": "matroska"}
_MOST_TAGS = 100
_MOST_TAG_CHARS = 1000
_MOST_CHAPTERS = 1000


def describe(path: str, *, exact: bool) -> dict[str, Any]:
    """Return the fields of `probe.MediaProbe` but the file's size.

    Raises:
        UnreadableMedia: the file is damaged, or of no known kind.
        UnsupportedMedia: there is neither video nor sound in it.
        MediaTooDemanding: it claims absurdly many pixels or streams.
    """
    # Nowhere else does PyAV tell that a duration is a guess, or how a picture is turned.
    av.logging.set_level(av.logging.INFO)
    try:
        with av.logging.Capture() as log, opened(path) as container:
            is_guess = any(message.startswith(_GUESS) for _, _, message in log)
            dump: str = container.dumps_format()  # type: ignore[attr-defined]  # not in its stubs
            av.logging.set_level(None)
            return _describe(container, path, dump, is_guess=is_guess, exact=exact)
    finally:
        av.logging.set_level(None)


def main_video(container: InputContainer) -> VideoStream | None:
    """Return the video that a player would show, if any; a cover picture is none."""
    best = container.streams.best("video")
    if not isinstance(best, VideoStream) or _is_cover(best):
        return None
    # Without a size nothing of it can be shown: it is damaged, or begins behind what was read.
    return best if best.codec_context.width and best.codec_context.height else None


def _describe(
    container: InputContainer, path: str, dump: str, *, is_guess: bool, exact: bool
) -> dict[str, Any]:
    name = os.path.basename(path)
    video, audio = main_video(container), container.streams.audio
    if video is None and not audio:
        raise UnsupportedMedia(f"{name} has neither video nor sound")
    if any(stream.codec_context is None for stream in (video, *audio) if stream is not None):
        raise UnsupportedMedia(f"{name} is encoded in a way that can't be read")
    if video is not None:
        check_pixels(video, name)
    told = {
        "container": _container_name(container),
        "video": video and _video(container, video, _of_stream(dump, video)),
        "audio": [_audio(stream, _of_stream(dump, stream)) for stream in audio],
        "subtitles": [_subtitle(stream) for stream in container.streams.subtitles],
        "attachments": sum(isinstance(stream, AttachmentStream) for stream in container.streams),
        "cover_art": any(_is_cover(stream) for stream in container.streams.video),
        "faststart": index_is_first(path) if "mp4" in container.format.name else None,
        "chapters": _chapters(container),
        # Ogg keeps them in the stream.
        "tags": _tags(container.metadata) or (_tags(audio[0].metadata) if video is None else {}),
    }
    duration_s = (container.duration or 0) / av.time_base
    if 0 < duration_s <= _MOST_PLAUSIBLE_S and not (is_guess and exact):
        return told | {"duration_s": duration_s, "duration_estimated": is_guess}
    return told | _by_packets(path, told)


def _by_packets(path: str, told: dict[str, Any]) -> dict[str, Any]:
    """Return what is learned by reading all of the file."""
    with opened(path) as container:
        video = main_video(container)
        streams: list[VideoStream | AudioStream] = [*container.streams.audio]
        if video is not None:
            streams.append(video)
        timings = read_timing(container, streams)
        duration_s = _whole_s(timings.values())
        is_guess = duration_s == 0
        if is_guess and video is not None and video.guessed_rate:
            # Bare video has no times at all.
            duration_s = float(timings[video.index].packets / video.guessed_rate)
        audio = [
            each | {"bit_rate": timings[stream.index].bit_rate or each["bit_rate"]}
            for each, stream in zip(told["audio"], container.streams.audio, strict=True)
        ]
    if not 0 <= duration_s <= _MOST_PLAUSIBLE_S:
        raise UnreadableMedia(f"{os.path.basename(path)} claims to last {duration_s:.3g} s")
    return {"duration_s": duration_s or None, "duration_estimated": is_guess, "audio": audio}


def _whole_s(timings: Iterable[Timing]) -> float:
    told = [timing for timing in timings if timing.start_s is not None]
    starts = [timing.start_s or 0.0 for timing in told]
    return max(timing.end_s for timing in told) - min(starts) if told else 0.0


def _video(container: InputContainer, stream: VideoStream, dump: str) -> dict[str, Any]:
    context = stream.codec_context
    shape = stream.sample_aspect_ratio or Fraction(1)
    found = _ROTATION.search(dump)
    # FFmpeg counts against the clock.
    rotation = round(-float(found[1]) / 90) * 90 % 360 if found else 0
    shown = shown_size(context.width, context.height, shape, rotation)
    intervals_s = frame_intervals_s(container, stream)
    return {
        **_common(stream),
        "pixel_format": context.pix_fmt,
        "bit_depth": max((each.bits for each in context.format.components), default=None)
        if context.format
        else None,
        "width": shown[0],
        "height": shown[1],
        "coded_width": context.width,
        "coded_height": context.height,
        "rotation": rotation,
        "sample_aspect_ratio": float(shape),
        "fps": _rate(stream),
        "fps_min": 1 / max(intervals_s) if intervals_s else None,
        "fps_max": 1 / min(intervals_s) if intervals_s else None,
        "variable_frame_rate": _varies(intervals_s, float(stream.time_base or 0)),
        "hdr": _hdr(stream, dump),
    }


def check_pixels(stream: VideoStream, name: str) -> None:
    """Raise MediaTooDemanding where a frame has absurdly many pixels."""
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > _MOST_PIXELS:
        raise MediaTooDemanding(f"{name} claims frames of {width} x {height} pixels")


def shown_size(width: int, height: int, shape: Fraction, rotation: int) -> tuple[int, int]:
    """Return width and height in pixels of a frame as a player shows it."""
    wide = max(1, round(width * shape))
    return (height, wide) if rotation % 180 else (wide, height)


def _varies(intervals_s: list[float], tick_s: float) -> bool:
    if not intervals_s:
        return False
    usual_s = median(intervals_s)
    wavering_s = max(usual_s * _WAVERING, tick_s * _WAVERING_TICKS)
    odd = sum(abs(interval_s - usual_s) > wavering_s for interval_s in intervals_s)
    return odd > max(_FEW_HICCUPS, len(intervals_s) * _HICCUPS)


def _rate(stream: VideoStream) -> float | None:
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate and rate <= _MOST_PLAUSIBLE_FPS else None


def _hdr(stream: VideoStream, dump: str) -> str:
    if _DOLBY.search(dump) or stream.codec_context.codec_tag in _DOLBY_TAGS:
        return "dolby_vision"
    return _HDR_TRANSFERS.get(stream.codec_context.color_trc, "none")


def _audio(stream: AudioStream, dump: str) -> dict[str, Any]:
    codec = stream.codec_context.codec.canonical_name
    keeps_samples = codec in _LOSSLESS or codec.startswith("pcm_")
    # What is stored may have fewer bits than what it is decoded to.
    stored = _STORED_BITS.search(dump)
    bits = int(stored[1]) if stored else stream.codec_context.format.bits
    return {
        **_common(stream),
        "channels": stream.codec_context.channels or None,
        "layout": stream.codec_context.layout.name if stream.codec_context.channels else None,
        "sample_rate": stream.codec_context.sample_rate or None,
        "bits_per_sample": bits if keeps_samples else None,
    }


def _common(stream: VideoStream | AudioStream) -> dict[str, Any]:
    tags = _tags(stream.metadata)
    return {
        "codec": stream.codec_context.codec.canonical_name,
        "profile": stream.profile,
        "bit_rate": stream.codec_context.bit_rate or _written_rate(tags),
        **_labels(tags),
    }


def _labels(tags: Mapping[str, str]) -> dict[str, str | None]:
    language = tags.get("language")
    return {"language": None if language == "und" else language, "title": tags.get("title")}


def _written_rate(tags: Mapping[str, str]) -> int | None:
    # Matroska's muxers write it as a tag, some with a language behind.
    written = [value for key, value in tags.items() if key == "bps" or key.startswith("bps-")]
    return int(written[0]) if written and written[0].isdecimal() else None


def _of_stream(dump: str, stream: Stream) -> str:
    """Return what the dump says of that stream."""
    parts = re.split(r"^  Stream #0:(\d+)", dump, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(str(stream.index), "")


def _is_cover(stream: Stream) -> bool:
    return Disposition.attached_pic in stream.disposition


def _subtitle(stream: SubtitleStream) -> dict[str, Any]:
    context: CodecContext | None = stream.codec_context
    return {"codec": context and context.codec.canonical_name, **_labels(_tags(stream.metadata))}


def _container_name(container: InputContainer) -> str:
    return _CONTAINERS.get(container.format.name, container.format.name)


def _chapters(container: InputContainer) -> list[dict[str, Any]]:
    return [
        {
            "start_s": float(each["start"] * each["time_base"]),
            "end_s": float(each["end"] * each["time_base"]),
            "title": _tags(each["metadata"]).get("title"),
        }
        for each in container.chapters()[:_MOST_CHAPTERS]
        if each["time_base"]
    ]


def _tags(metadata: Mapping[str, str]) -> dict[str, str]:
    pairs = list(metadata.items())[:_MOST_TAGS]
    return {key.lower()[:_MOST_TAG_CHARS]: value[:_MOST_TAG_CHARS] for key, value in pairs}
