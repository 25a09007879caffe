"""Batches: nothing lost, no limit broken, and as few as brute force finds."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulier.core.batches import fewest_possible, plan_batches

SIZES = st.lists(st.integers(0, 40), max_size=40)


def filled(batch: list[int], sizes: list[int]) -> int:
    return sum(sizes[place] for place in batch)


def brute_force(sizes: list[int], most_bytes: int, most_files: int) -> int:
    """Try every way to put each file into one of the open batches, or a new one."""
    best = len(sizes)

    def place(number: int, batches: list[tuple[int, int]]) -> None:
        nonlocal best
        if len(batches) >= best:
            return
        if number == len(sizes):
            best = len(batches)
            return
        for at, (used, count) in enumerate(batches):
            if used + sizes[number] <= most_bytes and count < most_files:
                changed = (used + sizes[number], count + 1)
                place(number + 1, [*batches[:at], changed, *batches[at + 1 :]])
        place(number + 1, [*batches, (sizes[number], 1)])

    place(0, [])
    return best


@given(
    sizes=SIZES, most_bytes=st.integers(1, 60), most_files=st.integers(1, 12), kept=st.booleans()
)
def test_every_file_is_in_one_batch_and_no_limit_is_broken(
    sizes: list[int], most_bytes: int, most_files: int, kept: bool
) -> None:
    batches = plan_batches(sizes, most_bytes=most_bytes, most_files=most_files, in_order=kept)
    places = list(itertools.chain.from_iterable(batches))
    assert sorted(places) == list(range(len(sizes)))
    assert all(batch == sorted(batch) for batch in batches)
    assert batches == sorted(batches)
    for batch in batches:
        assert 1 <= len(batch) <= most_files
        assert filled(batch, sizes) <= most_bytes or len(batch) == 1
    if kept:
        assert places == sorted(places)
    assert len(batches) >= fewest_possible(sizes, most_bytes=most_bytes, most_files=most_files)


@settings(max_examples=150)
@given(
    sizes=st.lists(st.integers(1, 20), max_size=8), most_files=st.integers(1, 5)
)  # fmt: skip
def test_few_files_take_as_few_batches_as_brute_force_finds(
    sizes: list[int], most_files: int
) -> None:
    fewest = brute_force(sizes, 20, most_files)
    assert len(plan_batches(sizes, most_bytes=20, most_files=most_files)) == fewest
    assert fewest_possible(sizes, most_bytes=20, most_files=most_files) <= fewest


@given(sizes=st.lists(st.integers(1, 20), max_size=9), most_files=st.integers(1, 4))
def test_in_order_no_other_cuts_are_fewer(sizes: list[int], most_files: int) -> None:
    def fits(cuts: tuple[int, ...]) -> bool:
        edges = [0, *cuts, len(sizes)]
        pieces = [sizes[a:b] for a, b in itertools.pairwise(edges)]
        return all(sum(piece) <= 20 and len(piece) <= most_files for piece in pieces)

    found = plan_batches(sizes, most_bytes=20, most_files=most_files, in_order=True)
    for count in range(len(found) - 1):
        assert not any(map(fits, itertools.combinations(range(1, len(sizes)), count)))


def test_a_hundred_files_are_near_the_bound() -> None:
    chance = random.Random(7)
    sizes = [chance.randint(1, 1 << 22) for _ in range(100)]
    bound = fewest_possible(sizes, most_bytes=20 << 20, most_files=10)
    assert len(plan_batches(sizes, most_bytes=20 << 20, most_files=10)) <= bound + 1


MIB = 1 << 20
# Photos, clips, whatever fits, and large ones with small ones that fill their gaps.
KINDS = {
    "photos": lambda chance: chance.randint(1, 4 * MIB),
    "clips": lambda chance: chance.randint(4 * MIB, 11 * MIB),
    "all": lambda chance: chance.randint(1, 20 * MIB),
    "gaps": lambda chance: chance.randint(*chance.choice([(1, MIB), (8 * MIB, 20 * MIB)])),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_random_cases_are_within_five_percent_of_the_bound(kind: str) -> None:
    chance = random.Random(kind)
    ours = bound = 0
    for _ in range(250):
        sizes = [KINDS[kind](chance) for _ in range(chance.randint(1, 40))]
        ours += len(plan_batches(sizes, most_bytes=20 * MIB, most_files=10))
        bound += fewest_possible(sizes, most_bytes=20 * MIB, most_files=10)
    assert ours <= 1.05 * bound


def test_slots_are_kept_for_the_many_small() -> None:
    sizes = [14, 14, *[1] * 10]
    assert len(plan_batches(sizes, most_bytes=20, most_files=6)) == 2


def test_no_files_are_no_batches() -> None:
    assert plan_batches([], most_bytes=1, most_files=1) == []
    assert plan_batches([], most_bytes=1, most_files=1, in_order=True) == []


@pytest.mark.parametrize("limits", [(0, 1), (1, 0)])
def test_a_limit_of_nothing_is_refused(limits: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="a batch of"):
        plan_batches([1], most_bytes=limits[0], most_files=limits[1])
