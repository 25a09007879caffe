"""The ffmpeg program: where it is, how its inputs are confined, and one run of it.

A run is a process group of its own, with a limit of memory and time, that ends with its caller: a
cancelled or killed caller leaves no encoder behind. What may be opened is one local file of a
known container; a playlist or a concat script that names other files is none, whatever it is
called.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from haulier.errors import EncoderFailed, MediaTooDemanding, MissingProgram, StorageFull
from haulier.media import confined

_MEMORY_BYTES = 8 << 30
_MOST_PIXELS = 8192 * 8192
# A playlist, a concat script or a list of pictures is not among them, whatever it is called.
INPUT_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,asf,mpegts,mpeg,mpegvideo,mxf,dv,ivf,rm,nut,nsv,"
    "h264,hevc,obu,m4v,mp3,wav,w64,ogg,flac,aac,ac3,eac3,dts,truehd,amr,aiff,au,caf,ape,tta,wv,"
    "mpc,mpc8,tak,dsf"
)
_QUIET = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", "-y")
_PROGRESS = ("-progress", "pipe:1", "-stats_period", "0.1")
_TAIL_BYTES = 4000
_COMPLAINT_CHARS = 300
# Tokens and keys stay behind; arenas would be reserved address space, and that is limited.
_ENVIRONMENT = ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
_ARENAS = {"MALLOC_ARENA_MAX": "4"}


@dataclass(slots=True)
class Encoded:
    """What one run came to; while it goes on, what it has come to.

    Attributes:
        frames: pictures written.
        time_s: seconds of the result so far.
        quantizers: as sampled now and then; coarser is higher.
    """

    frames: int = 0
    time_s: float = 0.0
    quantizers: list[float] = field(default_factory=list)


def find_ffmpeg() -> Path:
    """Return the ffmpeg of this system, else that of the imageio-ffmpeg package.

    Raises:
        MissingProgram: there is neither.
    """
    if found := shutil.which("ffmpeg"):
        return Path(found)
    if find_spec("imageio_ffmpeg") is not None:
        import imageio_ffmpeg

        with suppress(RuntimeError):
            return Path(imageio_ffmpeg.get_ffmpeg_exe())
    raise MissingProgram(
        "ffmpeg is needed and was not found",
        hint="Install your system's package ffmpeg, or `pip install 'haulier[ffmpeg]'`.",
    )


def input_of(path: Path) -> list[str]:
    """Return the arguments that open a file which others made."""
    return [
        *("-protocol_whitelist", "file", "-format_whitelist", INPUT_FORMATS),
        *("-max_pixels", str(_MOST_PIXELS), "-i", f"file:{path.absolute()}"),
    ]


async def run_ffmpeg(
    program: Path,
    arguments: Sequence[str],
    *,
    name: str,
    cwd: Path,
    timeout_s: float,
    on_progress: Callable[[Encoded], None] = lambda _: None,
    memory_bytes: int = _MEMORY_BYTES,
) -> Encoded:
    """Run ffmpeg to its end.

    Args:
        program: where it is.
        arguments: inputs, options and outputs.
        name: what messages call the file.
        cwd: the directory for what it writes by relative names, such as the notes of a first pass.
        timeout_s: seconds it may take.
        on_progress: told some times a second; not to be kept, it changes.
        memory_bytes: address space it may take.

    Raises:
        EncoderFailed: it ended with an error; the message has its last words.
        StorageFull: no space was left.
        MediaTooDemanding: it took longer than `timeout_s`.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", confined.__file__, str(memory_bytes)),
        *(str(program), *_QUIET, *_PROGRESS, *arguments),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={key: os.environ[key] for key in _ENVIRONMENT if key in os.environ} | _ARENAS,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    encoded = Encoded()
    try:
        async with asyncio.timeout(timeout_s), asyncio.TaskGroup() as group:
            group.create_task(_follow(process.stdout, encoded, on_progress))
            tail = group.create_task(_tail_of(process.stderr))
            code = await process.wait()
    except TimeoutError:
        raise MediaTooDemanding(
            f"{name} took longer than {timeout_s:g} s to encode",
            hint="Choose a faster preset, or shorten the file.",
        ) from None
    finally:
        await _end(process)
    if code != 0:
        raise _failure(name, code, tail.result())
    return encoded


async def _follow(
    stream: asyncio.StreamReader, encoded: Encoded, on_progress: Callable[[Encoded], None]
) -> None:
    async for line in stream:
        key, _, value = line.decode(errors="replace").strip().partition("=")
        # Before the first frame it says N/A.
        with suppress(ValueError):
            if key == "frame":
                encoded.frames = int(value)
            elif key == "out_time_us":
                encoded.time_s = max(int(value) / 1e6, 0.0)
            elif key == "stream_0_0_q" and float(value) > 0:
                encoded.quantizers.append(float(value))
        if key == "progress":
            on_progress(encoded)


async def _tail_of(stream: asyncio.StreamReader) -> str:
    tail = b""
    while data := await stream.read(1 << 16):
        tail = (tail + data)[-_TAIL_BYTES:]
    return tail.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    # The transport closes when the process is reaped; communicate() drains what is left.
    await asyncio.shield(process.communicate())


def _failure(name: str, code: int, tail: str) -> EncoderFailed | StorageFull:
    if "No space left on device" in tail:
        return StorageFull(f"{name}: no space is left for the smaller copy", hint="Free some.")
    lines = [line for line in tail.splitlines() if line.strip()]
    said = (
        lines[-1] if lines else f"it ended with {signal.Signals(-code).name if code < 0 else code}"
    )
    # Inner paths are nobody's business.
    said = re.sub(r"(file:)?/[^\s']*/", "", said)[:_COMPLAINT_CHARS]
    return EncoderFailed(f"{name} can't be encoded: {said}")
