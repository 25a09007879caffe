"""Thumbnails of large pictures: haulier's worker processes beside pyvips.

    python benchmarks/bench_thumbnail.py [--rounds 15]

Both sides make the same thumbnails (320 pixels, JPEG at quality 80, upright, in sRGB, without
metadata) of the same files, one at a time in a process that is warm, and take turns. haulier's time
includes asking the worker process, fsync and rename; its memory is that of the worker, where the
picture is decoded, and pyvips' that of its process.
"""

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GOAL_RATIO, GOAL_MIB = 1.5, 50
SIZE, QUALITY = 320, 80
PICTURES = {
    "24 MP JPEG": ("large.jpg", {"quality": 88}),
    "24 MP JPEG, progressive": ("progressive.jpg", {"quality": 88, "progressive": True}),
    "24 MP PNG": ("large.png", {"compress_level": 1}),
}


def make_pictures(folder: Path) -> None:
    """Write photograph-like pictures: soft shapes, fine texture and grain."""
    import numpy as np
    from PIL import Image

    chance = np.random.default_rng(7)
    layers = [
        (Image.fromarray(chance.integers(0, 255, (rows, rows * 3 // 2, 3), dtype=np.uint8)), share)
        for rows, share in ((8, 0.7), (60, 0.2), (500, 0.1))
    ]
    total = np.zeros((4000, 6000, 3), dtype=np.float32)
    for layer, share in layers:
        total += np.asarray(layer.resize((6000, 4000), Image.Resampling.BICUBIC)) * share
    total += chance.normal(0, 3, (4000, 6000, 1))
    image = Image.fromarray(total.clip(0, 255).astype(np.uint8))
    for name, options in PICTURES.values():
        image.save(folder / name, **options)


def serve_pyvips() -> None:
    """Make a thumbnail of each path read from standard input; say how long it took."""
    import pyvips

    for line in sys.stdin:
        path = line.strip()
        began = time.perf_counter()
        image = pyvips.Image.thumbnail(path, SIZE, height=SIZE, export_profile="srgb")
        image.write_to_file(f"{path}.vips.jpg[Q={QUALITY},keep=none]")
        say(began, own_peak_mib())


def serve_haulier() -> None:
    """The same by haulier; memory is known once its worker has ended."""
    asyncio.run(_serve_haulier())


async def _serve_haulier() -> None:
    from haulier.media.images import make_thumbnail
    from haulier.media.isolation import Workers

    async with Workers(count=1) as workers:
        for line in sys.stdin:
            path = Path(line.strip())
            out = path.with_name(f"{path.name}.haulier.jpg")
            began = time.perf_counter()
            await make_thumbnail(path, out, size=(SIZE, SIZE), quality=QUALITY, workers=workers)
            say(began, own_peak_mib())
    say(time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)


def own_peak_mib() -> float:
    """Not getrusage: that remembers the size of the process that forked this one."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def say(began: float, peak_mib: float) -> None:
    print((time.perf_counter() - began) * 1000, peak_mib, flush=True)


class Side:
    """One contender in a process of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def thumbnail_ms(self, path: Path) -> float:
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        took_ms, self.peak_mib = (float(word) for word in self._process.stdout.readline().split())
        return took_ms

    def end(self) -> float:
        """Return the peak memory in MiB of the process that decoded."""
        self._process.stdin.close()
        for line in self._process.stdout:
            self.peak_mib = float(line.split()[1])
        self._process.wait()
        return self.peak_mib


def compare(path: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """Return median milliseconds and peak MiB of each side."""
    sides = [Side("pyvips"), Side("haulier")]
    took: dict[str, list[float]] = {side.name: [] for side in sides}
    for _ in range(rounds + 1):
        for side in sides:
            took[side.name].append(side.thumbnail_ms(path))
    # The first one loads the libraries.
    return {side.name: (statistics.median(took[side.name][1:]), side.end()) for side in sides}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--serve", choices=["pyvips", "haulier"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        {"pyvips": serve_pyvips, "haulier": serve_haulier}[arguments.serve]()
        return
    print(f"\nThumbnail of {SIZE} pixels, warm, load average {os.getloadavg()[0]:.2f}; "
          f"goal for the first row: at most {GOAL_RATIO}x the time and {GOAL_MIB} MiB\n")  # fmt: skip
    print("| | pyvips ms | haulier ms | time | pyvips MiB | haulier MiB |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(Path(folder))
        for title, (name, _) in PICTURES.items():
            found = compare(Path(folder) / name, arguments.rounds)
            (peer_ms, peer_mib), (our_ms, our_mib) = found["pyvips"], found["haulier"]
            print(f"| {title} | {peer_ms:.0f} | {our_ms:.0f} | {our_ms / peer_ms:.2f}x "
                  f"| {peer_mib:.0f} | {our_mib:.0f} |")  # fmt: skip


if __name__ == "__main__":
    main()
