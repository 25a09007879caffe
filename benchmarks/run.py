"""Every benchmark, each with its peers, on the same data in the same run.

benchmarks/run.py [--size 1G] [--rounds 3] [--quick]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
HELP_ROUNDS = 21


def time_help() -> None:
    """Print how long `haulier --help` takes, the interpreter's start included."""
    program = str(Path(sys.executable).with_name("haulier"))
    took_ms = []
    for _ in range(HELP_ROUNDS):
        began = time.perf_counter()
        subprocess.run([program, "--help"], stdout=subprocess.DEVNULL, check=True)
        took_ms.append((time.perf_counter() - began) * 1000)
    print(f"\n`haulier --help`: median {statistics.median(took_ms):.0f} ms, goal < 200 ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1G", help="of each kind of data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="leave the large catalog out")
    arguments = parser.parse_args()
    print(f"load average at the start: {os.getloadavg()[0]:.2f}")
    time_help()
    sizes = ["--size", arguments.size, "--rounds", str(arguments.rounds)]
    subprocess.run([sys.executable, HERE / "bench_archive.py", *sizes], check=True)
    subprocess.run([sys.executable, HERE / "bench_download.py", *sizes], check=True)
    subprocess.run([sys.executable, HERE / "bench_thumbnail.py"], check=True)
    subprocess.run([sys.executable, HERE / "bench_shrink.py"], check=True)
    subprocess.run([sys.executable, HERE / "bench_types.py"], check=True)
    subprocess.run([sys.executable, HERE / "bench_video.py"], check=True)
    subprocess.run([sys.executable, HERE / "bench_batches.py"], check=True)
    subprocess.run([sys.executable, HERE / "bench_delivery.py"], check=True)
    subprocess.run([sys.executable, HERE / "bench_recordings.py"], check=True)
    subprocess.run([sys.executable, HERE / "bench_sync.py"], check=True)
    subprocess.run([sys.executable, HERE / "bench_rows.py"], check=True)
    subprocess.run([sys.executable, HERE / "bench_server.py"], check=True)
    subprocess.run([sys.executable, HERE / "bench_events.py"], check=True)
    subprocess.run([sys.executable, HERE / "bench_hosts.py"], check=True)
    subprocess.run([sys.executable, HERE / "bench_max.py", "--size", arguments.size], check=True)
    subprocess.run([sys.executable, HERE / "bench_max_rates.py"], check=True)
    subprocess.run([sys.executable, HERE / "bench_tus.py", "--size", arguments.size], check=True)
    if not arguments.quick:
        subprocess.run([sys.executable, HERE / "bench_catalog.py"], check=True)


if __name__ == "__main__":
    main()
