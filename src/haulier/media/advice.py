"""Whether a recording should be encoded before it travels, and what that would bring.

What the encoder makes depends on the sound: silence takes a tenth of what music takes. So the
estimates come from a real encode of pieces of the very file, as does the time.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from haulier.core.bitrate import AudioCodec, Container, SoundPlan, overhead_bytes, packets_in
from haulier.errors import UnreadableMedia, UnsupportedMedia
from haulier.media.encoders import audio_arguments, container_arguments
from haulier.media.ffmpeg import find_ffmpeg, input_of, run_ffmpeg
from haulier.media.image_output import new_file
from haulier.media.isolation import Workers
from haulier.media.probe import AudioStream, MediaProbe, probe_media

LEAST_BYTES = 50 << 20
_MONO_BPS, _STEREO_BPS = 64_000, 128_000
_PIECES, _PIECE_S = 12, 5.0
_STARTING_S = 0.2
_LEAST_TIMEOUT_S, _TIMEOUT_PER_S = 120, 1.0


class AudioFormat(StrEnum):
    """A file of sound, as people call it."""

    WAV = "wav"
    FLAC = "flac"
    AIFF = "aiff"
    MP3 = "mp3"
    AAC = "aac"
    M4A = "m4a"
    OPUS = "opus"
    OGG = "ogg"


_BY_CONTAINER = {
    "wav": AudioFormat.WAV, "w64": AudioFormat.WAV, "aiff": AudioFormat.AIFF,
    "flac": AudioFormat.FLAC, "mp3": AudioFormat.MP3, "aac": AudioFormat.AAC,
    "mp4": AudioFormat.M4A, "ogg": AudioFormat.OGG,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioAnalysis:
    """What a recording is, by its content.

    Attributes:
        codec: as FFmpeg names it.
        is_compressed: it is not plain samples.
    """

    path: Path
    format: AudioFormat
    codec: str
    size_bytes: int
    duration_s: float
    channels: int
    sample_rate: int
    is_compressed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What to do with a recording; sizes are bytes.

    Attributes:
        recommended_format: the current one when it should stay as it is; `reason` says why.
        compression_ratio: new size by old: 0.1 is a tenth.
        estimated_time_minutes: that the encoder would take here.
        bandwidth_saved: bytes that need not travel.
    """

    current_format: AudioFormat
    current_size: int
    recommended_format: AudioFormat
    estimated_size: int
    compression_ratio: float
    estimated_time_minutes: float
    bandwidth_saved: int
    reason: str


class CompressionStrategy:
    """Recommends Opus for large recordings that are not compressed.

    Args:
        workers: where files are looked into.
        least_bytes: what is smaller is left as it is.
        ffmpeg: the program; looked for when it is first needed.
        clock: seconds, for what encoding takes.
    """

    def __init__(
        self,
        *,
        workers: Workers,
        least_bytes: int = LEAST_BYTES,
        ffmpeg: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workers = workers
        self._least_bytes = least_bytes
        self._ffmpeg = ffmpeg
        self._clock = clock

    async def analyze_file(self, path: Path) -> AudioAnalysis:
        """Tell what a recording is.

        Raises:
            UnsupportedMedia: it is no WAV, FLAC, AIFF, MP3, AAC, M4A, Opus or Ogg.
            UnreadableMedia: it is damaged, or does not tell how long it lasts.
            MediaTooDemanding, TargetMissing, TargetUnreadable: as `probe_media`.
        """
        probe = await probe_media(path, workers=self._workers, exact=True)
        if probe.video is not None or not probe.audio or probe.container not in _BY_CONTAINER:
            raise UnsupportedMedia(
                f"{path.name} is no recording: {probe.container} with "
                f"{'video' if probe.video else 'sound'}",
                hint=f"Give one of {', '.join(AudioFormat)}.",
            )
        if not probe.duration_s:
            raise UnreadableMedia(f"{path.name} does not tell how long it lasts")
        sound = probe.audio[0]
        return AudioAnalysis(
            path=path,
            format=_format_of(probe, sound),
            codec=sound.codec,
            size_bytes=probe.size_bytes,
            duration_s=probe.duration_s,
            channels=sound.channels or 2,
            sample_rate=sound.sample_rate or 0,
            is_compressed=not sound.codec.startswith("pcm_"),
        )

    async def recommend_compression(self, analysis: AudioAnalysis) -> Recommendation:
        """Tell whether a recording should become Opus, and what that would bring.

        Raises:
            EncoderFailed, StorageFull, MediaTooDemanding, MissingProgram: pieces can't be encoded.
        """
        if analysis.is_compressed:
            return _leave(analysis, f"{analysis.format} is compressed already")
        if analysis.size_bytes < self._least_bytes:
            return _leave(analysis, f"it is smaller than {self._least_bytes} bytes")
        size_bytes, took_s = await self._estimate(analysis)
        return Recommendation(
            current_format=analysis.format,
            current_size=analysis.size_bytes,
            recommended_format=AudioFormat.OPUS,
            estimated_size=size_bytes,
            compression_ratio=size_bytes / analysis.size_bytes,
            estimated_time_minutes=took_s / 60,
            bandwidth_saved=max(analysis.size_bytes - size_bytes, 0),
            reason="plain samples take many times the bytes of Opus",
        )

    async def get_compression_ratio(self, path: Path) -> float:
        """Return new size by old, were the recommendation followed; 1.0 when it should stay.

        Raises:
            MediaError: as `analyze_file` and `recommend_compression`.
        """
        recommended = await self.recommend_compression(await self.analyze_file(path))
        return recommended.compression_ratio

    async def encode(self, analysis: AudioAnalysis, out: Path) -> int:
        """Write a recording as Opus, with what the estimates are made for; returns its bytes.

        Raises:
            EncoderFailed, StorageFull, MediaTooDemanding, MissingProgram: it can't be encoded.
            UsageError: `out` is the recording itself.
        """
        async with new_file(out, source=analysis.path) as file:
            arguments = [*_encoding(analysis), str(file.temporary.absolute())]
            await self._run(analysis, arguments, out.parent)
        return out.stat().st_size

    async def _estimate(self, analysis: AudioAnalysis) -> tuple[int, float]:
        """Return bytes and seconds that all of it would take, by those that pieces take."""
        sampled_s = min(_PIECES * _PIECE_S, analysis.duration_s)
        period_s = analysis.duration_s / _PIECES
        pieces = f"aselect='lt(mod(t,{period_s:.3f}),{_PIECE_S})',asetpts=N/SR/TB,"
        with tempfile.TemporaryDirectory(prefix="haulier-pieces-") as scratch:
            # How long ffmpeg takes to start must not be multiplied.
            starting_s = await self._run(
                analysis, [*_encoding(analysis), "-t", str(_STARTING_S), "none"], Path(scratch)
            )
            took_s = await self._run(
                analysis, [*_encoding(analysis, first=pieces), "pieces"], Path(scratch)
            )
            size_bytes = os.stat(os.path.join(scratch, "pieces")).st_size
        part = overhead_bytes(Container.OGG, packets=packets_in(AudioCodec.OPUS, sampled_s))
        whole = overhead_bytes(
            Container.OGG, packets=packets_in(AudioCodec.OPUS, analysis.duration_s)
        )
        scale = analysis.duration_s / sampled_s
        encoding_s = max(took_s - starting_s, 0) * scale
        return round(max(size_bytes - part, 0) * scale + whole), starting_s + encoding_s

    async def _run(self, analysis: AudioAnalysis, arguments: list[str], cwd: Path) -> float:
        """Run ffmpeg; returns the seconds it took."""
        began = self._clock()
        await run_ffmpeg(
            self._ffmpeg or find_ffmpeg(),
            arguments,
            name=analysis.path.name,
            cwd=cwd,
            timeout_s=_LEAST_TIMEOUT_S + _TIMEOUT_PER_S * analysis.duration_s,
        )
        return self._clock() - began


def _format_of(probe: MediaProbe, sound: AudioStream) -> AudioFormat:
    if probe.container == "ogg":
        return {"opus": AudioFormat.OPUS, "flac": AudioFormat.FLAC}.get(
            sound.codec, AudioFormat.OGG
        )
    return _BY_CONTAINER[probe.container]


def _encoding(analysis: AudioAnalysis, *, first: str = "") -> list[str]:
    """Return the arguments but for the result's name; the filters `first` go before the others."""
    channels = min(analysis.channels, 2)
    plan = SoundPlan(audio_bps=_MONO_BPS if channels == 1 else _STEREO_BPS, channels=channels)
    sound = audio_arguments(AudioCodec.OPUS, plan, first=first)
    return [
        *input_of(analysis.path), "-map", "0:a:0", "-vn", "-sn", "-dn",
        *sound, *container_arguments(Container.OGG),
    ]  # fmt: skip


def _leave(analysis: AudioAnalysis, reason: str) -> Recommendation:
    return Recommendation(
        current_format=analysis.format,
        current_size=analysis.size_bytes,
        recommended_format=analysis.format,
        estimated_size=analysis.size_bytes,
        compression_ratio=1.0,
        estimated_time_minutes=0.0,
        bandwidth_saved=0,
        reason=reason,
    )
