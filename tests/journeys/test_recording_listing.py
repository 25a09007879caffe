"""What a process sees of records that others change, add and remove meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulier.core.recordings import QueueEntry
from haulier.core.records import utc_now
from haulier.journeys.recording.durable import prepare
from haulier.journeys.recording.listing import Listing, read_record
from recordings import new_id

IDS = [new_id() for _ in range(4)]


def listing(root):
    (root / "queue").mkdir(exist_ok=True)
    return Listing(root / "queue", root / "changed", QueueEntry)


def write(one, root, recording_id, attempts):
    entry = QueueEntry(recording_id=recording_id, queued_at=utc_now(), attempts=attempts)
    path = root / "queue" / f"{recording_id}.json"
    prepared = prepare(path, entry.to_json())
    one.note(recording_id)
    prepared.replace(path)
    return path


def attempts(one):
    return {recording_id: entry.attempts for recording_id, entry in one.read().items()}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["write", "remove", "look"]), st.integers(0, 1), st.integers(0, 3)
        ),
        max_size=25,
    )
)
@settings(deadline=None, max_examples=60)
def test_each_sees_what_lies_there(steps):
    with TemporaryDirectory() as name:
        root = Path(name)
        both = [listing(root), listing(root)]
        for number, (what, who, which) in enumerate(steps):
            path = root / "queue" / f"{IDS[which]}.json"
            if what == "write":
                write(both[who], root, IDS[which], number)
            elif what == "remove":
                path.unlink(missing_ok=True)
            else:
                lying = [
                    read_record(one, QueueEntry) for one in (root / "queue").glob("[!.]*.json")
                ]
                assert attempts(both[who]) == {one.recording_id: one.attempts for one in lying}


def test_a_file_whose_number_came_round_again_is_read_again(tmp_path):
    """As when a process that is slow to look misses an even number of changes."""
    one, other = listing(tmp_path), listing(tmp_path)
    path = write(one, tmp_path, IDS[0], 0)
    for number in range(0, 40, 2):
        assert attempts(other) == {IDS[0]: number}
        before = path.stat().st_ino
        write(one, tmp_path, IDS[0], number + 1)
        write(one, tmp_path, IDS[0], number + 2)
        if path.stat().st_ino == before:
            break
    assert attempts(other) == {IDS[0]: number + 2}


def test_what_is_put_there_by_hand_is_seen(tmp_path):
    one = listing(tmp_path)
    path = write(one, tmp_path, IDS[0], 1)
    assert attempts(one) == {IDS[0]: 1}
    edited = tmp_path / "edited"
    edited.write_text(json.dumps({**read_record(path, QueueEntry).to_json(), "attempts": 7}))
    edited.replace(path)
    assert attempts(one) == {IDS[0]: 7}
    edited.write_text("{")
    edited.replace(path)
    assert (attempts(one), one.unreadable) == ({}, [path.name])
    path.unlink()
    assert (attempts(one), one.unreadable) == ({}, [])


def test_what_is_edited_in_its_place_is_seen_by_a_thorough_look(tmp_path):
    one = listing(tmp_path)
    path = write(one, tmp_path, IDS[0], 1)
    write(one, tmp_path, IDS[1], 1)
    assert attempts(one) == {IDS[0]: 1, IDS[1]: 1}
    path.write_text("{")
    one.look_thoroughly()
    assert (attempts(one), one.unreadable) == ({IDS[1]: 1}, [path.name])


@pytest.mark.parametrize("is_removed", [False, True])
def test_notes_begin_anew_when_they_grew_long(tmp_path, is_removed):
    one, other = listing(tmp_path), listing(tmp_path)
    for each in IDS:
        write(one, tmp_path, each, 0)
    assert attempts(other) == dict.fromkeys(IDS, 0)
    notes = tmp_path / "changed"
    with notes.open("ab") as file:
        file.write(f"{new_id()}\n".encode() * 30_000)
    if is_removed:
        notes.unlink()
    write(one, tmp_path, IDS[1], 1)
    write(one, tmp_path, IDS[1], 2)
    assert notes.stat().st_size < 1 << 10
    assert attempts(other) == {**dict.fromkeys(IDS, 0), IDS[1]: 2}
