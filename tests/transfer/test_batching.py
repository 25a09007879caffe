"""What a delivery's messages are."""

from __future__ import annotations

from pathlib import Path

import pytest

from haulier import BatchProcessor, MediaFile, MediaType
from haulier.core.chat_limits import MIB
from haulier.errors import UsageError


def files(*sizes_mb: float) -> list[MediaFile]:
    return [
        MediaFile(
            path=Path(f"{number}.mp4"),
            filename=f"{number}.mp4",
            size_bytes=int(size * MIB),
            media_type=MediaType.VIDEO,
        )
        for number, size in enumerate(sizes_mb)
    ]


def names(processor: BatchProcessor, *sizes_mb: float) -> list[list[str]]:
    batches = processor.optimize_batches(files(*sizes_mb))
    return [[file.filename[0] for file in batch.files] for batch in batches]


def test_a_batch_is_filled_up_to_what_is_preferred() -> None:
    assert names(BatchProcessor(), 12, 9, 8, 11) == [["0", "2"], ["1", "3"]]
    assert names(BatchProcessor(preferred_batch_size_mb=25), 12, 9, 8, 11) == [
        ["0", "1"],
        ["2", "3"],
    ]


def test_in_order_where_asked() -> None:
    assert names(BatchProcessor(keep_order=True), 12, 9, 8, 11) == [["0"], ["1", "2"], ["3"]]


def test_in_order_where_that_takes_no_more_messages() -> None:
    assert names(BatchProcessor(), 1, 9, 9, 2, 17) == [["0", "1", "2"], ["3", "4"]]


def test_a_file_too_large_for_a_batch_goes_alone() -> None:
    batches = BatchProcessor().optimize_batches(files(1, 30, 22, 1))
    assert [[file.filename for file in batch.files] for batch in batches] == [
        ["0.mp4", "3.mp4"],
        ["1.mp4"],
        ["2.mp4"],
    ]
    assert [batch.metadata["oversized"] for batch in batches] == [False, True, False]
    assert [batch.total_size_mb for batch in batches] == [2, 30, 22]
    assert batches[0].total_size_bytes == 2 * MIB


def test_at_most_ten_files() -> None:
    assert [len(batch) for batch in names(BatchProcessor(), *[0.1] * 21)] == [10, 10, 1]
    assert len(names(BatchProcessor(preferred_max_files=3), *[0.1] * 7)) == 3
    assert len(names(BatchProcessor(max_files_per_message=3), *[0.1] * 7)) == 3


@pytest.mark.parametrize("limit", ["max_files_per_message", "preferred_batch_size_mb"])
def test_a_limit_of_nothing_is_refused(limit: str) -> None:
    with pytest.raises(UsageError, match="a message of"):
        BatchProcessor(**{limit: 0})
