"""What is done with a recording after its upload, step by step; plug-ins add steps of their own.

A plug-in announces in the entry-point group `haulier.recording_steps` an async function that takes
a `RecordingWork` and returns what it found, fit for JSON. It may be called again for the same
recording, and writes files into `directory` alone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from haulier.core.recordings import Recording
from haulier.errors import MediaError, UnreadableMedia, UnsupportedMedia, UsageError
from haulier.media.advice import CompressionStrategy
from haulier.media.audio import measure_loudness, waveform_picture
from haulier.media.image_formats import ImageFormat
from haulier.media.isolation import Workers
from haulier.media.probe import probe_media
from haulier.media.transcribe import find_transcriber
from haulier.store.local_files import system_errors, write_durably

GROUP = "haulier.recording_steps"
# What a step meets in the file itself, or in what is installed: the others go on.
_OF_THE_STEP = (MediaError, UsageError)
_log = logging.getLogger("haulier.jobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingWork:
    """A recording to be worked on.

    Args:
        recording: what is known of it; one that came as a file has that content's id.
        path: its sound, never to be changed.
        directory: for what is made of it.
        workers: where untrusted files are decoded.
    """

    recording: Recording
    path: Path
    directory: Path
    workers: Workers


Step = Callable[[RecordingWork], Awaitable[Mapping[str, Any]]]


def recording_steps() -> dict[str, Step]:
    """Return the steps by name in their order: those of haulier, then plug-ins by name.

    Raises what a plug-in raises that can't be loaded.
    """
    steps: dict[str, Step] = {
        "probe": _probe,
        "loudness": _loudness,
        "waveform": _waveform,
        "opus": _opus,
        "transcript": _transcript,
    }
    for one in sorted(entry_points(group=GROUP)):
        steps.setdefault(one.name, one.load())
    return steps


async def work_through(work: RecordingWork, steps: Mapping[str, Step]) -> dict[str, Any]:
    """Do the steps that are not done; return what is known of all, by step.

    Raises:
        UnreadableMedia: there is no sound in it.
        Exception: what a step raised that has to be done again; the others were done.
    """
    notes, failure = await asyncio.to_thread(read_notes, work.directory), None
    work.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, step in steps.items():
        if notes.get(name, {}).get("state") == "done":
            continue
        try:
            found = await step(work)
            notes[name] = {"state": "done", "result": dict(found)}
        except _OF_THE_STEP as error:
            notes[name] = {"state": "failed", "error": error.message}
        except Exception as error:  # noqa: BLE001  # a plug-in's own; the others go on
            _log.warning("the step %s of a recording has to be done again: %s", name, error)
            notes[name] = {"state": "failed", "error": str(error)}
            failure = failure or error
        with system_errors("recordings"):
            await asyncio.to_thread(write_notes, work.directory, notes)
    if failure is not None:
        raise failure
    if notes["probe"]["state"] != "done":
        raise UnreadableMedia(f"the recording can't be read: {notes['probe']['error']}")
    return notes


async def _probe(work: RecordingWork) -> Mapping[str, Any]:
    found = await probe_media(work.path, workers=work.workers)
    if not found.audio:
        raise UnsupportedMedia(f"there is no sound in {work.path.name}")
    sound = found.audio[0]
    return {
        "container": found.container,
        "codec": sound.codec,
        "duration_s": found.duration_s,
        "channels": sound.channels,
        "sample_rate": sound.sample_rate,
    }


async def _loudness(work: RecordingWork) -> Mapping[str, Any]:
    return asdict(await measure_loudness(work.path, workers=work.workers))


async def _waveform(work: RecordingWork) -> Mapping[str, Any]:
    out = work.directory / "waveform.webp"
    drawn = await waveform_picture(work.path, out, workers=work.workers, format=ImageFormat.WEBP)
    return {"file": out.name, "width": drawn.width, "height": drawn.height}


async def _opus(work: RecordingWork) -> Mapping[str, Any]:
    strategy = CompressionStrategy(workers=work.workers)
    analysis = await strategy.analyze_file(work.path)
    if analysis.is_compressed:
        return {"file": None, "reason": f"{analysis.format} is compressed already"}
    out = work.directory / "recording.opus"
    size_bytes = await strategy.encode(analysis, out)
    return {"file": out.name, "bytes_before": analysis.size_bytes, "bytes_after": size_bytes}


async def _transcript(work: RecordingWork) -> Mapping[str, Any]:
    found = await find_transcriber(workers=work.workers).transcribe(work.path)
    out = work.directory / "transcript.json"
    content = json.dumps(asdict(found), ensure_ascii=False, indent=1).encode()
    await asyncio.to_thread(write_durably, out, content)
    words = len(found.text.split())
    return {"file": out.name, "engine": found.engine, "language": found.language, "words": words}


def read_notes(directory: Path) -> dict[str, Any]:
    """Return what earlier attempts found, by step."""
    try:
        found = json.loads((directory / "steps.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_notes(directory: Path, notes: Mapping[str, Any]) -> None:
    """Keep what was found, for good; raises OSError."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    write_durably(directory / "steps.json", json.dumps(notes, indent=1).encode())
