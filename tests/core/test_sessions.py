"""Upload sessions: the grid, what is missing, sums joined from pieces, and a model of bytes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from haulier.core.checksums import crc32, crc64nvme
from haulier.core.sessions.chunks import ChunkGrid, ChunkSet, Span, chunk_size_for
from haulier.core.sessions.session import (
    Extent,
    Order,
    ReceivedChunks,
    SessionStatus,
    UploadSession,
)
from haulier.errors import (
    ChunksMissing,
    FileSizeError,
    SessionConflict,
    SessionGone,
    ValidationError,
)

MIB = 1 << 20
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def session(**changes):
    plain = UploadSession(
        session_id="0123456789abcdefghij",
        owner_id="u1",
        name="clip.mp4",
        size_bytes=10,
        chunk_size=4,
        order=Order.SEQUENTIAL,
        created_at=NOW,
        expires_at=NOW + timedelta(hours=24),
    )
    return replace(plain, **changes)


def extent(data: bytes, offset: int) -> Extent:
    return Extent(span=Span(offset, len(data)), crc64nvme=crc64nvme(data), crc32=crc32(data))


@pytest.mark.parametrize(
    ("size", "local", "in_s3"),
    [
        (0, MIB, 5 * MIB),
        (25 * MIB - 1, MIB, 5 * MIB),
        (25 * MIB, 5 * MIB, 5 * MIB),
        (100 * MIB, 5 * MIB, 5 * MIB),
        (100 * MIB + 1, 10 * MIB, 10 * MIB),
        (None, 10 * MIB, 10 * MIB),
        (200_000 * MIB, 10 * MIB, 20 * MIB),
        (10_000 * 100 * MIB, 10 * MIB, 100 * MIB),
    ],
)
def test_the_chunk_size_grows_with_the_file(size, local, in_s3):
    assert chunk_size_for(size) == local
    assert chunk_size_for(size, in_s3=True) == in_s3


def test_a_file_beyond_what_s3_takes_is_refused():
    with pytest.raises(FileSizeError, match="10000 parts"):
        chunk_size_for(10_000 * 100 * MIB + 1, in_s3=True)


@given(st.integers(0, 10**14))
def test_s3_chunks_are_parts_that_s3_takes(size):
    if size <= 10_000 * 100 * MIB:
        chunk = chunk_size_for(size, in_s3=True)
        assert 5 * MIB <= chunk <= 100 * MIB
        assert -(-size // chunk) <= 10_000


@given(st.integers(0, 10_000), st.integers(1, 300))
def test_chunks_cover_the_file_once(size, chunk_size):
    grid = ChunkGrid(size, chunk_size)
    end = 0
    for number in range(1, (grid.total or 0) + 1):
        span = grid.span(number)
        assert span.offset == end
        assert grid.number_of(span) == number
        end = span.end
    assert end == size


@pytest.mark.parametrize("number", [0, -1, 4, 10**9])
def test_a_chunk_that_is_not_there_is_refused(number):
    with pytest.raises(ValidationError, match="no chunk"):
        ChunkGrid(10, 4).span(number)


@pytest.mark.parametrize("span", [Span(1, 4), Span(0, 3), Span(8, 4), Span(12, 4), Span(4, 0)])
def test_bytes_that_are_not_a_chunk_are_refused(span):
    with pytest.raises(ValidationError, match="not one chunk"):
        ChunkGrid(10, 4).number_of(span)


def test_while_the_size_is_unknown_the_last_chunk_may_be_short():
    grid = ChunkGrid(None, 4)
    assert grid.total is None
    assert grid.span(1000) == Span(3996, 4)
    assert grid.number_of(Span(4, 3)) == 2


@given(st.sets(st.integers(1, 60)), st.integers(0, 60))
def test_missing_is_what_is_not_received(numbers, total):
    received = ChunkSet()
    for number in numbers:
        received.add(number)
    assert len(received) == len(numbers)
    assert {n for a, b in received.runs for n in range(a, b + 1)} == numbers
    missing = {n for a, b in received.missing(total) for n in range(a, b + 1)}
    assert missing == set(range(1, total + 1)) - numbers
    assert ChunkSet(received.runs).runs == received.runs


@settings(max_examples=50)
@given(st.binary(max_size=200), st.integers(1, 50), st.randoms())
def test_sums_of_chunks_join_to_those_of_the_file(data, chunk_size, random):
    grid = ChunkGrid(len(data), chunk_size)
    numbers = list(range(1, (grid.total or 0) + 1))
    random.shuffle(numbers)
    extents = {}
    for number in numbers:
        span = grid.span(number)
        extents[number] = extent(data[span.offset : span.end], span.offset)
    whole = ReceivedChunks(grid, extents).whole()
    assert (whole.size_bytes, whole.crc64nvme, whole.crc32) == (
        len(data),
        crc64nvme(data),
        crc32(data),
    )


def test_missing_chunks_are_named():
    received = ReceivedChunks(ChunkGrid(20, 4), {2: extent(b"abcd", 4), 4: extent(b"abcd", 12)})
    with pytest.raises(ChunksMissing) as caught:
        received.whole()
    assert caught.value.missing == [(1, 1), (3, 3), (5, 5)]


def test_a_short_chunk_in_the_middle_is_noticed():
    received = ReceivedChunks(ChunkGrid(None, 4), {1: extent(b"abc", 0), 2: extent(b"abcd", 4)})
    with pytest.raises(SessionConflict, match="chunk 1 is short"):
        received.whole()


@pytest.mark.parametrize(
    "status", [SessionStatus.CANCELLED, SessionStatus.EXPIRED, SessionStatus.FAILED]
)
def test_an_ended_session_takes_nothing(status):
    with pytest.raises(SessionGone, match=f"{status}: disk"):
        session(status=status, error="disk").check_open()


def test_a_complete_session_takes_nothing():
    for status in (SessionStatus.FINISHING, SessionStatus.VERIFYING, SessionStatus.COMPLETED):
        with pytest.raises(SessionConflict):
            session(status=status).check_open()


def test_a_size_told_later_holds_once():
    later = session(size_bytes=None, offset=6)
    with pytest.raises(FileSizeError, match="arrived"):
        later.with_size(5)
    with pytest.raises(FileSizeError, match="allowed"):
        later.with_size(50, most_bytes=49)
    told = later.with_size(6)
    assert told.is_whole
    assert told.with_size(6) == told
    with pytest.raises(SessionConflict):
        told.with_size(7)


def test_life_counts_from_the_last_bytes_and_never_shrinks():
    fresh = session()
    assert not fresh.is_expired(NOW + timedelta(hours=23))
    assert fresh.is_expired(NOW + timedelta(hours=24))
    assert not replace(fresh, status=SessionStatus.COMPLETED).is_expired(NOW + timedelta(days=9))
    longer = fresh.touched(NOW + timedelta(hours=1), timedelta(hours=24))
    assert longer.expires_at == NOW + timedelta(hours=25)
    assert longer.touched(NOW, timedelta(hours=1)) == longer


class SequentialUpload(RuleBasedStateMachine):
    """Appends at right and wrong offsets, against the bytes themselves."""

    @initialize(size=st.integers(0, 60))
    def begin(self, size):
        self.kept = b""
        self.session = session(size_bytes=size)

    @rule(data=st.binary(max_size=20))
    def append(self, data):
        piece = extent(data, len(self.kept))
        if len(self.kept) + len(data) > self.session.size_bytes:
            with pytest.raises(FileSizeError):
                self.session.appended(piece)
            return
        self.session = self.session.appended(piece)
        self.kept += data

    @precondition(lambda self: self.kept)
    @rule(data=st.binary(min_size=1, max_size=5), back=st.integers(1, 60))
    def append_elsewhere(self, data, back):
        offset = max(0, len(self.kept) - back)
        if offset != len(self.kept):
            with pytest.raises(SessionConflict):
                self.session.appended(extent(data, offset))

    @invariant()
    def sums_are_those_of_the_bytes(self):
        if not hasattr(self, "session"):
            return
        assert self.session.offset == len(self.kept)
        assert self.session.crc64nvme == crc64nvme(self.kept)
        assert self.session.crc32 == crc32(self.kept)
        assert self.session.is_whole == (len(self.kept) == self.session.size_bytes)


TestSequentialUpload = SequentialUpload.TestCase
TestSequentialUpload.settings = settings(max_examples=40, stateful_step_count=15)
