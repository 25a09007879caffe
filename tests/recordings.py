"""Sound for tests of recordings, and a clock that they set."""

from __future__ import annotations

import math
import struct
import uuid
from datetime import UTC, datetime, timedelta


class SetClock:
    def __init__(self):
        self.time = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)

    def __call__(self):
        return self.time

    def pass_days(self, days):
        self.time += timedelta(days=days)


def wav(seconds=0.5, *, hz=440, rate=8000):
    """Return a WAV file of a tone: 16 bits, mono."""
    count = int(seconds * rate)
    samples = [int(12_000 * math.sin(2 * math.pi * hz * n / rate)) for n in range(count)]
    data = struct.pack(f"<{count}h", *samples)
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1,
                       rate, rate * 2, 2, 16)  # fmt: skip
    return head + struct.pack("<4sI", b"data", len(data)) + data


def new_id():
    return str(uuid.uuid4())
