"""The media in a directory, and which of it is small enough to be sent.

Nothing outside the directory is read: symbolic links are not followed, wherever they lead. Hidden
entries and what downloaders have not finished yet are passed over.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from haulier.core.chat_limits import MIB, discord_limit_bytes
from haulier.core.mime import MediaType
from haulier.core.records import JsonRecord
from haulier.core.selection import is_temporary
from haulier.errors import SourceError, TargetMissing, TargetUnreadable
from haulier.media.detect import detect_sample, read_sample

_log = logging.getLogger(__name__)
# Of yt-dlp, gallery-dl, browsers and wget-like tools; haulier's own begin with a dot.
_UNFINISHED = (".part", ".ytdl", ".crdownload", ".download", ".partial", ".tmp", ".temp", ".aria2")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """A file that is to be sent.

    Attributes:
        filename: what it is called at the other end.
        is_compressed: it was made from `original_path` to be smaller.
        mime_type: by content.
        warnings: what does not fit together, a sentence each.
    """

    path: Path
    filename: str
    size_bytes: int
    media_type: MediaType
    is_compressed: bool = False
    original_path: Path | None = None
    mime_type: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def size_mb(self) -> float:
        """The size in units of 1,048,576 bytes."""
        return self.size_bytes / MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeAnalysis:
    """Files by whether they may be sent as they are.

    Attributes:
        acceptable_files: within the limit, in the order given.
        oversized_files: above it.
        total_size_mb: of all together, in units of 1,048,576 bytes.
        limit_bytes: what was allowed.
    """

    acceptable_files: list[MediaFile]
    oversized_files: list[MediaFile]
    total_size_mb: float
    limit_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProblem(JsonRecord):
    """An entry that was passed over, and why."""

    path: str
    reason: str


def log_problem(problem: FileProblem) -> None:
    """Log a problem as a warning; the default of `MediaFileDetector`."""
    _log.warning("%s: %s", problem.path, problem.reason)


class MediaFileDetector:
    """Finds what can be played or shown, by content first and by name second.

    Args:
        on_problem: called for each entry that can't be used: unreadable, empty, a link out of
            the directory, a pipe or device.
    """

    def __init__(self, on_problem: Callable[[FileProblem], None] = log_problem) -> None:
        self._on_problem = on_problem

    async def find_media_files(self, directory: str | os.PathLike[str]) -> list[MediaFile]:
        """Return the video, audio and images below a directory, sorted by path.

        Raises:
            TargetMissing: there is no such directory.
            TargetUnreadable: it may not be listed.
        """
        files, problems = await asyncio.to_thread(_find, Path(directory))
        for problem in problems:
            self._on_problem(problem)
        return files

    async def detect_file(self, path: str | os.PathLike[str]) -> MediaFile:
        """Return what one file is, whose `media_type` may be unknown.

        Raises:
            TargetMissing: there is no such file.
            TargetUnreadable: it may not be read, or is no regular file.
        """
        return await asyncio.to_thread(_media_file, Path(path), follow_links=True)


class FileSizeAnalyzer:
    """Tells files that may be sent from those that are too large.

    Args:
        limit_bytes: the largest file that the channel takes, as
            `core.chat_limits.discord_limit_bytes` tells it; Discord's default when left out.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        self.limit_bytes = discord_limit_bytes() if limit_bytes is None else limit_bytes

    async def analyze_files(self, files: Iterable[MediaFile]) -> SizeAnalysis:
        """Divide files by the limit; async, so that one that asks the platform may stand in."""
        chosen = list(files)
        return SizeAnalysis(
            acceptable_files=[file for file in chosen if file.size_bytes <= self.limit_bytes],
            oversized_files=[file for file in chosen if file.size_bytes > self.limit_bytes],
            total_size_mb=sum(file.size_bytes for file in chosen) / MIB,
            limit_bytes=self.limit_bytes,
        )


def is_unfinished(name: str) -> bool:
    """Tell whether a name is that of a download or a copy under way."""
    return is_temporary(name) or name.lower().endswith(_UNFINISHED)


def _find(directory: Path) -> tuple[list[MediaFile], list[FileProblem]]:
    files: list[MediaFile] = []
    problems: list[FileProblem] = []
    for path, obstacle in walk_files(directory):
        try:
            file = _usable(path, obstacle)
        except SourceError as error:
            problems.append(FileProblem(path=str(path), reason=error.message))
            continue
        if file.media_type is not MediaType.UNKNOWN:
            files.append(file)
    return files, problems


def _usable(path: Path, obstacle: str | None) -> MediaFile:
    if obstacle is not None:
        raise TargetUnreadable(obstacle)
    file = _media_file(path, follow_links=False)
    if file.size_bytes == 0:
        raise TargetUnreadable("it is empty")
    return file


def walk_files(root: Path) -> list[tuple[Path, str | None]]:
    """Return what lies below a directory, sorted by path, each with what keeps it from being read.

    Raises:
        TargetMissing: there is no such directory.
        TargetUnreadable: it may not be listed.
    """
    return sorted(_entries(root), key=lambda found: os.fsencode(found[0]))


def _entries(root: Path) -> Iterator[tuple[Path, str | None]]:
    waiting = [root]
    while waiting:
        directory = waiting.pop()
        try:
            entries = list(os.scandir(directory))
        except OSError as error:
            if directory == root:
                raise _no_directory(root, error) from error
            yield directory, error.strerror
            continue
        for entry in entries:
            if entry.name.startswith(".") or is_unfinished(entry.name):
                continue
            if entry.is_symlink():
                yield Path(entry.path), "it is a symbolic link, which is not followed"
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            else:
                yield Path(entry.path), None


def _no_directory(root: Path, error: OSError) -> SourceError:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return TargetMissing(
            f"{root.name} is no directory that exists", hint="Check the spelling of the path."
        )
    return TargetUnreadable(f"{root.name}: {error.strerror}")


def _media_file(path: Path, *, follow_links: bool) -> MediaFile:
    sample = read_sample(path, follow_links=follow_links)
    detected = detect_sample(sample, name=path.name)
    return MediaFile(
        path=path,
        filename=path.name,
        size_bytes=sample.size_bytes,
        media_type=MediaType.of(detected.kind),
        mime_type=detected.mime_type,
        warnings=detected.warnings,
    )
