from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from haulier.core.intervals import Intervals


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40))))
def test_intervals_are_a_set_of_bytes(runs: list[tuple[int, int]]) -> None:
    intervals = Intervals(runs)
    covered = {byte for start, end in runs for byte in range(start, end)}
    assert {byte for start, end in intervals for byte in range(start, end)} == covered
    assert intervals.size_bytes == len(covered)
    kept = list(intervals)
    assert all(one[1] < two[0] for one, two in pairwise(kept))
    missing = [byte for byte in range(30) if byte not in covered]
    gap = intervals.first_gap(30)
    assert (gap is None) == (not missing)
    if gap is not None:
        assert gap[0] == missing[0]
        assert set(range(*gap)).isdisjoint(covered)
        assert gap[1] == 30 or gap[1] in covered
