"""Files of video and sound, opened so that they can name no other file. For worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import av
import av.logging
from av.container import InputContainer

from haulier.errors import MediaTooDemanding, UnreadableMedia
from haulier.media.ffmpeg import INPUT_FORMATS

_MOST_STREAMS = 256
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": INPUT_FORMATS,
    # FFmpeg leaves out what is more; one beyond ours shows that there are too many.
    "max_streams": str(_MOST_STREAMS + 1),
}


# Stream analysis decodes some twenty frames to learn what one key frame tells.
_QUICK_OPTIONS = {**_OPTIONS, "skip_frame": "nokey"}


@contextmanager
def opened(path: str) -> Iterator[InputContainer]:
    """Open a file; FFmpeg's errors inside the block are told with the file's name.

    Raises:
        UnreadableMedia: it is damaged, or of no kind that is read.
        MediaTooDemanding: it has absurdly many streams.
    """
    name = os.path.basename(path)
    try:
        with _analysed(path) as container:
            if len(container.streams) > _MOST_STREAMS:
                raise MediaTooDemanding(f"{name} has more than {_MOST_STREAMS} streams")
            yield container
    except MemoryError:
        raise
    except av.FFmpegError as error:
        # Its own words would show the path.
        raise UnreadableMedia(f"{name} can't be read: {error.strerror}") from error


def _analysed(path: str) -> InputContainer:
    container = _open(path, _QUICK_OPTIONS)
    if all(stream.format is not None for stream in container.streams.video):
        return container
    # It begins between two key frames, or has none.
    container.close()
    return _open(path, _OPTIONS)


def _open(path: str, options: dict[str, str]) -> InputContainer:
    # Tags are seldom what they say they are encoded in.
    return av.open(path, options=options, metadata_errors="replace")
