"""What a file of video or sound is: haulier's warm worker process beside ffprobe.

    python benchmarks/bench_probe.py [--rounds 51]

Both tell streams, duration and tags of the same files, one at a time, and take turns. haulier's
time includes asking the worker process; ffprobe's includes starting it, which is how it is used.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

GOAL_MS = 10
VIDEO = ("-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration=60")
SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:duration=60:sample_rate=48000")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")
FILES = {
    "60 s of 720p, MP4": ("clip.mp4", (*VIDEO, *SOUND, *X264)),
    "60 s of 720p, Matroska": ("clip.mkv", ("-i", "clip.mp4", "-c", "copy")),
    "60 s of 720p, MPEG-TS": ("clip.ts", ("-i", "clip.mp4", "-c", "copy")),
    "60 s, MP3": ("sound.mp3", (*SOUND, "-c:a", "libmp3lame")),
    "60 s, FLAC": ("sound.flac", (*SOUND, "-c:a", "flac")),
}


def make_files(folder: Path) -> None:
    for name, recipe in FILES.values():
        subprocess.run(
            ["ffmpeg", "-nostdin", "-loglevel", "error", *recipe, name], cwd=folder, check=True
        )


def ffprobe_ms(path: Path) -> float:
    began = time.perf_counter()
    subprocess.run(
        ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", path],
        stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return (time.perf_counter() - began) * 1000


async def measure(folder: Path, rounds: int) -> None:
    from haulier.media.isolation import Workers
    from haulier.media.probe import probe_media

    async with Workers(count=1) as workers:
        for title, (name, _) in FILES.items():
            path = folder / name
            ours, theirs = [], []
            for _ in range(rounds + 1):
                began = time.perf_counter()
                await probe_media(path, workers=workers)
                ours.append((time.perf_counter() - began) * 1000)
                theirs.append(ffprobe_ms(path))
            # The first one starts the worker process.
            our_ms, their_ms = statistics.median(ours[1:]), statistics.median(theirs[1:])
            print(f"| {title} | {their_ms:.1f} | {our_ms:.1f} | {max(ours[1:]):.1f} "
                  f"| {our_ms / their_ms:.2f}x | {ours[0]:.0f} |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=51)
    arguments = parser.parse_args()
    print(f"\nProbe, warm, load average {os.getloadavg()[0]:.2f}; goal: below {GOAL_MS} ms\n")
    print("| | ffprobe ms | haulier ms | slowest | time | first call |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder))
        asyncio.run(measure(Path(folder), arguments.rounds))


if __name__ == "__main__":
    main()
