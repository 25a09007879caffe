"""Short films and sounds, made by a real ffmpeg, to be made smaller."""

from __future__ import annotations

import subprocess
from pathlib import Path

NOISE = "testsrc2=s={size}:r={fps}:d={s},noise=alls=25:allf=t"
SLIDES = (
    "color=white:s={size}:r={fps}:d={s},drawbox=x=40+60*floor(t):y=40:w=90:h=60:color=navy:t=fill"
)

TALK = "testsrc2=s={size}:r=1:d={s},fps={fps}"


def make(path: Path, *arguments: str) -> Path:
    subprocess.run(
        ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *arguments, str(path)], check=True
    )
    return path


def film(
    path: Path, *, pattern: str = NOISE, size="320x240", fps=30, seconds=3.0, sound=True, more=()
) -> Path:
    inputs = ["-f", "lavfi", "-i", pattern.format(size=size, fps=fps, s=seconds)]
    if sound:
        inputs += ["-f", "lavfi", "-i", f"sine=330:r=48000:d={seconds}"]
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-pix_fmt", "yuv420p"]
    return make(path, *inputs, *coding, *(["-c:a", "aac", "-ac", "2"] if sound else []), *more)


def sound(path: Path, *, seconds=20.0, more=()) -> Path:
    """Something like music: chords that change, and noise."""
    chord = f"aevalsrc='0.2*sin(2*PI*t*(220+40*floor(t)))+0.1*sin(2*PI*t*1330)|0.2*sin(440*PI*t)':s=48000:d={seconds}"
    return make(
        path,
        *("-f", "lavfi", "-i", chord, "-f", "lavfi", "-i", f"anoisesrc=a=0.05:d={seconds}:r=48000"),
        *("-filter_complex", "[0][1]amix=inputs=2:duration=first", "-ac", "2", *more),
    )


def make_sources(folder: Path) -> Path:
    """Fill a directory with films and sounds that tests only read."""
    film(folder / "noise.mp4")
    film(folder / "tiny.mp4", size="128x96", seconds=1.5)
    film(folder / "silent.mkv", sound=False, seconds=2)
    film(folder / "upright.mov", size="240x320", seconds=2)
    film(folder / "slides.mp4", pattern=SLIDES, more=("-c:v", "mjpeg", "-q:v", "1"))
    turned = ("-c", "copy", "-metadata:s:v:0", "rotate=90")
    make(folder / "turned.mp4", "-i", str(folder / "noise.mp4"), *turned)
    sound(folder / "music.wav")
    return folder
