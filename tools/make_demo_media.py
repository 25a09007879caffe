"""Writes a small folder of real media, about 20 MB, with the standard library alone.

Usage: python tools/make_demo_media.py DIRECTORY

The same bytes every time: two folders and a file, as a card out of a camera might hold.
"""

from __future__ import annotations

import array
import math
import random
import struct
import sys
import wave
import zlib
from pathlib import Path

SAMPLE_RATE_HZ = 44_100


def write_picture(path: Path, *, width: int, height: int, seed: int) -> None:
    """Write a PNG of a colour gradient with grain, `width` by `height` pixels."""
    rng = random.Random(seed)
    tint = rng.randbytes(3)
    rows = bytearray()
    for y in range(height):
        shade = 160 * y // height
        base = int.from_bytes(bytes((level // 4 + shade) & 0xF0 for level in tint) * width)
        grain = int.from_bytes(rng.randbytes(3 * width)) & int.from_bytes(b"\x0f" * 3 * width)
        rows += b"\0" + (base | grain).to_bytes(3 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, body in chunks:
            file.write(struct.pack(">I", len(body)) + kind + body)
            file.write(struct.pack(">I", zlib.crc32(kind + body)))


def write_tone(path: Path, *, pitch_hz: int, seconds: int) -> None:
    """Write a stereo WAV that holds one tone of `pitch_hz` for `seconds`."""
    step = 2 * math.pi * pitch_hz / SAMPLE_RATE_HZ
    one_second = array.array("h")
    for index in range(SAMPLE_RATE_HZ):
        level = round(12_000 * math.sin(step * index))
        one_second.extend((level, level))
    if sys.byteorder == "big":
        one_second.byteswap()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(one_second.tobytes() * seconds)


def write_media(directory: Path) -> list[Path]:
    """Fill `directory` and return the files written."""
    pictures = [directory / "holiday" / f"beach-{number}.png" for number in range(1, 6)]
    tones = [directory / "concert" / f"encore-{pitch}hz.wav" for pitch in (220, 330)]
    notes = directory / "notes.txt"
    for path in (*pictures, *tones, notes):
        path.parent.mkdir(parents=True, exist_ok=True)
    for seed, path in enumerate(pictures):
        write_picture(path, width=1440, height=960, seed=seed)
    for path, pitch_hz in zip(tones, (220, 330), strict=True):
        write_tone(path, pitch_hz=pitch_hz, seconds=30)
    lines = (f"{n:04}  beach-{n % 5 + 1}.png  keep, the light is good\n" for n in range(2_000))
    notes.write_text("".join(lines), encoding="utf-8")
    return [*pictures, *tones, notes]


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    written = write_media(Path(arguments[0]))
    size_bytes = sum(path.stat().st_size for path in written)
    print(f"{len(written)} files, {size_bytes / 2**20:.1f} MiB, in {arguments[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
