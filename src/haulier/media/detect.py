"""What a file is: by its content, then by what it is called, with a warning when they disagree.

Haulier's own tables are asked first (`core.sniff`), then the library `filetype`, then libmagic in
a worker process. A name or a declared type counts only where the content says nothing.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from haulier.core.mime import KNOWN_TYPES, UNKNOWN_TYPE, FileKind, canonical, kind_of, types_of_name
from haulier.core.mime_agreement import agree, refines
from haulier.core.sniff import HEAD_BYTES, TAIL_BYTES, Certainty, id3_bytes, sniff
from haulier.core.sniff.polyglots import other_natures
from haulier.errors import TargetMissing, TargetUnreadable
from haulier.media import type_tasks
from haulier.media.isolation import Workers

__all__ = ["DetectedType", "Means", "Sample", "detect_sample", "detect_type", "read_sample"]

_BEHIND_TAG_BYTES = 8192
_LIBMAGIC_TIMEOUT_S = 10
# What the own tables know and did not see, others only guess.
_NOT_BELIEVED = KNOWN_TYPES | {UNKNOWN_TYPE}


class Means(StrEnum):
    """By what a type was told."""

    CONTENT = "content"
    FILETYPE = "filetype"
    LIBMAGIC = "libmagic"
    NAME = "name"
    DECLARED = "declared"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectedType:
    """What a file is.

    Attributes:
        mime_type: `application/octet-stream` when nothing tells.
        kind: what it is to people.
        means: what told the type; the later in `Means`, the less it should be trusted.
        certainty: how sure its content makes it; None when the type was told otherwise.
        warnings: a sentence for each thing that does not fit together.
    """

    mime_type: str
    kind: FileKind
    means: Means
    certainty: Certainty | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The bytes of a file that tell its type; see `core.sniff.sniff`."""

    head: bytes
    tail: bytes = b""
    behind_tag: bytes = b""
    size_bytes: int

    @classmethod
    def of(cls, data: bytes) -> Sample:
        """Return the sample of a whole file."""
        size, tag = len(data), id3_bytes(data[:HEAD_BYTES])
        return cls(
            head=data[:HEAD_BYTES],
            tail=data[-TAIL_BYTES:] if size > HEAD_BYTES else b"",
            behind_tag=data[tag : tag + _BEHIND_TAG_BYTES] if tag >= HEAD_BYTES else b"",
            size_bytes=size,
        )


async def detect_type(
    source: Path | bytes,
    *,
    name: str | None = None,
    declared_type: str | None = None,
    workers: Workers | None = None,
) -> DetectedType:
    """Tell what a file is.

    Args:
        source: the file, or all of its bytes.
        name: what it is called; the path's name when left out.
        declared_type: the MIME type that its sender gives it.
        workers: where libmagic is asked when nothing else knows; it is not asked without them.

    Raises:
        TargetMissing: there is no such file.
        TargetUnreadable: it may not be read, or is no regular file.
    """
    if isinstance(source, bytes):
        sample = Sample.of(source)
    else:
        name = source.name if name is None else name
        sample = await asyncio.to_thread(read_sample, source)
    detected = detect_sample(sample, name=name, declared_type=declared_type)
    if workers is None or not sample.head or detected.means in {Means.CONTENT, Means.FILETYPE}:
        return detected
    told = await workers.run(
        type_tasks.ask_libmagic,
        name=name or "the file",
        timeout_s=_LIBMAGIC_TIMEOUT_S,
        head=sample.head.hex(),
    )
    mime_type = canonical(told["mime_type"] or UNKNOWN_TYPE)
    if mime_type in _NOT_BELIEVED:
        return detected
    return _by_content(mime_type, Means.LIBMAGIC, None, sample, name, declared_type)


def detect_sample(
    sample: Sample, *, name: str | None = None, declared_type: str | None = None
) -> DetectedType:
    """Tell what a file is by what was read of it; nothing more is read.

    Args:
        sample: what `read_sample` returned.
        name: what the file is called.
        declared_type: the MIME type that its sender gives it.
    """
    if not sample.head:
        return DetectedType(
            mime_type=UNKNOWN_TYPE,
            kind=FileKind.UNKNOWN,
            means=Means.NOTHING,
            warnings=("it is empty",),
        )
    found = sniff(sample.head, sample.tail, behind_tag=sample.behind_tag)
    if found is not None:
        return _by_content(
            found.mime_type, Means.CONTENT, found.certainty, sample, name, declared_type
        )
    if (guessed := _ask_filetype(sample.head)) is not None:
        return _by_content(guessed, Means.FILETYPE, None, sample, name, declared_type)
    return _by_claim(name, declared_type)


def read_sample(path: Path, *, follow_links: bool = True) -> Sample:
    """Read what tells a file's type: at most 140 KiB.

    Args:
        path: the file.
        follow_links: whether it may be a symbolic link.

    Raises:
        TargetMissing: there is no such file.
        TargetUnreadable: it may not be read, or is no regular file.
    """
    # A pipe without a writer would block for ever.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
        try:
            return _read(descriptor, path.name)
        finally:
            os.close(descriptor)
    except OSError as error:
        message = f"{path.name}: {error.strerror or error}"
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            raise TargetMissing(message, hint="Check the spelling of the path.") from error
        raise TargetUnreadable(message, hint="Give yourself read permission.") from error


def _read(descriptor: int, name: str) -> Sample:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise TargetUnreadable(f"{name} is no regular file", hint="Name a file.")
    size = status.st_size
    head = os.pread(descriptor, HEAD_BYTES, 0)
    tag = id3_bytes(head)
    return Sample(
        head=head,
        tail=os.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))
        if size > len(head)
        else b"",
        behind_tag=os.pread(descriptor, _BEHIND_TAG_BYTES, tag) if tag >= HEAD_BYTES else b"",
        size_bytes=size,
    )


def _ask_filetype(head: bytes) -> str | None:
    import filetype

    kind = filetype.guess(head)
    mime_type = UNKNOWN_TYPE if kind is None else canonical(kind.mime)
    return None if mime_type in _NOT_BELIEVED else mime_type


def _by_content(
    mime_type: str,
    means: Means,
    certainty: Certainty | None,
    sample: Sample,
    name: str | None,
    declared_type: str | None,
) -> DetectedType:
    named = types_of_name(name or "")
    declared = canonical(declared_type or UNKNOWN_TYPE)
    warnings = []
    if not agree(mime_type, named):
        warnings.append(f"its name says {named[0]}, its content is {mime_type}")
    if not agree(mime_type, [declared]):
        warnings.append(f"it was declared as {declared}, its content is {mime_type}")
    warnings += other_natures(mime_type, sample.head, sample.tail)
    told = next((each for each in (*named, declared) if refines(mime_type, each)), mime_type)
    return DetectedType(
        mime_type=told,
        kind=kind_of(told),
        means=means,
        certainty=certainty,
        warnings=tuple(warnings),
    )


def _by_claim(name: str | None, declared_type: str | None) -> DetectedType:
    """Believe the name, else who sent it; text is not believed, since it would have been seen."""
    nothing = DetectedType(mime_type=UNKNOWN_TYPE, kind=FileKind.UNKNOWN, means=Means.NOTHING)
    named = types_of_name(name or "")
    claims = [(each, Means.NAME) for each in named[:1]]
    if declared_type is not None:
        claims.append((canonical(declared_type), Means.DECLARED))
    for claimed, means in claims:
        if claimed == UNKNOWN_TYPE:
            continue
        doubt = f"nothing in it says that it is {claimed}, as its {means} does"
        warned = replace(nothing, warnings=(doubt,) if claimed in KNOWN_TYPES else ())
        if kind_of(claimed) is FileKind.TEXT:
            return warned
        return replace(warned, mime_type=claimed, kind=kind_of(claimed), means=means)
    return nothing
