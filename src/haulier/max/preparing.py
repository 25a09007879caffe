"""Before a file is sent: what it is, whether it is clean, whether MAX takes it as that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from haulier import errors
from haulier.core.file_names import clean_name
from haulier.core.mime import kind_of
from haulier.core.units import format_size
from haulier.max.upload_types import MaxLimits, UploadType, type_for
from haulier.media.compression import CompressionManager
from haulier.media.detect import detect_type
from haulier.media.images import fit_image, inspect_image
from haulier.media.isolation import Workers
from haulier.media.probe import probe_media
from haulier.media.scan import Scanner, Verdict


class OverLimit(StrEnum):
    """What to do with a file that MAX does not take as what it is."""

    REFUSE = "refuse"
    AS_FILE = "file"
    COMPRESS = "compress"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A file that can be sent.

    Attributes:
        path: where its bytes are; a smaller copy, where one was made.
        name: what it is called in the chat.
        type: what it is sent as.
        mime_type: by its content.
        is_temporary: it is removed once it is sent.
        warnings: what does not fit together, such as name and content.
    """

    path: Path
    name: str
    type: UploadType
    mime_type: str
    size_bytes: int
    is_temporary: bool = False
    warnings: tuple[str, ...] = ()


class Preparer:
    """Looks at files before they are sent.

    Args:
        limits: what MAX takes.
        over_limit: what to do above them.
        workers: where images, videos and sound are looked into and made smaller; without them
            pixels and minutes are left to MAX to check, and nothing is made smaller.
        scanner: looks for malware in each file; None: nobody does.
        allow_unscanned: send what the scanner could not look into.
    """

    def __init__(
        self,
        *,
        limits: MaxLimits | None = None,
        over_limit: OverLimit = OverLimit.REFUSE,
        workers: Workers | None = None,
        scanner: Scanner | None = None,
        allow_unscanned: bool = False,
    ) -> None:
        self._limits = limits or MaxLimits()
        self._over_limit = over_limit
        self._workers = workers
        self._scanner = scanner
        self._allow_unscanned = allow_unscanned

    async def prepare(
        self,
        path: Path,
        *,
        scratch: Path,
        name: str | None = None,
        as_type: UploadType | None = None,
        over_limit: OverLimit | None = None,
    ) -> Prepared:
        """Tell what a file is sent as, and make it fit where that is wanted.

        Args:
            path: the file.
            scratch: where a smaller copy is written.
            name: what it is called; the path's name when left out.
            as_type: what to send it as; by its content when left out.
            over_limit: instead of what was said when this was made.

        Raises:
            FileInfected, ScanInconclusive, ScanFailed: it is not clean, or nobody knows.
            DoesNotFit: it is over a limit of MAX, and the policy does not help.
            UnsupportedMedia: it is not of the wanted type.
            UsageError: it is empty. TargetMissing, TargetUnreadable: as the system says.
            Others: as `fit_image` and `CompressionManager.compress_file`.
        """
        name = clean_name(path.name if name is None else name)
        detected = await detect_type(path, name=name, workers=self._workers)
        size_bytes = path.stat().st_size
        if size_bytes == 0:
            raise errors.UsageError(f"{name} is empty", hint="MAX takes no empty files.")
        await self._scan(path, name)
        natural = type_for(detected.mime_type, detected.kind)
        file = Prepared(
            path=path,
            name=name,
            type=as_type or natural,
            mime_type=detected.mime_type,
            size_bytes=size_bytes,
            is_temporary=path.is_relative_to(scratch),
            warnings=detected.warnings,
        )
        policy = over_limit or self._over_limit
        if as_type not in {None, UploadType.FILE, natural}:
            wrong = f"MAX takes no {detected.mime_type} as {as_type}"
            return await self._remedied(file, wrong, policy, scratch, errors.UnsupportedMedia)
        problem = await self._problem(file)
        if problem is None:
            return file
        return await self._remedied(file, problem, policy, scratch, errors.DoesNotFit)

    async def _scan(self, path: Path, name: str) -> None:
        if self._scanner is None:
            return
        result = await self._scanner.scan_file(path)
        if result.verdict is Verdict.INFECTED:
            raise errors.FileInfected(
                f"{name} is infected: {result.signature}",
                hint="It was not sent. Delete it, and look at where it came from.",
            )
        if result.verdict is Verdict.UNSCANNED and not self._allow_unscanned:
            raise errors.ScanInconclusive(f"{name} could not be scanned: {result.reason}")

    async def _problem(self, file: Prepared) -> str | None:
        """Return what keeps MAX from taking the file as what it is."""
        most = self._limits.most_bytes(file.type)
        if file.size_bytes > most:
            size, limit = format_size(file.size_bytes), format_size(most)
            return f"it has {size}, {file.type} may have {limit}"
        if self._workers is None:
            return None
        if file.type is UploadType.IMAGE:
            info = await inspect_image(file.path, workers=self._workers)
            side = self._limits.image_side
            if max(info.width, info.height) > side:
                return f"it has {info.width} x {info.height} pixels, either side may have {side}"
        if file.type is UploadType.AUDIO:
            probe = await probe_media(file.path, workers=self._workers)
            if (probe.duration_s or 0) > self._limits.audio_s:
                return f"it plays longer than {self._limits.audio_s / 60:g} min"
        return None

    async def _remedied(
        self,
        file: Prepared,
        problem: str,
        policy: OverLimit,
        scratch: Path,
        kind: type[errors.MediaError],
    ) -> Prepared:
        as_file = replace(file, type=UploadType.FILE)
        may_be_file = file.size_bytes <= self._limits.file_bytes
        if policy is OverLimit.AS_FILE and may_be_file:
            return as_file
        if policy is OverLimit.COMPRESS and file.type is not UploadType.FILE:
            smaller = await self._compressed(file, scratch)
            if await self._problem(smaller) is None:
                return smaller
        hint = "Send it as a file, or let it be made smaller." if may_be_file else "Split it."
        raise kind(f"{file.name} can't be sent as {file.type}: {problem}", hint=hint)

    async def _compressed(self, file: Prepared, scratch: Path) -> Prepared:
        if self._workers is None:
            raise errors.UsageError(
                f"{file.name} can't be made smaller without workers",
                hint="Give the FileManager `workers`.",
            )
        most, out = self._limits.most_bytes(file.type), scratch / file.name
        if file.type is UploadType.IMAGE:
            side = self._limits.image_side
            image = await fit_image(
                file.path,
                out,
                workers=self._workers,
                max_bytes=most,
                max_width=side,
                max_height=side,
            )
            path, size_bytes = image.path, image.size_bytes
        else:
            manager = CompressionManager(workers=self._workers, target_bytes=most)
            smaller = await manager.compress_file(file.path, out=out)
            path, size_bytes = smaller.path, smaller.size_bytes
        detected = await detect_type(path)
        return replace(
            file,
            path=path,
            name=path.name,
            mime_type=detected.mime_type,
            size_bytes=size_bytes,
            is_temporary=True,
            type=type_for(detected.mime_type, kind_of(detected.mime_type)),
        )
