"""When packets are to be shown: durations and frame intervals that no header tells.

Imported in worker processes only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

_INDEXED_PAIRS = 2000
_SAMPLED_FRAMES = 100
_SAMPLED_BYTES = 8 << 20
# Frames are stored out of order by no more than that; a later one may still fall in between.
_REORDERED = 16


@dataclass(slots=True)
class Timing:
    """What the packets of one stream add up to."""

    packets: int = 0
    size_bytes: int = 0
    start_s: float | None = None
    end_s: float = 0.0

    @property
    def bit_rate(self) -> int | None:
        """Bits per second; None where no packet says when it is played."""
        if self.start_s is None or self.end_s <= self.start_s:
            return None
        return round(self.size_bytes * 8 / (self.end_s - self.start_s))


def read_timing(
    container: InputContainer, streams: Sequence[VideoStream | AudioStream]
) -> dict[int, Timing]:
    """Read the file to its end; returns timings by the streams' indices."""
    timings = {stream.index: Timing() for stream in streams}
    for packet in container.demux(*streams):
        timing = timings[packet.stream_index]
        timing.packets += packet.size > 0
        timing.size_bytes += packet.size
        if packet.pts is None:
            continue
        start_s = float(packet.pts * packet.time_base)
        end_s = start_s + float((packet.duration or 0) * packet.time_base)
        timing.start_s = start_s if timing.start_s is None else min(timing.start_s, start_s)
        timing.end_s = max(timing.end_s, end_s)
    return timings


def frame_intervals_s(container: InputContainer, stream: VideoStream) -> list[float]:
    """Return seconds between neighbouring frames: from the index, else from the first packets.

    It reads a little of the file, which has to stand at its beginning.
    """
    pairs = _indexed_pairs(stream) or list(pairwise(_first_moments(container, stream)))
    tick_s = float(stream.time_base or 0)
    return [(after - before) * tick_s for before, after in pairs if after > before]


def _indexed_pairs(stream: VideoStream) -> list[tuple[int, int]]:
    entries = stream.index_entries
    # Most containers index key frames only.
    if not 2 < stream.frames <= len(entries):
        return []
    step = -(-len(entries) // _INDEXED_PAIRS)
    starts = range(0, len(entries) - 1, step)
    return [(entries[at].timestamp, entries[at + 1].timestamp) for at in starts]


def _first_moments(container: InputContainer, stream: VideoStream) -> list[int]:
    moments = []
    budget_bytes = _SAMPLED_BYTES
    for packet in container.demux():
        if packet.stream_index == stream.index and packet.pts is not None:
            moments.append(packet.pts)
        budget_bytes -= packet.size
        if budget_bytes < 0 or len(moments) == _SAMPLED_FRAMES:
            return sorted(moments)[:-_REORDERED]
    return sorted(moments)
