"""Frames at chosen moments of a video. Imported in worker processes only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from haulier.errors import UnreadableMedia, UnsupportedMedia
from haulier.media.containers import opened
from haulier.media.probe_reading import check_pixels, main_video

# Containers without an index may land behind the moment that was asked for.
_STEPS_BACK_S = (0.0, 3.0, 30.0)
# Some videos have no key frame but their first.
_PACKETS_TO_A_KEY_FRAME = 600
_THREADS = 2
_ROUNDING_S = 0.001


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame, and the second of the video at which it appears."""

    frame: VideoFrame
    at_s: float


class Frames:
    """The frames of an open video by the moment at which they are shown; 0 is its beginning."""

    def __init__(self, container: InputContainer, stream: VideoStream, name: str) -> None:
        self._container = container
        self._name = name
        self.stream = stream
        self._tick_s = float(stream.time_base or 1)
        self._begin_s = (stream.start_time or 0) * self._tick_s
        self.duration_s = max(0.0, (container.duration or 0) / av.time_base)

    def key_frame_near(self, at_s: float) -> Moment | None:
        """Return the key frame before the moment; None where there is none for long.

        It takes a fraction of the time of `at`.
        """
        self._seek(at_s)
        context = self.stream.codec_context
        for packet in islice(self._container.demux(self.stream), _PACKETS_TO_A_KEY_FRAME):
            if not packet.is_keyframe or not packet.size:
                continue
            with suppress(av.error.InvalidDataError):
                if frames := [*context.decode(packet), *context.decode(None)]:
                    return self._moment(frames[0], 0)
        return None

    def at(self, at_s: float) -> Moment:
        """Return the frame that is shown at the moment; the last where the video ends before.

        Raises:
            UnreadableMedia: nothing can be decoded.
        """
        for back_s in _STEPS_BACK_S:
            found = self._shown_at(at_s, from_s=at_s - back_s)
            if found is not None and found.at_s <= at_s + _ROUNDING_S:
                return found
        found = self._shown_at(at_s, from_s=0)
        if found is None:
            raise UnreadableMedia(f"{self._name}: none of its pictures can be decoded")
        return found

    def _shown_at(self, at_s: float, *, from_s: float) -> Moment | None:
        shown = None
        for moment in self._decoded(from_s):
            if moment.at_s > at_s + _ROUNDING_S:
                return shown or moment
            shown = moment
        return shown

    def _decoded(self, from_s: float) -> Iterator[Moment]:
        self._seek(from_s)
        count = 0
        for packet in self._container.demux(self.stream):
            with suppress(av.error.InvalidDataError):
                for frame in packet.decode():
                    yield self._moment(frame, count)
                    count += 1

    def _seek(self, at_s: float) -> None:
        # A bare stream tells no duration and can't be sought in: it is read on from where it is.
        if self.duration_s:
            ticks = round((max(0.0, at_s) + self._begin_s) / self._tick_s)
            self._container.seek(ticks, stream=self.stream)

    def _moment(self, frame: VideoFrame, count: int) -> Moment:
        # Not `frame.time`: what comes at the end of a stream knows no ticks. Bare streams have no
        # times at all.
        if frame.pts is None:
            return Moment(frame, count / float(self.stream.guessed_rate or 25))
        return Moment(frame, max(0.0, frame.pts * self._tick_s - self._begin_s))


@contextmanager
def opened_frames(path: str) -> Iterator[Frames]:
    """Open a video to take frames out of it.

    Raises:
        UnreadableMedia: it is damaged, or of no known kind.
        UnsupportedMedia: there is no video in it that can be decoded.
        MediaTooDemanding: it claims absurdly many pixels or streams.
    """
    name = os.path.basename(path)
    with opened(path) as container:
        stream = main_video(container)
        if stream is None:
            raise UnsupportedMedia(f"{name} has no video", hint="Make a waveform of its sound.")
        if stream.codec_context is None:
            raise UnsupportedMedia(f"{name} is encoded in a way that can't be read")
        check_pixels(stream, name)
        stream.codec_context.thread_type = "AUTO"
        stream.codec_context.thread_count = _THREADS
        yield Frames(container, stream, name)
