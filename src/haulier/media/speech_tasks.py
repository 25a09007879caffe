"""Speech to text, the part that runs in worker processes.

A file is decoded once, to bare sound on disk; a recogniser takes it from there, piece by piece, so
memory does not grow with the length. Libraries are imported inside the tasks: the parent imports
this module to name them.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO

from haulier.errors import MediaTooDemanding, StorageFull, UnreadableMedia, UnsupportedMedia

if TYPE_CHECKING:
    import av
    import pocketsphinx

SAMPLES_PER_S = 16_000
BYTES_PER_S = SAMPLES_PER_S * 2
# Containers that hold sound; none that could name other files.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mp3,wav,w64,ogg,flac,aac,mpegts,mpeg,avi,amr,aiff,caf,"
    "asf,flv"
)
_LONGEST_UTTERANCE_S = 30
# What the voice detector looks at before it decides; a new window starts that much earlier.
_LOOKBACK_S = 0.3
_MARGIN_S = 0.5
_NOISE = 20


def decode(*, path: str, label: str, out: str, max_duration_s: float) -> dict[str, Any]:
    """Write a file's first sound track to `out`: 16 kHz, one channel, 16-bit, no header.

    Args:
        path: the file.
        label: what messages call it.
        out: written; private to the caller.
        max_duration_s: longest sound that is taken.

    Returns:
        Nothing: the size of `out` tells all.

    Raises:
        UnreadableMedia: it is damaged, or no file of sound.
        UnsupportedMedia: it has no sound.
        MediaTooDemanding: it is longer than `max_duration_s`.
        StorageFull: no space is left for the sound.
    """
    import av

    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
    limit_bytes = int(max_duration_s * BYTES_PER_S)
    size_bytes = 0
    try:
        with av.open(path, options=options) as container, open(out, "wb") as stream:
            if not container.streams.audio:
                raise UnsupportedMedia(f"{label} has no sound")
            for sound in _samples(container):
                size_bytes += len(sound)
                if size_bytes > limit_bytes:
                    raise MediaTooDemanding(
                        f"{label} is longer than the {max_duration_s:g} s that are transcribed"
                    )
                stream.write(sound)
    except av.FFmpegError as error:
        # Its own words would show the path.
        raise UnreadableMedia(f"{label} can't be decoded: {error.strerror}") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(f"no space is left to decode {label}") from error
        raise
    return {}


def _samples(container: av.container.InputContainer) -> Iterator[bytes]:
    import av

    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLES_PER_S)
    for frame in container.decode(container.streams.audio[0]):
        for resampled in resampler.resample(frame):
            yield resampled.to_ndarray().tobytes()
    for resampled in resampler.resample(None):
        yield resampled.to_ndarray().tobytes()


def recognise(*, sound: str, start_bytes: int, window_bytes: int) -> dict[str, Any]:
    """Recognise English in a window of decoded sound, with pocketsphinx.

    The window ends at the first pause behind `window_bytes`.

    Args:
        sound: as `decode` wrote it.
        start_bytes: where to begin.
        window_bytes: how much to take; far more than a second.

    Returns:
        `segments`, a list of start and end in seconds, text and confidence; and `next_bytes`, where
        the next window begins.
    """
    import pocketsphinx

    # The mean of the whole utterance, not of what came before.
    decoder = pocketsphinx.Decoder(samprate=SAMPLES_PER_S, cmn="batch", loglevel="FATAL")
    segments = []
    with open(sound, "rb") as stream:
        stream.seek(start_bytes)
        for position, utterance in _utterances(stream, start_bytes + window_bytes):
            if text := _recognise_one(decoder, utterance):
                start_s = position / BYTES_PER_S
                end_s = start_s + len(utterance) / BYTES_PER_S
                segments.append((start_s, end_s, text, _confidence(decoder)))
        next_bytes = stream.tell()
        if stream.read(1):
            next_bytes -= _in_bytes(_LOOKBACK_S)
        return {"segments": segments, "next_bytes": next_bytes}


def _utterances(stream: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield position and sound of what lies between pauses, cut where there is none for long."""
    import pocketsphinx

    start = stream.tell()
    endpointer = pocketsphinx.Endpointer(sample_rate=SAMPLES_PER_S, window=_LOOKBACK_S)
    position, utterance = start, bytearray()
    is_last = False
    while not is_last and (endpointer.in_speech or stream.tell() < end):
        frame = stream.read(endpointer.frame_bytes)
        is_last = len(frame) < endpointer.frame_bytes
        if is_last:
            # It takes no empty frame.
            speech = endpointer.end_stream(frame or bytes(2)) if endpointer.in_speech else None
        else:
            speech = endpointer.process(frame)
        if not speech:
            continue
        if not utterance:
            position = max(position, start + _in_bytes(endpointer.speech_start))
        utterance += speech
        if not endpointer.in_speech or len(utterance) >= _LONGEST_UTTERANCE_S * BYTES_PER_S:
            yield position, bytes(utterance)
            position += len(utterance)
            utterance.clear()
    if utterance:
        yield position, bytes(utterance)


def _in_bytes(seconds: float) -> int:
    return round(seconds * SAMPLES_PER_S) * 2


def _recognise_one(decoder: pocketsphinx.Decoder, utterance: bytes) -> str:
    decoder.start_utt()
    decoder.process_raw(_in_room(utterance), full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return found.hypstr if found else ""


def _in_room(utterance: bytes) -> bytes:
    """Put faint noise around and under the sound.

    The recogniser was taught by recordings of rooms; sound that is cut out of absolute silence,
    as synthetic speech and gated microphones give it, it takes for something else.
    """
    import numpy as np

    samples = np.frombuffer(utterance, dtype="<i2").astype(np.int32)
    padded = np.pad(samples, round(_MARGIN_S * SAMPLES_PER_S))
    # The same noise each time, so the same text.
    padded += np.random.default_rng(0).integers(-_NOISE, _NOISE + 1, padded.size, dtype=np.int32)
    return padded.clip(-32768, 32767).astype("<i2").tobytes()


def _confidence(decoder: pocketsphinx.Decoder) -> float:
    """Return the mean of the words' probabilities, weighed by their length in time."""
    weighed = total = 0.0
    for word in decoder.seg():
        if word.word[0] not in "<[+":
            frames = word.end_frame - word.start_frame + 1
            weighed += min(word.prob, 1.0) * frames
            total += frames
    return round(weighed / total, 3) if total else 0.0


def recognise_with_whisper(
    *, sound: str, model: str, is_faster: bool, language: str | None
) -> dict[str, Any]:
    """Recognise decoded sound with Whisper.

    Args:
        sound: as `decode` wrote it.
        model: the weights: a directory for faster-whisper, a file for openai-whisper.
        is_faster: which of the two.
        language: as ISO 639-1 names it; None: found out.

    Returns:
        `language` and `segments`, as `recognise`.
    """
    import numpy as np

    samples = np.fromfile(sound, dtype="<i2").astype(np.float32) / 32768
    run = _faster_whisper if is_faster else _openai_whisper
    return run(samples, model, language)


def _faster_whisper(samples: Any, model: str, language: str | None) -> dict[str, Any]:
    engine = import_module("faster_whisper").WhisperModel(model, local_files_only=True)
    found, info = engine.transcribe(samples, language=language, vad_filter=True)
    segments = [(one.start, one.end, one.text.strip(), _linear(one.avg_logprob)) for one in found]
    return {"language": info.language, "segments": segments}


def _openai_whisper(samples: Any, model: str, language: str | None) -> dict[str, Any]:
    engine = import_module("whisper").load_model(model)
    found = engine.transcribe(samples, language=language)
    segments = [
        (one["start"], one["end"], one["text"].strip(), _linear(one["avg_logprob"]))
        for one in found["segments"]
    ]
    return {"language": found["language"], "segments": segments}


def _linear(log_probability: float) -> float:
    return round(min(1.0, math.exp(log_probability)), 3)
