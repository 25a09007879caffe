"""Sound decoded from its beginning to its end: peaks over time, loudness, the cover picture.

Imported in worker processes only.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from haulier.errors import UnreadableMedia, UnsupportedMedia
from haulier.media.containers import opened

_BLOCK_SAMPLES = 256
# EBU R128 measures nothing below this.
_SILENCE_LUFS = -70.0

Levels = npt.NDArray[np.float32]


@dataclass(slots=True)
class Peaks:
    """The lowest and highest sample, and the sum of squares, of blocks of 256 samples."""

    sample_rate: int = 0
    samples: int = 0
    lows: list[Levels] = field(default_factory=list)
    highs: list[Levels] = field(default_factory=list)
    squares: list[Levels] = field(default_factory=list)

    def add(self, channels: Levels) -> None:
        """Take the next samples of all channels, one row each."""
        count = channels.shape[1]
        if not count:
            return
        # Blocks go on from where the frame before ended.
        is_partial = self.samples % _BLOCK_SAMPLES > 0
        starts = np.arange(-(self.samples % _BLOCK_SAMPLES), count, _BLOCK_SAMPLES).clip(0)
        for kept, join, levels in (
            (self.lows, np.minimum, channels.min(0)),
            (self.highs, np.maximum, channels.max(0)),
            (self.squares, np.add, (channels**2).mean(0)),
        ):
            blocks = join.reduceat(levels, starts)
            if is_partial:
                kept[-1][-1] = join(kept[-1][-1], blocks[0])
                blocks = blocks[1:]
            if len(blocks):
                kept.append(blocks)
        self.samples += count

    def at(self, points: int) -> tuple[Levels, Levels, Levels]:
        """Return lows, highs and the root of the mean square at evenly spaced points."""
        lows, highs, squares = (
            np.concatenate(each) for each in (self.lows, self.highs, self.squares)
        )
        edges = np.linspace(0, len(lows), points + 1)
        starts = np.minimum(edges[:-1].astype(int), len(lows) - 1)
        ends = np.maximum(np.ceil(edges[1:]).astype(int), starts + 1)
        spans = list(zip(starts, ends, strict=True))
        return (
            np.array([lows[a:b].min() for a, b in spans]),
            np.array([highs[a:b].max() for a, b in spans]),
            np.sqrt([squares[a:b].mean() / _BLOCK_SAMPLES for a, b in spans]),
        )


def read_peaks(path: str) -> Peaks:
    """Decode the main sound of a file and return its peaks."""
    peaks = Peaks()
    with opened_sound(path) as (container, stream):
        resampler = av.AudioResampler(format="fltp")
        for frame in _decoded(container, stream):
            for floats in resampler.resample(frame):
                peaks.sample_rate = floats.sample_rate
                samples = floats.to_ndarray().astype(np.float32, copy=False)
                peaks.add(np.nan_to_num(samples, posinf=1.0, neginf=-1.0))
    if not peaks.samples:
        raise UnreadableMedia(f"{os.path.basename(path)}: none of its sound can be decoded")
    return peaks


def read_loudness(path: str) -> dict[str, float | None]:
    """Decode the main sound of a file and return the fields of `audio.Loudness`."""
    told: dict[str, str] = {}
    with opened_sound(path) as (container, stream):
        graph = av.filter.Graph()
        source = graph.add_abuffer(template=stream)
        meter = graph.add("ebur128", "peak=true:metadata=1:framelog=quiet")
        sink = graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(sink)
        graph.configure()
        for frame in _decoded(container, stream):
            graph.push(frame)
            told |= _last_told(graph)
        graph.push(None)
        told |= _last_told(graph)
    if "lavfi.r128.I" not in told:
        raise UnreadableMedia(
            f"{os.path.basename(path)}: too little of its sound can be decoded to measure it"
        )
    integrated_lufs, peak = float(told["lavfi.r128.I"]), float(told["lavfi.r128.true_peak"])
    is_silent = integrated_lufs <= _SILENCE_LUFS
    return {
        "integrated_lufs": None if is_silent else round(integrated_lufs, 2),
        "range_lu": None if is_silent else round(float(told["lavfi.r128.LRA"]), 2),
        "true_peak_dbtp": round(20 * math.log10(peak), 1) if peak > 0 else None,
    }


def _last_told(graph: av.filter.Graph) -> dict[str, str]:
    """Return what the meter wrote on the frames that are ready; the last counts."""
    told: dict[str, str] = {}
    with suppress(av.error.BlockingIOError, av.error.EOFError):
        while True:
            frame = graph.pull()
            told |= frame.metadata
    return told


def read_cover(path: str) -> bytes:
    """Return the cover picture of a file, as it is stored.

    Raises:
        UnsupportedMedia: there is none.
    """
    with opened(path) as container:
        for stream in container.streams.video:
            if Disposition.attached_pic in stream.disposition:
                return next(bytes(packet) for packet in container.demux(stream) if packet.size)
    raise UnsupportedMedia(
        f"{os.path.basename(path)} has no cover picture", hint="Make a waveform of it."
    )


@contextmanager
def opened_sound(path: str) -> Iterator[tuple[InputContainer, AudioStream]]:
    """Open a file of which the main sound is decoded."""
    name = os.path.basename(path)
    with opened(path) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            raise UnsupportedMedia(f"{name} has no sound")
        if stream.codec_context is None or not stream.codec_context.sample_rate:
            raise UnsupportedMedia(f"the sound of {name} is encoded in a way that can't be read")
        yield container, stream


def _decoded(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    for packet in container.demux(stream):
        # A damaged packet costs its own sound and no other.
        with suppress(av.error.InvalidDataError):
            yield from packet.decode()
