"""What a video is, and pictures out of it: haulier's warm worker process beside FFmpeg's programs.

    python benchmarks/bench_video.py [--rounds 31]

Both do the same with the same files, one at a time, and take turns. haulier's time includes asking
the worker process, fsync and rename; that of the programs includes starting them, which is how
they are used. The best of several pictures is chosen by haulier among six key frames and by
ffmpeg's `thumbnail` filter among the first hundred frames.
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


def program_ms(*command: object) -> float:
    began = time.perf_counter()
    subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1000


async def compare(title: str, rounds: int, ours, *theirs: object) -> None:
    """Print the medians of `ours()` and of the program `theirs`."""
    our_ms, their_ms = [], []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        await ours()
        our_ms.append((time.perf_counter() - began) * 1000)
        their_ms.append(program_ms(*theirs))
    # The first one starts the worker process or loads libraries.
    our, their = statistics.median(our_ms[1:]), statistics.median(their_ms[1:])
    print(f"| {title} | {their:.1f} | {our:.1f} | {our / their:.2f}x | {our_ms[0]:.0f} |")


async def measure(folder: Path, rounds: int) -> None:
    from haulier.media.isolation import Workers
    from haulier.media.probe import probe_media
    from haulier.media.videos import contact_sheet, video_thumbnail

    ffmpeg = ("ffmpeg", "-nostdin", "-loglevel", "error", "-y")
    out, clip = folder / "out.jpg", folder / "clip.mp4"
    async with Workers(count=1) as workers:
        for title, (name, _) in FILES.items():
            path = folder / name
            await compare(
                f"probe: {title}", rounds, lambda path=path: probe_media(path, workers=workers),
                "ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", path,
            )  # fmt: skip
        few = -(-rounds // 4)
        await compare(
            "picture at 20 s", few,
            lambda: video_thumbnail(clip, out, at_s=20, workers=workers),
            *ffmpeg, "-ss", 20, "-i", clip, "-frames:v", 1, "-vf", "scale=320:-1", out,
        )  # fmt: skip
        await compare(
            "best picture", few, lambda: video_thumbnail(clip, out, workers=workers),
            *ffmpeg, "-i", clip, "-frames:v", 1, "-vf", "thumbnail=100,scale=320:-1", out,
        )  # fmt: skip
        await compare(
            "sheet of 4 x 3", few, lambda: contact_sheet(clip, out, workers=workers),
            *ffmpeg, "-i", clip, "-frames:v", 1, "-vf", "fps=1/5,scale=240:-1,tile=4x3", out,
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=31)
    arguments = parser.parse_args()
    print(f"\nVideo, warm, load average {os.getloadavg()[0]:.2f}; "
          f"goal for probes: below {GOAL_MS} ms\n")  # fmt: skip
    print("| | ffprobe, ffmpeg ms | haulier ms | time | first call |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder))
        asyncio.run(measure(Path(folder), arguments.rounds))


if __name__ == "__main__":
    main()
