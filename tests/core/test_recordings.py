"""Recordings: what they are called, how they are written down and read, when they are tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from haulier.core.recordings import (
    QueueEntry,
    Recording,
    RecordingStatus,
    backoff_after,
    check_mode,
    check_recording_id,
    check_user_id,
    format_of,
    is_trash,
    wav_duration_s,
)
from haulier.errors import UnsupportedContent, ValidationError
from recordings import wav

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ID = "0b1f6f0e-8c4e-4a53-9a55-1f7a0e2f6c11"
SOUND = Recording(
    recording_id=ID,
    user_id="ann",
    mode="recap",
    file_size=10,
    checksum="crc64nvme:0000000000000000",
    format="wav",
    created_at=NOW,
    updated_at=NOW,
)


def test_what_is_written_is_read_back():
    one = replace(SOUND, status=RecordingStatus.FAILED, error="no network", duration=1.5)
    assert Recording.from_json(one.to_json()) == one
    entry = QueueEntry(
        recording_id=ID, queued_at=NOW, attempts=2, not_before=NOW, progress={"a": 1}
    )
    assert QueueEntry.from_json(entry.to_json()) == entry


@pytest.mark.parametrize(
    "damage",
    [
        {"recording_id": "../../etc/passwd"}, {"user_id": ".."}, {"mode": ""}, {"status": "lost"},
        {"file_size": -1}, {"file_size": "10"}, {"file_size": True}, {"created_at": "yesterday"},
        {"created_at": None}, {"format": "../x"}, {"format": "json.x"}, {"checksum": 5}, {"duration": "x"},
        {"error": ["x"]},
    ],
    ids=str,
)  # fmt: skip
def test_damaged_metadata_is_noticed(damage):
    with pytest.raises(ValueError):
        Recording.from_json({**SOUND.to_json(), **damage})


def test_a_missing_field_is_noticed():
    values = SOUND.to_json()
    del values["checksum"]
    with pytest.raises(ValueError):
        Recording.from_json(values)


@pytest.mark.parametrize("given", ["", "x", "../a", None, 5, ID + "0"])
def test_no_recording_id(given):
    with pytest.raises(ValidationError):
        check_recording_id(given)


def test_ids_are_written_one_way():
    assert check_recording_id(ID.upper().replace("-", "")) == ID


@pytest.mark.parametrize("given", ["", ".", "..", "a/b", "-x", "é", "a" * 129, "a\n", ".lock"])
def test_no_user_id(given):
    with pytest.raises(ValidationError):
        check_user_id(given)


@pytest.mark.parametrize("given", ["", "x" * 65, "a\nb"])
def test_no_mode(given):
    with pytest.raises(ValidationError):
        check_mode(given)


def test_the_ending_is_told_by_the_content():
    assert format_of(wav()) == "wav"
    assert format_of(b"OggS\0\2" + bytes(22) + b"\1\x13OpusHead" + bytes(20)) == "ogg"
    assert format_of(b"\1\2\3\4" * 100) == "bin"
    assert format_of(b"just words") == "bin"
    with pytest.raises(UnsupportedContent, match="image/png"):
        format_of(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(20))


def test_the_duration_of_wav():
    sound = wav(1.25)
    assert wav_duration_s(sound, len(sound)) == 1.25
    # Cut off while it was recorded.
    assert wav_duration_s(sound[:10_044], 10_044) == 0.625
    assert wav_duration_s(b"RIFF", 4) is None
    assert wav_duration_s(sound[:30], 30) is None


def test_attempts_are_further_and_further_apart():
    waits = [backoff_after(n).total_seconds() for n in range(1, 12)]
    assert waits[:4] == [5, 10, 20, 40]
    assert waits == sorted(waits)
    assert waits[-1] == 900


def test_a_clock_that_was_set_back_makes_nothing_wait_longer():
    entry = QueueEntry(recording_id=ID, queued_at=NOW, attempts=1, not_before=NOW)
    assert entry.is_due(NOW)
    assert not entry.is_due(NOW - timedelta(seconds=4))
    assert entry.is_due(NOW - timedelta(days=400))


def test_only_what_failed_long_ago_is_trash():
    failed = replace(SOUND, status=RecordingStatus.FAILED)
    assert is_trash(failed, NOW + timedelta(days=7, seconds=1), 7)
    assert not is_trash(failed, NOW + timedelta(days=7), 7)
    assert not is_trash(SOUND, NOW + timedelta(days=400), 7)
