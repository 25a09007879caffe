"""The audit log's chain: whatever is done to it afterwards shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.core.audit import (
    FIRST_CODE,
    AuditEvent,
    AuditHead,
    find_break,
    instance_of,
    sealed,
)

KEY = "k" * 64
START = datetime(2026, 3, 1, tzinfo=UTC)


def chain(count):
    """Return so many entries and where they end."""
    head = AuditHead(instance=instance_of(KEY), number=0, code=FIRST_CODE)
    entries = []
    for number in range(count):
        event = AuditEvent(
            at=START + timedelta(microseconds=number), action="DELETE /x", actor="ann",
            object_id=str(number), details={"n": number},
        )  # fmt: skip
        entry = sealed(head, event, KEY)
        entries.append(entry)
        head = AuditHead(instance=head.instance, number=entry.number, code=entry.code)
    return entries, head


@given(st.integers(0, 30))
def test_what_was_written_is_whole(count):
    entries, end = chain(count)
    assert find_break(entries, KEY, end=end, anchors=[end] if count else []) is None


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_a_removed_entry_shows(case):
    count, gone = case
    entries, end = chain(count)
    found = find_break(entries[:gone] + entries[gone + 1 :], KEY, end=end)
    assert found is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"actor": "bob"}, {"action": "GET /x"}, {"object_id": "9"}, {"status": 204},
        {"address": "192.0.2.1"}, {"request_id": "r"}, {"details": {}},
        {"at": START + timedelta(seconds=1)},
    ],
)  # fmt: skip
def test_a_changed_entry_shows(changes):
    entries, end = chain(3)
    entries[1] = replace(entries[1], event=replace(entries[1].event, **changes))
    assert find_break(entries, KEY, end=end) == "entry 2 is not what was written"


def test_swapped_and_inserted_entries_show():
    entries, end = chain(3)
    assert find_break([entries[1], entries[0], entries[2]], KEY, end=end) is not None
    assert find_break([entries[0], entries[0], *entries[1:]], KEY, end=end) is not None


def test_another_key_does_not_open_it():
    entries, end = chain(1)
    assert find_break(entries, "other" * 10, end=end) == "entry 1 is not what was written"


def test_a_cut_end_shows_by_its_record_or_by_an_anchor():
    entries, end = chain(5)
    cut, shorter = entries[:3], chain(3)[1]
    assert find_break(cut, KEY, end=end) == "the chain ends at 3; it is on record to end at 5"
    assert find_break(cut, KEY, end=shorter) is None
    found = find_break(cut, KEY, end=shorter, anchors=[end])
    assert found == "the chain ends at 3; an anchor was taken of entry 5"


def test_a_chain_that_was_written_anew_with_the_key_differs_from_its_anchor():
    _, end = chain(2)
    other = AuditEvent(at=START, action="nothing happened")
    head = AuditHead(instance=end.instance, number=0, code=FIRST_CODE)
    first = sealed(head, other, KEY)
    second = sealed(AuditHead(instance=end.instance, number=1, code=first.code), other, KEY)
    found = find_break([first, second], KEY, anchors=[end])
    assert found == "entry 2 is not the one that the anchor was taken of"
