"""Files made to fit: video, sound and images, to a size and never above it.

The result stands beside the source, or where it is told to, whole or not at all; the source is
never altered. What fits already is copied as it is.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from haulier.core.bitrate import (
    AudioCodec,
    Container,
    Footage,
    VideoCodec,
    plan_audio,
    plan_video,
)
from haulier.core.mime import FileKind, MediaType
from haulier.core.units import format_size
from haulier.errors import (
    EncoderFailed,
    StorageFull,
    UnreadableMedia,
    UnsupportedMedia,
    UsageError,
)
from haulier.media.compressed import (
    DEFAULT_OPTIONS,
    Codec,
    CompressedFile,
    CompressionOptions,
    Outcome,
    chosen,
    compressed_name,
    parse_codec,
    with_ending,
)
from haulier.media.detect import detect_type
from haulier.media.encoders import (
    FFMPEG_PRESETS,
    VIDEO_ENCODERS,
    Encoders,
    Preset,
    check_options,
)
from haulier.media.ffmpeg import find_ffmpeg
from haulier.media.footage import read_footage
from haulier.media.image_formats import ImageFormat
from haulier.media.image_output import new_file, source_size
from haulier.media.images import fit_image
from haulier.media.isolation import Workers
from haulier.media.probe import Hdr
from haulier.media.shrink_audio import CONTAINERS, AudioJob, shrink_audio
from haulier.media.shrink_video import shrink_video
from haulier.media.video_passes import Attempt, Report, VideoJob

__all__ = [
    "DEFAULT_OPTIONS", "Codec", "CompressedFile", "CompressionManager", "CompressionOptions",
    "Outcome", "Preset", "compressed_name", "parse_codec",
]  # fmt: skip
_LEAST_TIMEOUT_S = 600
_TIMEOUT_PER_S = 120
_LENGTH_SLACK_S = 0.5
_LENGTH_SLACK = 0.01
# Sides are rounded to even numbers.
_WHOLE = 0.95
_SUFFIXES = {
    Container.MP4: ".mp4", Container.WEBM: ".webm", Container.OGG: ".ogg", Container.MP3: ".mp3",
}  # fmt: skip
# Brightness beyond what ordinary screens show, brought into their range.
_TONEMAP = (
    "zscale=t=linear:npl=100", "format=gbrpf32le", "zscale=p=bt709",
    "tonemap=tonemap=hable:desat=0", "zscale=t=bt709:m=bt709:r=tv",
)  # fmt: skip


def _silent(_stage: str, _share: float) -> None:
    pass


class CompressionManager:
    """Makes files fit, some at a time.

    Args:
        workers: where files are looked into.
        target_bytes: most bytes of a result, unless told otherwise.
        max_concurrent: how many files at once (COMPRESSION_MAX_CONCURRENT).
        ffmpeg_preset: what `balanced` means (COMPRESSION_FFMPEG_PRESET).
        ffmpeg: the program; looked for when it is first needed.
    """

    def __init__(
        self,
        *,
        workers: Workers,
        target_bytes: int,
        max_concurrent: int = 2,
        ffmpeg_preset: str = "medium",
        ffmpeg: Path | None = None,
    ) -> None:
        if ffmpeg_preset not in FFMPEG_PRESETS:
            raise UsageError(
                f"{ffmpeg_preset!r} is no preset", hint=f"Use one of {', '.join(FFMPEG_PRESETS)}."
            )
        self._workers = workers
        self._target_bytes = target_bytes
        self._slots = asyncio.Semaphore(max_concurrent)
        self._speeds = {
            Preset.FAST: "veryfast",
            Preset.BALANCED: ffmpeg_preset,
            Preset.QUALITY: "slow",
        }
        self._ffmpeg = ffmpeg
        self._found: Encoders | None = None

    async def compress_file(
        self,
        path: Path,
        *,
        target_bytes: int | None = None,
        out: Path | None = None,
        options: CompressionOptions = DEFAULT_OPTIONS,
        report: Report = _silent,
    ) -> CompressedFile:
        """Make a copy of a file that takes at most so many bytes.

        Args:
            path: video, sound or image; never altered.
            target_bytes: most bytes of the copy; the manager's when left out.
            out: where it goes, its ending changed to what it becomes; `STEM_compressed.EXT` beside
                the source when left out. What was there is replaced.
            options: preset and codecs.
            report: told the stage and the share that is done, in the event loop.

        Raises:
            DoesNotFit: it would be spoilt; `smallest_bytes` would fit, where that is known.
            UnsupportedMedia: it is neither video, sound nor image.
            UnreadableMedia: it is damaged.
            MediaTooDemanding: it takes too long.
            EncoderFailed: ffmpeg ended with an error.
            MissingProgram: there is no ffmpeg, or it lacks the encoder.
            UsageError: an option is none, or `out` is the source.
            TargetMissing, TargetUnreadable, StorageFull: as the system says of either file.
        """
        began = time.monotonic()
        target = self._target_bytes if target_bytes is None else target_bytes
        if target < 1:
            raise UsageError(f"the target is {target} bytes", hint="Give a size above 0.")
        check_options(chosen(VideoCodec, options) or VideoCodec.H264, options.encoder_options)
        async with self._slots:
            size_bytes = source_size(path, max_bytes=sys.maxsize)
            kind, footage, hdr = await self._look(path)
            task = _Task(path, out or compressed_name(path), size_bytes, target, options, report)
            if footage is None:
                done = await self._image(task)
            elif size_bytes <= target and not _converts(kind, options):
                done = await _copy(task)
            elif kind is MediaType.VIDEO:
                done = await self._video(task, footage, hdr)
            else:
                done = await self._audio(task, footage)
        return CompressedFile(
            source=path, kind=kind, original_bytes=size_bytes, target_bytes=target,
            duration_s=time.monotonic() - began, **done,
        )  # fmt: skip

    async def _look(self, path: Path) -> tuple[MediaType, Footage | None, Hdr]:
        found = await detect_type(path)
        if found.kind is FileKind.IMAGE:
            return MediaType.IMAGE, None, Hdr.NONE
        if found.kind not in {FileKind.VIDEO, FileKind.AUDIO, FileKind.UNKNOWN}:
            raise UnsupportedMedia(
                f"{path.name} is {found.mime_type}: neither video, sound nor image",
                hint="What is no media can be packed: `haulier upload`.",
            )
        footage, hdr = await read_footage(path, workers=self._workers, name=path.name)
        return MediaType.VIDEO if footage.width else MediaType.AUDIO, footage, hdr

    def _encoders(self) -> Encoders:
        if self._found is None:
            self._found = Encoders(self._ffmpeg or find_ffmpeg())
        return self._found

    @asynccontextmanager
    async def _scratch(self, task: _Task, *codecs: VideoCodec | AudioCodec) -> AsyncIterator[Path]:
        """Make a directory on the result's file system, so that the best attempt becomes it."""
        directory = task.out.with_name(f".haulier-{secrets.token_hex(8)}.haulier-partial")
        directory.mkdir(mode=0o700)
        try:
            yield directory
        except EncoderFailed:
            # Now and not before: trying the encoders would cost a fifth of a short film's time.
            await self._encoders().require(*codecs)
            raise
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    async def _video(self, task: _Task, footage: Footage, hdr: Hdr) -> dict[str, Any]:
        codec = chosen(VideoCodec, task.options) or VideoCodec.H264
        encoder = VIDEO_ENCODERS[codec]
        plan = plan_video(
            footage, task.most_bytes, name=task.path.name, video=codec, audio=encoder.audio,
            container=encoder.container,
        )  # fmt: skip
        program = self._encoders().program
        async with new_file(task.out, source=task.path) as file:
            file.out = with_ending(task.out, _SUFFIXES[encoder.container])
            async with self._scratch(task, codec, encoder.audio) as scratch:
                attempt, plan = await shrink_video(
                    VideoJob(
                        program=program, path=task.path, footage=footage, plan=plan,
                        target_bytes=task.most_bytes, codec=codec,
                        speed=self._speeds[task.options.preset],
                        options=task.options.encoder_options,
                        filters=() if hdr is Hdr.NONE else _TONEMAP,
                        scratch=scratch, timeout_s=_timeout_s(footage),
                    ),
                    task.report,
                )  # fmt: skip
                await self._check(attempt.path, task.path.name, footage, has_video=True)
                attempt.path.replace(file.temporary)
        if (
            plan.width * plan.height * plan.fps
            < _WHOLE * footage.width * footage.height * footage.fps
        ):
            # What was given up in pixels is seen, however finely the rest is encoded.
            attempt = replace(attempt, is_finest=False)
        return {
            **_told(attempt, file.out, codec), "width": plan.width, "height": plan.height,
            "fps": round(plan.fps, 3),
        }  # fmt: skip

    async def _audio(self, task: _Task, footage: Footage) -> dict[str, Any]:
        codec = chosen(AudioCodec, task.options) or AudioCodec.OPUS
        plan = plan_audio(
            footage, task.most_bytes, name=task.path.name, codec=codec, container=CONTAINERS[codec]
        )
        program = self._encoders().program
        async with new_file(task.out, source=task.path) as file:
            suffix = ".m4a" if codec is AudioCodec.AAC else _SUFFIXES[CONTAINERS[codec]]
            file.out = with_ending(task.out, suffix)
            async with self._scratch(task, codec) as scratch:
                attempt = await shrink_audio(
                    AudioJob(
                        program=program, path=task.path, footage=footage, plan=plan,
                        target_bytes=task.most_bytes, codec=codec, scratch=scratch,
                        timeout_s=_timeout_s(footage),
                    ),
                    task.report,
                )  # fmt: skip
                await self._check(attempt.path, task.path.name, footage, has_video=False)
                attempt.path.replace(file.temporary)
        return _told(attempt, file.out, codec)

    async def _image(self, task: _Task) -> dict[str, Any]:
        task.report("encoding", 0)
        fitted = await fit_image(
            task.path, task.out, workers=self._workers, max_bytes=task.target_bytes,
            format=chosen(ImageFormat, task.options),
        )  # fmt: skip
        if not fitted.recompressed:
            return {
                "path": fitted.path, "size_bytes": fitted.size_bytes,
                "outcome": Outcome.ALREADY_FITS,
            }  # fmt: skip
        return {
            "path": fitted.path, "size_bytes": fitted.size_bytes, "outcome": Outcome.COMPRESSED,
            "codec": str(fitted.format), "width": fitted.width, "height": fitted.height,
        }  # fmt: skip

    async def _check(self, result: Path, name: str, source: Footage, *, has_video: bool) -> None:
        """Look into the result: a decoder that gave up in the middle is no error for ffmpeg."""
        made, _ = await read_footage(result, workers=self._workers, name=name)
        slack_s = max(_LENGTH_SLACK_S, source.duration_s * _LENGTH_SLACK)
        if made.duration_s < source.duration_s - slack_s:
            raise UnreadableMedia(
                f"{name} should last {source.duration_s:.1f} s, and {made.duration_s:.1f} s could "
                f"be decoded"
            )
        if bool(made.width) != has_video or bool(made.channels) != bool(source.channels):
            raise EncoderFailed(f"{name}: a track is missing in the result")


@dataclass(frozen=True, slots=True)
class _Task:
    path: Path
    out: Path
    size_bytes: int
    target_bytes: int
    options: CompressionOptions
    report: Report

    @property
    def most_bytes(self) -> int:
        """The target; a conversion does not make a file larger than it was."""
        return min(self.target_bytes, self.size_bytes)


def _converts(kind: MediaType, options: CompressionOptions) -> bool:
    found = chosen(VideoCodec, options) if kind is MediaType.VIDEO else chosen(AudioCodec, options)
    return found is not None


def _timeout_s(footage: Footage) -> float:
    return _LEAST_TIMEOUT_S + _TIMEOUT_PER_S * footage.duration_s


def _told(attempt: Attempt, out: Path, codec: Codec) -> dict[str, Any]:
    finest = Outcome.VISUALLY_LOSSLESS if attempt.is_finest else Outcome.COMPRESSED
    return {
        "path": out, "size_bytes": attempt.size_bytes, "outcome": finest, "codec": str(codec),
        "corrections": attempt.corrections,
    }  # fmt: skip


async def _copy(task: _Task) -> dict[str, Any]:
    task.report("copying", 0)
    async with new_file(task.out, source=task.path) as file:
        file.out = with_ending(task.out, task.path.suffix)
        try:
            await asyncio.to_thread(shutil.copyfile, task.path, file.temporary)
        except OSError as error:
            raise StorageFull(
                f"{task.path.name} can't be copied: {error.strerror}; "
                f"it takes {format_size(task.size_bytes)}"
            ) from error
    return {
        "path": file.out,
        "size_bytes": file.out.stat().st_size,
        "outcome": Outcome.ALREADY_FITS,
    }
