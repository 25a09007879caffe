"""Speech to text: what a transcriber is, the two that come with haulier, and how others plug in.

A plug-in announces a callable in the entry-point group `haulier.transcribers`; it is called with
the keyword `workers` and returns a `Transcriber`.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from haulier.errors import (
    ConfigurationError,
    HaulierError,
    MissingExtra,
    StorageFull,
    UsageError,
)
from haulier.media import speech_tasks
from haulier.media.image_output import source_size
from haulier.media.isolation import Workers

GROUP = "haulier.transcribers"
_WINDOW_S = 300
# Decoding is this much quicker than listening, recognising at worst that much slower.
_DECODING_SPEED = 20
_RECOGNISING_SPEED = 0.2
_LEAST_TIMEOUT_S = 60
_INSTALL = {
    "faster_whisper": "Install it with `pip install faster-whisper`.",
    "whisper": "Install it with `pip install openai-whisper`.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptSegment:
    """What was said between two pauses.

    Attributes:
        start_s, end_s: seconds from the beginning of the sound.
        text: the words.
        confidence: how sure the engine is, 0 to 1; None where it does not tell.
    """

    start_s: float
    end_s: float
    text: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What was said in a file.

    Attributes:
        text: all of it.
        language: as ISO 639-1 names it.
        segments: in order.
        engine: what recognised it.
    """

    text: str
    language: str
    segments: tuple[TranscriptSegment, ...]
    engine: str


class Transcriber(Protocol):
    """Turns speech into text."""

    async def transcribe(self, path: Path, *, language: str | None = None) -> Transcript:
        """Transcribe the first sound track of an audio or video file.

        Args:
            path: the file.
            language: spoken in it, as ISO 639-1 names it; None: found out, or the only one.

        Raises:
            UsageError: the engine does not know the language.
            MediaError: the file can't be read, has no sound, or is too long.
        """
        ...


class PocketsphinxTranscriber:
    """Recognises English with pocketsphinx, which carries its model: small, offline, imprecise.

    It is for finding words in recordings rather than for reading; Whisper is far better, and
    needs weights. It takes some 150 MB of a worker, and up to 32 KB of disk for each second.

    Args:
        workers: where it runs, 5 minutes of sound at a time.
        max_duration_s: longest sound.
        scratch: directory for the decoded sound; None: the system's.

    Raises:
        MissingExtra: pocketsphinx or PyAV is not installed.
    """

    def __init__(
        self, *, workers: Workers, max_duration_s: float = 4 * 3600, scratch: Path | None = None
    ) -> None:
        _require("pocketsphinx", "av")
        self._workers = workers
        self._max_duration_s = max_duration_s
        self._scratch = scratch

    async def transcribe(self, path: Path, *, language: str | None = None) -> Transcript:
        """Transcribe the first sound track of an audio or video file.

        Raises:
            UsageError: `language` is not English.
            TargetMissing: there is no such file.
            TargetUnreadable: it may not be read, or is no regular file.
            UnreadableMedia: it is damaged, or no file of sound.
            UnsupportedMedia: it has no sound.
            MediaTooDemanding: it is longer than allowed, or takes too long.
            StorageFull: no space is left for the decoded sound.
        """
        if _primary(language) not in {None, "en"}:
            raise UsageError(
                f"pocketsphinx understands English only, not {language!r}",
                hint="Install a Whisper and name its weights for other languages.",
            )
        segments: list[TranscriptSegment] = []
        async with _decoded(path, self._workers, self._max_duration_s, self._scratch) as sound:
            start_bytes, size_bytes = 0, os.path.getsize(sound)
            while start_bytes < size_bytes:
                found = await self._workers.run(
                    speech_tasks.recognise,
                    name=path.name,
                    timeout_s=_LEAST_TIMEOUT_S + _WINDOW_S / _RECOGNISING_SPEED,
                    sound=sound,
                    start_bytes=start_bytes,
                    window_bytes=_WINDOW_S * speech_tasks.BYTES_PER_S,
                )
                segments += _segments(found["segments"])
                start_bytes = max(int(found["next_bytes"]), start_bytes + speech_tasks.BYTES_PER_S)
        return _transcript(segments, language="en", engine="pocketsphinx")


class WhisperTranscriber:
    """Recognises speech in many languages with faster-whisper or openai-whisper.

    Neither is installed with haulier, nor are weights downloaded; it is tested with stand-ins for
    their Python interfaces, not with real weights. A run takes 2 MB of memory for
    each minute of sound beside the model; a crash or cancellation ends its process alone.

    Args:
        model: the weights: a directory for faster-whisper, a `.pt` file for openai-whisper.
        workers: where it runs; a pool of its own, whose `memory_bytes` are several times the size
            of the weights.
        max_duration_s: longest sound.
        timeout_s: seconds that one file may take.
        scratch: directory for the decoded sound; None: the system's.

    Raises:
        ConfigurationError: there are no such weights.
        MissingExtra: the Whisper for these weights, or PyAV, is not installed.
    """

    def __init__(
        self,
        model: Path,
        *,
        workers: Workers,
        max_duration_s: float = 4 * 3600,
        timeout_s: float = 12 * 3600,
        scratch: Path | None = None,
    ) -> None:
        if not model.exists():
            raise ConfigurationError(
                f"there are no weights {model.name}",
                hint="Name the directory or file that holds Whisper's weights.",
            )
        self._is_faster = model.is_dir()
        self._engine = "faster_whisper" if self._is_faster else "whisper"
        _require(self._engine, "av")
        self._model = model
        self._workers = workers
        self._max_duration_s = max_duration_s
        self._timeout_s = timeout_s
        self._scratch = scratch

    async def transcribe(self, path: Path, *, language: str | None = None) -> Transcript:
        """Transcribe the first sound track of an audio or video file.

        Raises:
            TargetMissing: there is no such file.
            TargetUnreadable: it may not be read, or is no regular file.
            UnreadableMedia: it is damaged or no file of sound; or Whisper failed.
            UnsupportedMedia: it has no sound.
            MediaTooDemanding: it is longer than allowed, or takes too much time or memory.
            StorageFull: no space is left for the decoded sound.
        """
        async with _decoded(path, self._workers, self._max_duration_s, self._scratch) as sound:
            found = await self._workers.run(
                speech_tasks.recognise_with_whisper,
                name=path.name,
                timeout_s=self._timeout_s,
                sound=sound,
                model=os.path.abspath(self._model),
                is_faster=self._is_faster,
                language=_primary(language),
            )
        segments = _segments(found["segments"])
        return _transcript(segments, language=str(found["language"]), engine=self._engine)


def find_transcriber(
    name: str | None = None, *, workers: Workers, whisper_model: Path | None = None
) -> Transcriber:
    """Return a transcriber by its name, or the best there is.

    Without a name that is Whisper when its weights are given, else the first plug-in by name, else
    pocketsphinx.

    Args:
        name: `pocketsphinx`, `whisper`, or what a plug-in calls itself.
        workers: where it runs; see each transcriber for what it needs.
        whisper_model: Whisper's weights.

    Raises:
        ConfigurationError: there is none of that name, or it can't be loaded; no weights.
        MissingExtra: its libraries are not installed.
    """
    plugins = {one.name: one for one in sorted(entry_points(group=GROUP))}
    if name is None:
        best = "whisper" if whisper_model is not None else "pocketsphinx"
        name = next(iter(plugins), best) if whisper_model is None else best
    if name == "whisper":
        if whisper_model is None:
            raise ConfigurationError(
                "Whisper has no weights", hint="Name the directory or file that holds them."
            )
        return WhisperTranscriber(whisper_model, workers=workers)
    if name == "pocketsphinx":
        return PocketsphinxTranscriber(workers=workers)
    if name not in plugins:
        known = ", ".join(["pocketsphinx", "whisper", *plugins])
        raise ConfigurationError(
            f"there is no transcriber {name!r}", hint=f"Take one of {known}, or install it."
        )
    return _load(plugins[name], workers)


def _load(plugin: EntryPoint, workers: Workers) -> Transcriber:
    try:
        factory: Callable[..., Transcriber] = plugin.load()
        return factory(workers=workers)
    except HaulierError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"the transcriber {plugin.name!r} can't be loaded: {error}",
            hint="Ask those who made it, or uninstall it.",
        ) from error


def _require(*modules: str) -> None:
    for module in modules:
        if find_spec(module) is None:
            raise MissingExtra(
                f"speech to text needs the library {module}, which is not installed",
                hint=_INSTALL.get(module, "Install it with `pip install 'haulier[media,speech]'`."),
            )


@asynccontextmanager
async def _decoded(
    path: Path, workers: Workers, max_duration_s: float, scratch: Path | None
) -> AsyncIterator[str]:
    """Yield the path of the decoded sound, which is gone afterwards."""
    source_size(path, max_bytes=sys.maxsize)
    try:
        directory = tempfile.TemporaryDirectory(prefix="haulier-sound-", dir=scratch)
    except OSError as error:
        raise StorageFull(
            f"there is no place for the sound of {path.name}: {error.strerror}"
        ) from error
    with directory:
        sound = os.path.join(directory.name, "sound")
        await workers.run(
            speech_tasks.decode,
            name=path.name,
            timeout_s=_LEAST_TIMEOUT_S + max_duration_s / _DECODING_SPEED,
            path=os.path.abspath(path),
            label=path.name,
            out=sound,
            max_duration_s=max_duration_s,
        )
        yield sound


def _segments(found: Iterable[Any]) -> list[TranscriptSegment]:
    return [
        TranscriptSegment(
            start_s=float(start_s), end_s=float(end_s), text=str(text), confidence=confidence
        )
        for start_s, end_s, text, confidence in found
    ]


def _transcript(segments: list[TranscriptSegment], *, language: str, engine: str) -> Transcript:
    text = " ".join(one.text for one in segments if one.text)
    return Transcript(text=text, language=language, segments=tuple(segments), engine=engine)


def _primary(language: str | None) -> str | None:
    return None if language is None else re.split("[-_]", language.lower())[0]
