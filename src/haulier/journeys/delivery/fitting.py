"""Files made to fit what a chat takes, before they are sent."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from haulier.core.chat_limits import MIB
from haulier.core.chat_names import name_for_chat, quoted
from haulier.core.units import format_size
from haulier.errors import HaulierError
from haulier.journeys.delivery.link_shelf import Link
from haulier.journeys.delivery.rooms import place_for_copy
from haulier.media.compressed import CompressionOptions
from haulier.media.compression import CompressionManager, compressed_name
from haulier.media.encoders import Preset
from haulier.media.finding import FileSizeAnalyzer, MediaFile, MediaFileDetector
from haulier.media.isolation import Workers
from haulier.settings_chats import ChatSettings
from haulier.transfer.advice import advice
from haulier.transfer.processors import StatusLine

_SPARE_BYTES = 64 << 10
_TICK_S = 2.0
# What chats have taken at one time or other, for one that refused what it should take.
_STEPS_BYTES = (100 * MIB, 50 * MIB, 20 * MIB, 10 * MIB)


@dataclass(slots=True)
class Fitted:
    """What came of it.

    Attributes:
        files: those that fit, in the order they were given.
        failures: advice for each that does not.
        too_large: those that can't be made to fit.
        remarks: what was compressed from what.
        attempts: how many were to be made smaller.
        links: to those that no message can hold.
        originals: links to what was made smaller, where that is wanted.
    """

    files: list[MediaFile] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    too_large: list[MediaFile] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    attempts: int = 0
    links: list[Link] = field(default_factory=list)
    originals: list[Link] = field(default_factory=list)


class Fitter:
    """Makes files fit.

    Args:
        compression: does the work.
        most_mb: what files are made to fit at most (COMPRESSION_MAX_UPLOAD_SIZE_MB).
        preset: how much time a good picture is worth.
    """

    def __init__(
        self,
        compression: CompressionManager,
        most_mb: int,
        preset: Preset = Preset.BALANCED,
    ) -> None:
        self._compression = compression
        self._most_bytes = most_mb * MIB
        self._options = CompressionOptions(preset=preset)

    async def fit(
        self, files: Sequence[MediaFile], limit_bytes: int | None, status: StatusLine
    ) -> Fitted:
        """Make those smaller that are above a limit; one that fails spares the others.

        Args:
            files: what is to be sent.
            limit_bytes: the largest that is taken; None: as large as they are made at most.
            status: told how far it is.
        """
        limit = self._most_bytes if limit_bytes is None else limit_bytes
        analysis = await FileSizeAnalyzer(limit).analyze_files(files)
        if not analysis.oversized_files:
            return Fitted(files=list(files))
        target = self._target_bytes(limit)
        lines: dict[Path, str] = {}
        # Begun before what shows them, so that the first is shown at once.
        begun = [
            asyncio.ensure_future(self._copy(file, target, lines))
            for file in analysis.oversized_files
        ]
        async with _showing(lines, status):
            copies = await asyncio.gather(*begun)
        made = {
            file.path: copy for file, copy in zip(analysis.oversized_files, copies, strict=True)
        }
        fitted = Fitted(attempts=len(copies))
        for file in files:
            copy = made.get(file.path, file)
            if isinstance(copy, str):
                fitted.failures.append(copy)
                fitted.too_large.append(file)
                continue
            fitted.files.append(copy)
            if copy is not file:
                fitted.remarks.append(_remark(file, copy))
        return fitted

    async def made_to_fit(self, file: MediaFile, limit_bytes: int) -> MediaFile:
        """Return a copy of a file within a limit; raises what compression does."""
        target = self._target_bytes(limit_bytes)
        return await self._compress(file, target, lambda _stage, _share: None)

    def _target_bytes(self, limit_bytes: int) -> int:
        return max(1, min(self._most_bytes, limit_bytes - _SPARE_BYTES))

    async def smaller(self, file: MediaFile) -> MediaFile:
        """Return a copy of a file that was refused for its size; raises what compression does."""
        below = next((step for step in _STEPS_BYTES if step < file.size_bytes), None)
        target = file.size_bytes // 2 if below is None else below - _SPARE_BYTES
        return await self._compress(file, target, lambda _stage, _share: None)

    async def _copy(
        self, file: MediaFile, target_bytes: int, lines: dict[Path, str]
    ) -> MediaFile | str:
        """Return a copy, or the advice that there is none."""
        name = name_for_chat(file.filename, file.mime_type)
        sizes = f"{format_size(file.size_bytes)} -> {format_size(target_bytes)}"

        def report(_stage: str, share: float) -> None:
            lines[file.path] = f"Compressing {quoted(name)} ({sizes})… {share:.0%}"

        report("waiting", 0)
        try:
            return await self._compress(file, target_bytes, report)
        except HaulierError as error:
            return advice(error, name)
        finally:
            del lines[file.path]

    async def _compress(
        self, file: MediaFile, target_bytes: int, report: Callable[[str, float], None]
    ) -> MediaFile:
        result = await self._compression.compress_file(
            file.path,
            target_bytes=target_bytes,
            options=self._options,
            out=place_for_copy(file.path, compressed_name(file.path).name),
            report=report,
        )
        copy = await MediaFileDetector().detect_file(result.path)
        return dataclasses.replace(copy, is_compressed=True, original_path=file.path)


def open_fitter(chat: ChatSettings, workers: Workers, preset: Preset = Preset.BALANCED) -> Fitter:
    """Return what makes files fit as the settings say, looking into them by `workers`."""
    compression = CompressionManager(
        workers=workers,
        target_bytes=chat.compression_max_upload_size_mb * MIB,
        max_concurrent=chat.compression_max_concurrent,
        ffmpeg_preset=chat.compression_ffmpeg_preset,
    )
    return Fitter(compression, chat.compression_max_upload_size_mb, preset)


def _remark(file: MediaFile, copy: MediaFile) -> str:
    name = quoted(name_for_chat(file.filename, file.mime_type))
    sizes = f"{format_size(file.size_bytes)} -> {format_size(copy.size_bytes)}"
    return f"{name} compressed: {sizes} ({copy.size_bytes / file.size_bytes:.2f})"


@asynccontextmanager
async def _showing(lines: dict[Path, str], status: StatusLine) -> AsyncIterator[None]:
    """Show the lines every other second while the block runs."""

    async def tick() -> None:
        while True:
            if lines:
                await status.tell("\n".join(list(lines.values())))
            await asyncio.sleep(_TICK_S)

    ticker = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticker.cancel()
        with suppress(asyncio.CancelledError):
            await ticker
