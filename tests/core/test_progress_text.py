from typing import Any

import pytest

from haulier.core.progress import Progress, ProgressState
from haulier.core.progress_text import format_progress

MIB = 1 << 20


def progress(**changes: Any) -> Progress:
    values: dict[str, Any] = {
        "id": "1", "name": "photos", "stage": "uploading", "state": ProgressState.ADVANCED,
        "done_bytes": 120 * MIB, "total_bytes": 267 * MIB, "rate_bps": 31.0 * MIB, "eta_s": 4.2,
        "elapsed_s": 9.0, "error": None,
    }  # fmt: skip
    return Progress(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "photos  uploading  44 %  120 MiB of 267 MiB  31 MiB/s  4 s left"),
        ({"total_bytes": None, "eta_s": None}, "photos  uploading  120 MiB  31 MiB/s"),
        (
            {
                "state": ProgressState.STARTED,
                "done_bytes": 0,
                "rate_bps": 0.0,
                "eta_s": None,
                "stage": "",
            },
            "photos  0 %  0 B of 267 MiB",
        ),
        (
            {"done_bytes": 267 * MIB - 1, "eta_s": 0.0},
            "photos  uploading  99 %  267 MiB of 267 MiB  31 MiB/s  0 s left",
        ),
        (
            {"state": ProgressState.FINISHED, "done_bytes": 267 * MIB},
            "photos  finished  267 MiB in 9 s  31 MiB/s",
        ),
        (
            {"state": ProgressState.FINISHED, "done_bytes": 0, "rate_bps": 0.0},
            "photos  finished  0 B in 9 s",
        ),
        (
            {"state": ProgressState.FAILED, "error": "no space\n left"},
            "photos  failed  no space left",
        ),
        ({"state": ProgressState.FAILED, "error": None}, "photos  failed"),
        (
            {"name": "a\nb\x1b[2J", "state": ProgressState.FAILED, "error": "x"},
            "a?b?[2J  failed  x",
        ),
    ],
)
def test_one_plain_line(changes: dict[str, Any], line: str) -> None:
    assert format_progress(progress(**changes)) == line
