from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.core.part_plan import part_bytes_for, parts_at_once

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40
S3_PARTS = 10_000


@given(st.integers(0, 6 * TIB), st.sampled_from([10_000, 1_000]))
def test_there_are_always_numbers_enough(tar_size, most):
    size = part_bytes_for(tar_size, most)
    assert size >= 8 * MIB
    assert tar_size / size <= most


@pytest.mark.parametrize(
    ("tar_size", "part_mib", "plain", "sealed"),
    [
        (1 * GIB, 8, 4, 4),
        (74 * GIB, 8, 4, 4),
        (100 * GIB, 11, 4, 4),
        (300 * GIB, 33, 2, 1),
        (500 * GIB, 54, 1, 1),
        (1 * TIB, 111, 1, 1),
        (5 * TIB, 552, 1, 1),
    ],
)
def test_what_the_parts_of_a_large_archive_come_to(tar_size, part_mib, plain, sealed):
    size = part_bytes_for(tar_size, S3_PARTS)
    assert size == part_mib * MIB
    assert parts_at_once(size, 4, sealed=False) == plain
    assert parts_at_once(size, 4, sealed=True) == sealed


@given(
    st.integers(5 * MIB, 600 * MIB), st.integers(1, 64), st.booleans(), st.integers(1, 300 * MIB)
)
def test_what_is_held_stays_within_the_bound_or_is_one_part(size, wanted, sealed, memory):
    count = parts_at_once(size, wanted, sealed=sealed, memory_bytes=memory)
    assert 1 <= count <= wanted
    held = count * (size + MIB) * (2 if sealed else 1)
    assert held <= memory or count == 1
    if count < wanted:
        assert held // count * (count + 1) > memory
