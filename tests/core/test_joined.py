"""Parts of a joined file: whatever sizes are joined, they are its bytes in order, with their sums."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from haulier.core.checksums import crc32, crc64nvme
from haulier.core.records import utc_now
from haulier.core.sessions.chunks import Span
from haulier.core.sessions.joined import extents_of, plan_joined
from haulier.core.sessions.session import Extent, Order, UploadSession


def cut(data, sizes):
    """Return the extents of `data` cut into pieces of those sizes, and of what remains."""
    ends = [*itertools.accumulate(sizes, initial=0)]
    spans = [(a, min(b, len(data))) for a, b in itertools.pairwise(ends) if a < len(data)]
    if ends[-1] < len(data):
        spans.append((ends[-1], len(data)))
    return [extent(data, a, b) for a, b in spans]


def extent(data, start, end):
    piece = data[start:end]
    return Extent(span=Span(start, end - start), crc64nvme=crc64nvme(piece), crc32=crc32(piece))


FILES = st.lists(
    st.tuples(st.binary(max_size=60), st.lists(st.integers(1, 20), max_size=6)),
    max_size=6,
)


@given(FILES, st.integers(1, 12), st.integers(1, 40))
def test_parts_are_the_files_in_their_order(files, least_bytes, most_bytes):
    contents = [data for data, _ in files]
    extents = [cut(data, sizes) for data, sizes in files]
    parts = plan_joined(extents, least_bytes=least_bytes, most_bytes=most_bytes)
    whole, joined = b"".join(contents), b""
    for part in parts:
        made = b"".join(contents[run.source][run.span.offset : run.span.end] for run in part.runs)
        assert part.extent.is_same(
            Extent(span=Span(len(joined), len(made)), crc64nvme=crc64nvme(made), crc32=crc32(made))
        )
        joined += made
    assert joined == whole
    assert all(part.extent.span.length >= least_bytes for part in parts[:-1])
    longest = max((one.span.length for many in extents for one in many), default=0)
    for part in parts:
        if len(part.runs) == 1:
            # What is too little is never more than one extent short of enough.
            assert part.extent.span.length <= max(most_bytes, least_bytes + longest)


def test_large_files_are_parts_by_themselves():
    files = [cut(bytes(20), [5, 5, 5, 5]), cut(bytes(13), [5, 5, 3]), cut(bytes(10), [5, 5])]
    parts = plan_joined(files, least_bytes=5, most_bytes=10)
    sizes = [[(run.source, run.span.length) for run in part.runs] for part in parts]
    assert sizes == [
        [(0, 10)],
        [(0, 10)],
        [(1, 10)],
        [(1, 3), (2, 5)],
        [(2, 5)],
    ]


@given(st.binary(max_size=60), st.lists(st.integers(1, 20), max_size=4))
def test_what_lies_behind_the_parts_of_a_session_has_its_sums(data, sizes):
    parts = [one for one in cut(data, sizes) if one.span.end <= sum(sizes)]
    session = UploadSession(
        session_id="a" * 32,
        owner_id="u1",
        name="clip.mp4",
        size_bytes=len(data),
        chunk_size=5,
        order=Order.SEQUENTIAL,
        created_at=utc_now(),
        expires_at=utc_now(),
        offset=len(data),
        crc64nvme=crc64nvme(data),
        crc32=crc32(data),
    )
    found = extents_of(session, parts)
    end = parts[-1].span.end if parts else 0
    expected = [*parts, extent(data, end, len(data))] if end < len(data) else parts
    assert len(found) == len(expected)
    assert all(one.is_same(other) for one, other in zip(found, expected, strict=True))
