"""Films made to fit: how near the target they land, and the time beside two passes by hand.

    python benchmarks/bench_shrink.py [--preset balanced] [--only sport]

Thirty films of four kinds (grain as on film, scrolling text, still slides, motion as in sport), of 1
to 20 seconds and 24 to 60 frames a second, are made to fit by haulier. Beside each, ffmpeg encodes
the same film in two passes with the picture size, frame rate and preset that haulier chose, and the
bit rates that come to the target, as one would by hand who knew them. haulier's time includes
probing, checking, fsync and rename, and corrections. CPU is that of the programs started.
"""

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from haulier.core.bitrate import VideoPlan, plan_video
from haulier.media.compression import (
    CompressedFile,
    CompressionManager,
    CompressionOptions,
    Outcome,
    Preset,
)  # fmt: skip
from haulier.media.footage import read_footage
from haulier.media.isolation import Workers

GOAL_RATIO = 1.1
SPEEDS = {Preset.FAST: "veryfast", Preset.BALANCED: "medium", Preset.QUALITY: "slow"}
# Kind, seconds, frames a second, kbit/s that the target comes to.
CASES = [
    *(("film", s, fps, kbps) for s, fps, kbps in (
        (1, 25, 700), (3, 30, 1500), (5, 24, 500), (8, 30, 900), (8, 60, 1800), (12, 24, 700),
        (12, 30, 2500), (20, 24, 450), (20, 25, 1200),
    )),
    *(("text", s, fps, kbps) for s, fps, kbps in (
        (2, 30, 600), (4, 30, 400), (8, 30, 300), (8, 60, 800), (12, 25, 500), (20, 30, 350),
        (20, 24, 900),
    )),
    *(("slides", s, fps, kbps) for s, fps, kbps in (
        (4, 25, 300), (8, 30, 150), (12, 30, 120), (20, 25, 100), (20, 30, 300),
    )),
    *(("sport", s, fps, kbps) for s, fps, kbps in (
        (1, 60, 1500), (3, 60, 1200), (4, 30, 600), (6, 50, 1000), (8, 60, 2500), (8, 30, 450),
        (12, 60, 900), (16, 30, 1500), (20, 50, 700),
    )),
]  # fmt: skip


@dataclass(frozen=True)
class Row:
    case: tuple
    result: CompressedFile
    ours_s: float
    ours_cpu_s: float
    peer_s: float
    peer_cpu_s: float
    peer_bytes: int


def make_pictures(folder: Path) -> None:
    """A texture as of a crowd and a field, a long page of text, and five slides."""
    import numpy as np
    from PIL import Image, ImageDraw

    chance = np.random.default_rng(11)
    total = np.zeros((1400, 2400, 3), dtype=np.float32)
    for rows, share in ((6, 0.5), (50, 0.3), (350, 0.2)):
        layer = chance.integers(0, 255, (rows, rows * 2, 3), dtype=np.uint8)
        grown = Image.fromarray(layer).resize((2400, 1400), Image.Resampling.BICUBIC)
        total += np.asarray(grown, dtype=np.float32) * share
    Image.fromarray(total.clip(0, 255).astype(np.uint8)).save(folder / "texture.png")
    words = [
        "the",
        "ship",
        "sails",
        "at",
        "noon",
        "and",
        "nobody",
        "asked",
        "where",
        "the",
        "cargo",
        "had",
        "gone",
        "since",
    ]

    def lines(size: tuple[int, int], count: int) -> Image.Image:
        page = Image.new("RGB", size, "white")
        pen = ImageDraw.Draw(page)
        for line in range(count):
            text = " ".join(chance.choice(words, 14))
            pen.text((20, 10 + 16 * line), text, fill=(20, 20, 40))
        return page

    lines((640, 4000), 245).save(folder / "page.png")
    for number in range(5):
        slide = lines((640, 360), 6 + 3 * number)
        pen = ImageDraw.Draw(slide)
        pen.rectangle((380 - 40 * number, 200, 600, 330), fill=tuple(chance.integers(0, 255, 3)))
        slide.save(folder / f"slide{number}.png")


def make_film(folder: Path, kind: str, seconds: int, fps: int) -> Path:
    out = folder / f"{kind}-{seconds}-{fps}.mp4"
    still = ["-loop", "1", "-framerate", str(fps)]
    inputs, chain = {
        "film": (
            ["-f", "lavfi", "-i", f"gradients=s=640x360:r={fps}:speed=0.02:seed=3:nb_colors=5"],
            "noise=alls=9:allf=t",
        ),
        "text": ([*still, "-i", "page.png"], "crop=640:360:0:min(90*t\\,3600)"),
        "slides": (
            ["-loop", "1", "-framerate", str(5 / seconds), "-i", "slide%d.png"], f"fps={fps}",
        ),
        "sport": (
            [*still, "-i", "texture.png"],
            "crop=640:360:800+700*sin(2.1*t):500+400*sin(3.3*t),rotate=0.1*sin(5*t)",
        ),
    }[kind]  # fmt: skip
    sound = ["-f", "lavfi", "-i", "anoisesrc=c=pink:a=0.3:r=48000"]
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "8", "-pix_fmt", "yuv420p"]
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-y", *inputs, *sound, "-t", str(seconds),
         "-vf", chain, *coding, "-c:a", "aac", "-b:a", "192k", out.name],
        cwd=folder, check=True,
    )  # fmt: skip
    return out


def two_passes(source: Path, plan: VideoPlan, speed: str, folder: Path) -> int:
    """Encode as one would by hand; returns the size in bytes."""
    fps = Fraction(plan.fps).limit_denominator(1001)
    chain = f"fps={fps},scale={plan.width}:{plan.height}:flags=lanczos,format=yuv420p"
    common = [
        "ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(source), "-vf", chain,
        "-c:v", "libx264", "-preset", speed, "-b:v", str(plan.video_bps),
        "-g", str(round(plan.fps * 10)), "-fps_mode", "passthrough", "-passlogfile", "plain",
    ]  # fmt: skip
    sound = ["-c:a", "aac", "-b:a", str(plan.sound.audio_bps), "-ac", str(plan.sound.channels)]
    out = folder / "plain.mp4"
    first = [*common, "-pass", "1", "-an", "-f", "null", "-"]
    second = [*common, "-pass", "2", *sound, "-movflags", "+faststart", str(out)]
    for command in (first, second):
        subprocess.run(command, cwd=folder, check=True)
    return out.stat().st_size


def used_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


async def run_case(case: tuple, folder: Path, preset: Preset, workers: Workers) -> Row:
    kind, seconds, fps, kbps = case
    source = make_film(folder, kind, seconds, fps)
    target = kbps * 125 * seconds
    if source.stat().st_size <= target:
        raise SystemExit(f"{source.name} fits already: choose another rate")
    footage, _ = await read_footage(source, workers=workers, name=source.name)
    began, cpu = time.perf_counter(), used_cpu_s()
    manager = CompressionManager(workers=workers, target_bytes=target)
    result = await manager.compress_file(source, options=CompressionOptions(preset=preset))
    ours_s, ours_cpu_s = time.perf_counter() - began, used_cpu_s() - cpu
    plan = replace(
        plan_video(footage, target, name=source.name),
        width=result.width, height=result.height, fps=result.fps,
    )  # fmt: skip
    began, cpu = time.perf_counter(), used_cpu_s()
    size = await asyncio.to_thread(two_passes, source, plan, SPEEDS[preset], folder)
    peer_s, peer_cpu_s = time.perf_counter() - began, used_cpu_s() - cpu
    source.unlink()
    return Row(case, result, ours_s, ours_cpu_s, peer_s, peer_cpu_s, size)


def show(row: Row) -> None:
    kind, seconds, fps, kbps = row.case
    result = row.result
    landed = f"{result.size_bytes / result.target_bytes:.1%}"
    if result.outcome is Outcome.VISUALLY_LOSSLESS:
        landed += ", lossless to the eye"
    picture = f"{result.width}x{result.height} {result.fps:g}"
    print(f"| {kind} | {seconds} | {fps} | {kbps} | {picture} | {landed} | {result.corrections} "
          f"| {row.peer_bytes / result.target_bytes:.1%} | {row.ours_s / row.peer_s:.2f}x "
          f"| {row.ours_cpu_s / row.peer_cpu_s:.2f}x |", flush=True)  # fmt: skip


def sum_up(rows: list[Row]) -> None:
    sizes = [row.result.size_bytes / row.result.target_bytes for row in rows]
    lossless = [row.result.outcome is Outcome.VISUALLY_LOSSLESS for row in rows]
    hits = sum(0.92 <= size <= 1 or fine for size, fine in zip(sizes, lossless, strict=True))
    plain = sum(0.92 <= row.peer_bytes / row.result.target_bytes <= 1 for row in rows)
    at_once = sum(row.result.corrections == 0 for row in rows)
    wall = statistics.median(row.ours_s / row.peer_s for row in rows)
    cpu = statistics.median(row.ours_cpu_s / row.peer_cpu_s for row in rows)
    print(f"\n{hits} of {len(rows)} at 92-100 % of the target ({sum(lossless)} of them lossless to "
          f"the eye and smaller), {sum(size > 1 for size in sizes)} above it, {at_once} without a "
          f"correction; two passes by hand: {plain} at 92-100 %.")  # fmt: skip
    print(f"Time, median: {wall:.2f}x wall, {cpu:.2f}x CPU; goal at most {GOAL_RATIO}x.")


async def run(arguments: argparse.Namespace) -> None:
    cases = [case for case in CASES if arguments.only in {None, case[0]}]
    print(
        f"\nFilms made to fit, preset {arguments.preset}, load average {os.getloadavg()[0]:.2f}\n"
    )
    print("| kind | s | fps | kbit/s | became | of target | corrections | by hand | wall | CPU |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        make_pictures(Path(name))
        async with Workers(count=1) as workers:
            for case in cases:
                rows.append(await run_case(case, Path(name), Preset(arguments.preset), workers))
                show(rows[-1])
    sum_up(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=list(Preset), default=Preset.BALANCED)
    parser.add_argument("--only", choices=["film", "text", "slides", "sport"])
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
