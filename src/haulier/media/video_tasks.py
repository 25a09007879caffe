"""What worker processes are asked to do with video; PyAV is imported there and not before.

Each task gets and returns what JSON can carry.
"""

from __future__ import annotations

from typing import Any


def probe(*, path: str, exact: bool) -> dict[str, Any]:
    """Describe a file of video or sound."""
    from haulier.media import probe_reading

    return probe_reading.describe(path, exact=exact)
