"""The state machine of ranged downloads, against tables and a model of all kinds of servers."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from haulier.core.file_version import AnswerHead, Version
from haulier.core.ranges import Condition, Flight, RangedDownload, Resumable, Verdict
from haulier.errors import ObjectChanged, RequestRejected, ServiceFault

OLD = "Thu, 01 Jan 2026 00:00:00 GMT"
LATER = "Thu, 01 Jan 2026 00:01:00 GMT"
SOON = "Thu, 01 Jan 2026 00:00:59 GMT"


def part(start: int, end: int, total: int | None, **values: Any) -> AnswerHead:
    return AnswerHead(
        status=206, start=start, end=end, total_bytes=total, **{"etag": '"a"', **values}
    )


def resumed(done: tuple[tuple[int, int], ...], **version: Any) -> RangedDownload:
    values = {"size_bytes": 100, "etag": '"a"', **version}
    return RangedDownload(piece_bytes=None, resume=Resumable(version=Version(**values), done=done))


def ask(download: RangedDownload) -> Flight:
    flight = download.next_flight()
    assert flight is not None
    return flight


def test_the_first_piece_is_asked_for_alone_then_the_rest_at_once() -> None:
    download = RangedDownload(piece_bytes=40)
    first = ask(download)
    assert (first.start, first.end, first.if_range, first.whole) == (0, 40, None, False)
    assert download.next_flight() is None
    assert download.judge(first, part(0, 40, 100)) is Verdict.TAKE
    second, third = ask(download), ask(download)
    assert [(f.start, f.end, f.if_range) for f in (second, third)] == [
        (40, 80, '"a"'),
        (80, 100, '"a"'),
    ]
    assert download.next_flight() is None
    for flight in (third, first, second):
        download.judge(flight, part(flight.start, flight.end or 0, 100))
        download.wrote(flight, download.room(flight, 1000))
        download.land(flight, clean=True)
    assert download.is_complete
    assert download.next_flight() is None
    assert download.done_bytes == 100


def test_a_resumed_download_asks_for_the_gaps_only() -> None:
    download = resumed(((10, 20), (30, 100)))
    flight = ask(download)
    assert (flight.start, flight.end, flight.if_range) == (0, 10, '"a"')
    assert download.judge(flight, part(0, 10, 100)) is Verdict.TAKE
    assert ask(download).start == 20


@pytest.mark.parametrize(
    "head",
    [
        part(11, 50, 100),
        part(9, 50, 100),
        part(10, 101, 101),
        part(10, 50, None),
        part(10, 10, 100),
        part(10, 50, 40),
        AnswerHead(status=206, etag='"a"'),
    ],
)
def test_a_206_that_is_not_what_was_asked_for_is_left_and_the_whole_asked_for(
    head: AnswerHead,
) -> None:
    download = resumed(((0, 10),))
    flight = ask(download)
    assert download.judge(flight, head) is Verdict.AGAIN
    download.land(flight, clean=False)
    again = ask(download)
    assert again.whole
    assert (
        download.judge(again, AnswerHead(status=200, etag='"a"', total_bytes=100)) is Verdict.TAKE
    )
    assert (download.epoch, download.done_bytes, again.position) == (0, 10, 0)


@pytest.mark.parametrize(
    "values", [{"etag": '"b"'}, {"etag": None}, {"etag": 'W/"a"'}, {"end": 90, "total": 90}]
)
def test_a_206_of_another_version_voids_what_is_there(values: dict[str, Any]) -> None:
    download = resumed(((0, 10),))
    head = part(10, values.pop("end", 100), values.pop("total", 100), **values)
    assert download.judge(ask(download), head) is Verdict.START_OVER
    assert (download.epoch, download.done_bytes, download.version) == (1, 0, None)
    assert ask(download).start == 0


@pytest.mark.parametrize("modified", [LATER, None])
def test_a_206_of_another_date_voids_what_is_there(modified: str | None) -> None:
    download = resumed(((0, 10),), etag=None, last_modified=OLD)
    flight = ask(download)
    assert flight.if_range == OLD
    head = part(10, 100, 100, etag=None, last_modified=modified)
    assert download.judge(flight, head) is Verdict.START_OVER


def test_a_200_of_another_version_voids_what_is_there() -> None:
    download = resumed(((0, 10),))
    head = AnswerHead(status=200, etag='"b"', total_bytes=100)
    assert download.judge(ask(download), head) is Verdict.START_OVER


def test_answers_to_flights_of_before_are_left() -> None:
    download = RangedDownload(piece_bytes=40)
    first = ask(download)
    download.judge(first, part(0, 40, 100))
    second, third = ask(download), ask(download)
    assert download.judge(second, part(40, 80, 100, etag='"b"')) is Verdict.START_OVER
    assert download.judge(third, part(80, 100, 100)) is Verdict.AGAIN
    assert download.room(first, 10) == 0
    download.wrote(first, 10)
    download.land(first, clean=True)
    assert download.done_bytes == 0


def test_conditions_are_lowered_while_the_server_sends_the_same_version_whole() -> None:
    download = resumed(((0, 10),), last_modified=OLD)
    same = AnswerHead(status=200, etag='"a"', total_bytes=100)
    seen = []
    for verdict in (Verdict.AGAIN, Verdict.AGAIN, Verdict.TAKE):
        flight = ask(download)
        seen.append(flight.if_range)
        assert download.judge(flight, same) is verdict
        if verdict is Verdict.AGAIN:
            download.land(flight, clean=False)
    assert seen == ['"a"', OLD, None]
    assert (flight.position, flight.end, download.done_bytes) == (0, 100, 10)


def test_two_flights_at_once_lower_the_condition_once() -> None:
    download = RangedDownload(piece_bytes=40)
    first = ask(download)
    download.judge(first, part(0, 40, 100, last_modified=OLD, date=LATER))
    second, third = ask(download), ask(download)
    same = AnswerHead(status=200, etag='"a"', total_bytes=100)
    assert [download.judge(flight, same) for flight in (second, third)] == [Verdict.AGAIN] * 2
    download.land(second, clean=False)
    assert ask(download).condition is Condition.DATE


def test_without_proof_the_file_is_taken_in_one_answer_or_from_the_start() -> None:
    download = RangedDownload(piece_bytes=40)
    flight = ask(download)
    assert download.judge(flight, part(0, 40, 100, etag='W/"a"')) is Verdict.AGAIN
    download.land(flight, clean=False)
    flight = ask(download)
    assert flight.whole
    assert download.judge(flight, AnswerHead(status=200, total_bytes=100)) is Verdict.TAKE
    download.wrote(flight, 50)
    assert download.resumable() is None
    download.land(flight, clean=False)
    assert (download.epoch, download.done_bytes) == (1, 0)


def test_a_file_that_fits_one_piece_needs_no_proof() -> None:
    download = RangedDownload(piece_bytes=400)
    flight = ask(download)
    assert download.judge(flight, part(0, 100, 100, etag=None)) is Verdict.TAKE
    download.wrote(flight, 100)
    download.land(flight, clean=True)
    assert download.is_complete


def test_a_body_without_length_ends_where_it_ends() -> None:
    download = RangedDownload(piece_bytes=40)
    flight = ask(download)
    assert download.judge(flight, AnswerHead(status=200)) is Verdict.TAKE
    download.wrote(flight, download.room(flight, 70))
    assert not download.is_complete
    download.land(flight, clean=True)
    assert (download.is_complete, download.size_bytes) == (True, 70)


def test_a_broken_body_without_length_is_not_whole() -> None:
    download = RangedDownload(piece_bytes=40)
    flight = ask(download)
    download.judge(flight, AnswerHead(status=200, etag='"a"'))
    download.wrote(flight, 70)
    download.land(flight, clean=False)
    assert not download.is_complete
    again = ask(download)
    assert (again.start, again.end) == (70, 110)
    assert (
        download.judge(again, AnswerHead(status=416, total_bytes=70, etag='"a"'))
        is Verdict.COMPLETE
    )
    assert download.is_complete


@pytest.mark.parametrize(
    ("head", "verdict"),
    [
        (AnswerHead(status=416, total_bytes=0), Verdict.COMPLETE),
        (AnswerHead(status=200, total_bytes=0), Verdict.COMPLETE),
        (AnswerHead(status=416), Verdict.AGAIN),
    ],
)
def test_an_empty_file(head: AnswerHead, verdict: Verdict) -> None:
    download = RangedDownload(piece_bytes=40)
    flight = ask(download)
    assert download.judge(flight, head) is verdict
    download.land(flight, clean=False)
    assert download.is_complete == (verdict is Verdict.COMPLETE)


def test_a_file_that_shrank_is_noticed_by_416() -> None:
    download = resumed(((0, 90),))
    head = AnswerHead(status=416, total_bytes=80)
    assert download.judge(ask(download), head) is Verdict.START_OVER


def test_answers_that_make_no_sense_are_errors() -> None:
    download = RangedDownload(piece_bytes=40)
    download._only_whole = True
    flight = ask(download)
    with pytest.raises(ServiceFault, match="a part came"):
        download.judge(flight, part(0, 100, 100))
    with pytest.raises(RequestRejected, match="refuses"):
        download.judge(flight, AnswerHead(status=416))
    with pytest.raises(ServiceFault, match="unexpected answer 304"):
        download.judge(flight, AnswerHead(status=304))


def test_a_server_with_a_new_etag_in_each_answer_is_asked_for_the_whole_in_the_end() -> None:
    download = RangedDownload(piece_bytes=10)
    for number in range(20):
        flight = ask(download)
        if flight.whole:
            break
        download.judge(flight, part(flight.start, flight.end or 0, 100, etag=f'"{number}"'))
        download.wrote(flight, download.room(flight, 10))
        if flight in download._flights:
            download.land(flight, clean=True)
    assert flight.whole
    assert (
        download.judge(flight, AnswerHead(status=200, etag='"x"', total_bytes=100)) is Verdict.TAKE
    )


def test_starting_over_has_an_end() -> None:
    download = RangedDownload(piece_bytes=10)

    def breaks() -> None:
        flight = ask(download)
        download.judge(flight, AnswerHead(status=200, total_bytes=100))
        download.wrote(flight, 5)
        download.land(flight, clean=False)

    for _ in range(10):
        breaks()
    with pytest.raises(ObjectChanged, match="started over 10 times"):
        breaks()
    assert download.epoch == 11


# A model of a server, as bad as can be, and a driver that does what the machine says.


@dataclass
class Answer:
    flight: Flight
    body: bytes
    verdict: Verdict
    ended_by_server: bool = True


@dataclass
class ModelServer:
    """Serves the newest of its versions; what it honours is drawn."""

    etags: str = "strong"
    dates: bool = True
    takes_ranges: bool = True
    if_range: str = "both"
    shows_length: bool = True
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    versions: list[tuple[bytes, str, datetime]] = field(default_factory=list)

    def change(self, content: bytes) -> None:
        self.versions.append((content, f'"v{len(self.versions)}"', self.now))

    def answer(self, flight: Flight) -> tuple[AnswerHead, bytes]:
        content, etag, modified = self.versions[-1]
        headers = {
            "etag": {"strong": etag, "weak": 'W/"same"', "none": None}[self.etags],
            "last_modified": format_datetime(modified, usegmt=True) if self.dates else None,
            "date": format_datetime(self.now, usegmt=True),
        }
        total = len(content)
        whole = AnswerHead(status=200, total_bytes=total if self.shows_length else None, **headers)
        if flight.whole or not self.takes_ranges or not self._unchanged(flight, headers):
            return whole, content
        if flight.start >= total:
            return AnswerHead(status=416, total_bytes=total, **headers), b""
        end = total if flight.end is None else min(flight.end, total)
        head = AnswerHead(status=206, start=flight.start, end=end, total_bytes=total, **headers)
        return head, content[flight.start : end]

    def _unchanged(self, flight: Flight, headers: dict[str, Any]) -> bool:
        if flight.if_range is None or self.if_range == "ignored":
            return True
        if flight.if_range.startswith('"'):
            return self.if_range != "dates" and flight.if_range == headers["etag"]
        return self.if_range != "etags" and flight.if_range == headers["last_modified"]


class DownloadMachine(RuleBasedStateMachine):
    """Requests, answers, pieces, cuts, changes and crashes in any order."""

    @initialize(
        etags=st.sampled_from(["strong", "strong", "weak", "none"]),
        dates=st.booleans(),
        takes_ranges=st.booleans(),
        if_range=st.sampled_from(["both", "etags", "dates", "ignored"]),
        shows_length=st.booleans(),
        piece_bytes=st.sampled_from([None, 1, 7, 30, 1000]),
        content=st.binary(max_size=60),
        age_s=st.integers(0, 120),
    )
    def begin(self, piece_bytes: int | None, content: bytes, age_s: int, **server: Any) -> None:
        self.server = ModelServer(**server)
        self.server.change(content)
        self.server.now += timedelta(seconds=age_s)
        self.piece_bytes = piece_bytes
        self.download = RangedDownload(piece_bytes=piece_bytes)
        self.file = bytearray()
        self.asked: list[Flight] = []
        self.answers: list[Answer] = []
        self.epoch = 0
        self.gave_up = False

    @rule(seconds=st.sampled_from([0, 1, 59, 60, 600]))
    def time_passes(self, seconds: int) -> None:
        self.server.now += timedelta(seconds=seconds)

    @rule(same_size=st.booleans(), content=st.binary(max_size=60))
    def file_changes(self, same_size: bool, content: bytes) -> None:
        current = self.server.versions[-1][0]
        self.server.change(bytes(byte ^ 0xFF for byte in current) if same_size else content)

    @precondition(lambda self: not self.gave_up and len(self.asked) + len(self.answers) < 4)
    @rule()
    def ask(self) -> None:
        flight = self.download.next_flight()
        if flight is not None:
            self.asked.append(flight)
        else:
            assert self.download.is_complete or self.asked or self.answers, "stuck"

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), shorter=st.booleans())
    def server_answers(self, data: st.DataObject, shorter: bool) -> None:
        flight = self.asked.pop(data.draw(st.integers(0, len(self.asked) - 1)))
        head, body = self.server.answer(flight)
        try:
            verdict = self.download.judge(flight, head)
        except ObjectChanged:
            self.gave_up = True
            return
        if self.voided():
            return
        if verdict is Verdict.TAKE:
            cut = len(body) // 2 if shorter and head.total_bytes is not None else len(body)
            self.answers.append(Answer(flight, body[:cut], verdict))
        else:
            self.land(flight, clean=False)

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), count=st.integers(1, 40))
    def bytes_come(self, data: st.DataObject, count: int) -> None:
        answer = data.draw(st.sampled_from(self.answers))
        piece, answer.body = answer.body[:count], answer.body[count:]
        flight = answer.flight
        room = self.download.room(flight, len(piece))
        if len(self.file) < flight.position + room:
            self.file.extend(bytes(flight.position + room - len(self.file)))
        self.file[flight.position : flight.position + room] = piece[:room]
        self.download.wrote(flight, room)
        if flight.is_full or not answer.body:
            self.answers.remove(answer)
            self.land(flight, clean=not answer.body)

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def connection_breaks(self, data: st.DataObject) -> None:
        answer = data.draw(st.sampled_from(self.answers))
        self.answers.remove(answer)
        self.land(answer.flight, clean=False)

    @rule()
    def process_is_killed_and_resumes(self) -> None:
        if self.download.is_complete:
            return
        kept = self.download.resumable()
        self.download = RangedDownload(piece_bytes=self.piece_bytes, resume=kept)
        if kept is None:
            self.file.clear()
        self.gave_up = False
        self.epoch = 0
        self.asked.clear()
        self.answers.clear()

    def land(self, flight: Flight, *, clean: bool) -> None:
        try:
            self.download.land(flight, clean=clean)
        except ObjectChanged:
            self.gave_up = True
        self.voided()

    def voided(self) -> bool:
        """When the machine started over: stop everything and empty the file, as a driver does."""
        if self.download.epoch == self.epoch:
            return False
        self.epoch = self.download.epoch
        self.file.clear()
        self.asked.clear()
        self.answers.clear()
        return True

    @invariant()
    def what_is_complete_is_one_version(self) -> None:
        if hasattr(self, "download") and self.download.is_complete:
            size = self.download.size_bytes
            assert bytes(self.file[:size]) in {content for content, _, _ in self.server.versions}
            assert size == len(self.file)


TestDownloadMachine = DownloadMachine.TestCase
TestDownloadMachine.settings = settings(max_examples=100, stateful_step_count=40)


@settings(max_examples=200)
@given(
    etags=st.sampled_from(["strong", "weak", "none"]),
    dates=st.booleans(),
    takes_ranges=st.booleans(),
    if_range=st.sampled_from(["both", "etags", "dates", "ignored"]),
    shows_length=st.booleans(),
    piece_bytes=st.sampled_from([None, 7, 30]),
    content=st.binary(max_size=60),
    cuts=st.lists(st.integers(0, 30), max_size=5),
)
def test_every_kind_of_server_gives_the_file_in_the_end(
    piece_bytes: int | None, content: bytes, cuts: list[int], **kind: Any
) -> None:
    server = ModelServer(**kind)
    server.change(content)
    server.now += timedelta(seconds=300)
    download = RangedDownload(piece_bytes=piece_bytes)
    file = bytearray()
    for _ in range(40):
        if download.is_complete:
            break
        flight = ask(download)
        head, body = server.answer(flight)
        epoch = download.epoch
        if download.judge(flight, head) is not Verdict.TAKE:
            if epoch == download.epoch:
                download.land(flight, clean=False)
            continue
        taken = body[: cuts.pop()] if cuts else body
        count = download.room(flight, len(taken))
        file[flight.position : flight.position + count] = taken[:count]
        download.wrote(flight, count)
        download.land(flight, clean=taken == body)
        if download.epoch != epoch:
            file.clear()
    assert download.is_complete
    assert bytes(file) == content
