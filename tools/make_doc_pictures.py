"""Writes docs/images: a contact sheet and a waveform, made by haulier of what ffmpeg synthesises.

Usage: python tools/make_doc_pictures.py [DIRECTORY]
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from haulier.media.audio import waveform_picture
from haulier.media.isolation import Workers
from haulier.media.videos import contact_sheet

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
DIVE = ("-f", "lavfi", "-i", "mandelbrot=size=480x270:rate=4:end_scale=0.02:end_pts=80")
# Two notes that beat against each other, in phrases that swell and fade.
PHRASES = "(sin(2*PI*220*t)+sin(2*PI*223*t))*0.4*abs(sin(PI*t/7))*pow(sin(PI*t/1.3),2)"
SONG = ("-f", "lavfi", "-i", f"aevalsrc='{PHRASES}':d=30")


def synthesise(clip: Path) -> None:
    codecs = ("-t", "30", "-c:v", "libx264", "-g", "8", "-pix_fmt", "yuv420p", "-c:a", "flac")
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", *DIVE, *SONG, *codecs, str(clip)]
    subprocess.run(command, check=True)


async def make_pictures(clip: Path, folder: Path) -> None:
    async with Workers() as workers:
        await contact_sheet(
            clip, folder / "contact-sheet.jpg", workers=workers, columns=4, rows=2,
            max_side=160, quality=50,
        )  # fmt: skip
        await waveform_picture(
            clip, folder / "waveform.png", workers=workers, width_px=680, height_px=100
        )


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch) / "clip.mkv"
        synthesise(clip)
        asyncio.run(make_pictures(clip, folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
