"""How a file that joins others is made of the parts that these were stored in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from haulier.core.checksums import combine_crc32, combine_crc64nvme
from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import Extent, UploadSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Bytes of one of the files that are joined; `source` is its place among them."""

    source: int
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedPart:
    """A part of the joined file: what it is made of, and where it lies with which sums."""

    runs: tuple[Run, ...]
    extent: Extent


def plan_joined(
    files: Sequence[Sequence[Extent]], *, least_bytes: int, most_bytes: int
) -> list[JoinedPart]:
    """Cut files, one behind the other, into parts of at least so many bytes, but for the last.

    Cuts lie where files were cut already, so that every part's sums are known. Most parts are one
    run of one file; others begin with the end of a file that was too little for a part.

    Args:
        files: the extents of each file, in their order, without a gap.
        least_bytes: of a part that another one follows.
        most_bytes: of a part of several extents of one file.
    """
    parts: list[JoinedPart] = []
    gathered: JoinedPart | None = None
    for source, extents in enumerate(files):
        for extent in extents:
            if gathered is not None and _is_full(gathered, source, extent, least_bytes, most_bytes):
                parts.append(gathered)
                gathered = JoinedPart(runs=(), extent=_empty(gathered.extent.span.end))
            gathered = _with(gathered or JoinedPart(runs=(), extent=_empty(0)), source, extent)
    return parts if gathered is None else [*parts, gathered]


def extents_of(session: UploadSession, parts: Sequence[Extent]) -> list[Extent]:
    """Return the extents of a whole sequential session: its parts, and what lies behind them."""
    stored = _empty(0)
    for part in parts:
        stored = stored.followed_by(part)
    length = session.offset - stored.span.length
    if not length:
        return list(parts)
    # The sum of a whole is that of its beginning, shifted by the length of the rest, and that of
    # the rest, added without carry: adding the shifted beginning once more leaves the rest's.
    rest = Extent(
        span=Span(stored.span.length, length),
        crc64nvme=session.crc64nvme ^ combine_crc64nvme(stored.crc64nvme, 0, length),
        crc32=session.crc32 ^ combine_crc32(stored.crc32, 0, length),
    )
    return [*parts, rest]


def _is_full(
    part: JoinedPart, source: int, following: Extent, least_bytes: int, most_bytes: int
) -> bool:
    size_bytes = part.extent.span.length
    if size_bytes < least_bytes:
        return False
    of_one_file = {run.source for run in part.runs} == {source}
    return not of_one_file or size_bytes + following.span.length > most_bytes


def _with(part: JoinedPart, source: int, extent: Extent) -> JoinedPart:
    *before, last = part.runs or (None,)
    if last is not None and last.source == source and last.span.end == extent.span.offset:
        span = Span(last.span.offset, last.span.length + extent.span.length)
        runs = (*before, Run(source=source, span=span))
    else:
        runs = (*part.runs, Run(source=source, span=extent.span))
    moved = replace(extent, span=Span(part.extent.span.end, extent.span.length))
    return JoinedPart(runs=tuple(run for run in runs if run), extent=part.extent.followed_by(moved))


def _empty(offset: int) -> Extent:
    return Extent(span=Span(offset, 0), crc64nvme=0, crc32=0)
