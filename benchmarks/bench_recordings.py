"""Lists and statistics of one user's 10,000 recordings: `python benchmarks/bench_recordings.py`.

`first` is a process that has read nothing yet, which reads every metadata file; `again` one that
has, as a server has; `after a change` one where another process saved a recording since.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

from haulier.core.recordings import Recording
from haulier.core.records import utc_now
from haulier.journeys.recording.durable import prepare
from haulier.journeys.recording.manager import OfflineAudioManager

COUNT = 10_000
ROUNDS = 20
SOUND = b"\1\2\3\4" * 16


def fill(home: Path) -> None:
    recordings = home / "recordings"
    (home / "queue").mkdir(parents=True)
    for name in ("recordings", "trash", "damaged"):
        (home / name).mkdir()
    for _ in range(COUNT):
        one = Recording(
            recording_id=str(uuid.uuid4()), user_id="ann", mode="recap", file_size=len(SOUND),
            checksum="crc64nvme:0000000000000000", format="bin", created_at=utc_now(),
            updated_at=utc_now(),
        )  # fmt: skip
        path = recordings / f"{one.recording_id}.json"
        prepare(path, one.to_json()).rename(path)
        (recordings / one.file_name).write_bytes(SOUND)


async def timed(work) -> float:
    began = time.perf_counter()
    await work()
    return 1000 * (time.perf_counter() - began)


async def measure(directory: Path) -> None:
    manager = OfflineAudioManager(directory)

    def row(name: str, ms: list[float]) -> None:
        print(f"{name:32} {statistics.median(ms):8.1f} ms   worst {max(ms):8.1f} ms")

    row("list, first", [await timed(lambda: manager.list_recordings("ann"))])
    await asyncio.sleep(0.2)  # else the last change might be too young to be told from another
    await manager.list_recordings("ann")
    calls = {
        "list": lambda: manager.list_recordings("ann"),
        "statistics": lambda: manager.get_storage_stats("ann"),
    }
    for name, call in calls.items():
        row(f"{name}, again", [await timed(call) for _ in range(ROUNDS)])
    other = OfflineAudioManager(directory)
    await other.list_recordings("ann")
    for name, call in calls.items():
        after = []
        for _ in range(ROUNDS):
            await other.save_recording("ann", str(uuid.uuid4()), SOUND, "recap")
            after.append(await timed(call))
        row(f"{name}, after a change", after)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        fill(directory / "ann")
        print(f"{COUNT} recordings of one user, Python {sys.version.split()[0]}")
        asyncio.run(measure(directory))


if __name__ == "__main__":
    main()
