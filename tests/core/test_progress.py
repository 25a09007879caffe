import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.core.progress import Progress, ProgressBoard, ProgressState

MIB = 1 << 20


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> ProgressBoard:
    return ProgressBoard(clock)


def states(events: list[Progress]) -> list[tuple[str, str]]:
    return [(event.id, event.state) for event in events]


def test_started_once_advanced_often_finished_once(board: ProgressBoard) -> None:
    meter = board.start("1", "a.mp4", 10, "packing")
    [first] = board.sample()
    assert first == Progress(
        id="1", name="a.mp4", stage="packing", state=ProgressState.STARTED, done_bytes=0,
        total_bytes=10, rate_bps=0.0, eta_s=None, elapsed_s=0.0,
    )  # fmt: skip
    meter.add(4)
    meter.set_stage("uploading")
    [event] = board.sample()
    assert (event.state, event.done_bytes, event.stage) == ("advanced", 4, "uploading")
    assert event.fraction == 0.4
    meter.add(6)
    meter.finish()
    [last] = board.sample()
    assert (last.state, last.done_bytes, last.is_final) == ("finished", 10, True)
    assert board.sample() == []


def test_what_begins_and_ends_between_two_samples_is_reported_as_both(board: ProgressBoard) -> None:
    board.start("1", "a").finish()
    board.start("2", "b").fail("disk full")
    events = board.sample()
    assert states(events) == [
        ("1", "started"),
        ("1", "finished"),
        ("2", "started"),
        ("2", "failed"),
    ]
    assert [event.error for event in events] == [None, None, None, "disk full"]


def test_the_first_end_counts_and_nothing_after_it(board: ProgressBoard) -> None:
    meter = board.start("1", "a", 5)
    meter.add(2)
    meter.fail("lost")
    meter.finish()
    meter.add(3)
    meter.credit(3)
    *_, last = board.sample()
    assert (last.state, last.error, last.done_bytes) == ("failed", "lost", 2)


@given(st.lists(st.floats(min_value=0.01, max_value=7), min_size=1, max_size=60))
def test_a_steady_rate_is_shown_from_the_first_sample_on_at_any_sampling(
    steps: list[float],
) -> None:
    clock = Clock()
    board = ProgressBoard(clock)
    meter = board.start("1", "a")
    for step_s in steps:
        clock.now += step_s
        meter.add(round(step_s * MIB))
        [event] = board.sample()
        assert event.rate_bps == pytest.approx(MIB, rel=0.001)
    assert board.total().rate_bps == pytest.approx(MIB, rel=0.001)


def test_a_stall_lets_the_rate_decay(board: ProgressBoard, clock: Clock) -> None:
    meter = board.start("1", "a")
    for _ in range(100):
        clock.now += 0.1
        meter.add(MIB // 10)
        board.sample()
    rates = []
    for _ in range(300):
        clock.now += 0.1
        rates.append(board.sample()[0].rate_bps)
    assert rates == sorted(rates, reverse=True)
    assert rates[49] == pytest.approx(MIB * 0.37 / 0.95, rel=0.15)
    assert rates[-1] < MIB / 100


def test_work_redone_lowers_the_count_and_never_shows_a_negative_rate(
    board: ProgressBoard, clock: Clock
) -> None:
    meter = board.start("1", "a", 100)
    meter.add(50)
    clock.now += 1
    board.sample()
    meter.add(-50)
    clock.now += 1
    [event] = board.sample()
    assert (event.done_bytes, event.fraction) == (0, 0.0)
    assert event.rate_bps >= 0


def test_bytes_that_were_there_before_do_not_pass_for_speed(
    board: ProgressBoard, clock: Clock
) -> None:
    meter = board.start("1", "a", 100 * MIB)
    meter.credit(90 * MIB)
    clock.now += 2
    meter.add(2 * MIB)
    [event] = board.sample()
    assert event.done_bytes == 92 * MIB
    assert event.rate_bps == pytest.approx(MIB)
    meter.finish()
    board.sample()
    assert board.total().rate_bps == pytest.approx(MIB)


def test_no_estimate_in_the_first_second_without_total_or_without_speed(
    board: ProgressBoard, clock: Clock
) -> None:
    known = board.start("1", "a", 10 * MIB)
    unknown = board.start("2", "b")
    board.start("3", "c", 10)
    board.sample()
    clock.now += 0.9
    known.add(MIB)
    unknown.add(MIB)
    assert [event.eta_s for event in board.sample()] == [None, None, None]
    clock.now += 0.1
    first, second, third = (event.eta_s for event in board.sample())
    assert first == pytest.approx(9, rel=0.15)
    assert second is third is None


def test_an_ended_thing_shows_its_average(board: ProgressBoard, clock: Clock) -> None:
    meter = board.start("1", "a", 10 * MIB)
    clock.now += 4
    meter.add(10 * MIB)
    clock.now += 6
    meter.finish()
    clock.now += 50
    *_, last = board.sample()
    assert (last.elapsed_s, last.rate_bps, last.eta_s) == (10, MIB, None)


def test_the_total_counts_what_is_over_and_what_is_under_way(
    board: ProgressBoard, clock: Clock
) -> None:
    assert (board.total().state, board.total().fraction) == ("started", 1.0)
    first, second, third = (board.start(str(n), str(n), 100) for n in range(3))
    board.sample()
    first.add(100)
    first.finish()
    second.add(30)
    second.fail("lost")
    third.add(20)
    clock.now += 2
    board.sample()
    total = board.total()
    assert (total.done_bytes, total.total_bytes, total.stage) == (150, 230, "2 of 3")
    assert (total.state, total.error) == ("advanced", "1 failed")
    assert total.eta_s == pytest.approx(80 / 75)
    third.set_total(None)
    assert board.total().total_bytes is None
    third.finish()
    board.sample()
    clock.now += 60
    assert (board.total().state, board.total().elapsed_s) == ("failed", 2)


def test_all_well_is_finished(board: ProgressBoard) -> None:
    board.start("1", "a", 1).finish()
    board.sample()
    assert board.total().state is ProgressState.FINISHED


def test_no_addition_is_lost_between_threads_while_somebody_samples(board: ProgressBoard) -> None:
    meter = board.start("1", "a")

    def work() -> None:
        for _ in range(20_000):
            meter.add(3)
            meter.add(-1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        board.sample()
    for thread in threads:
        thread.join()
    assert board.sample()[-1].done_bytes == 4 * 20_000 * 2
    assert board.total().done_bytes == 4 * 20_000 * 2


def test_fractions_stay_between_nothing_and_all(board: ProgressBoard) -> None:
    meter = board.start("1", "a", 10)
    meter.add(15)
    assert board.sample()[0].fraction == 1.0
    meter.set_total(0)
    assert board.sample()[0].fraction == 1.0
    meter.set_total(None)
    assert board.sample()[0].fraction is None
