"""Writes the icons of the web app, as PNG, into web/public/icons.

Usage: python tools/make_web_icons.py [DIRECTORY]
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

ICONS = Path(__file__).resolve().parent.parent / "web" / "public" / "icons"
BLUE, WHITE, RED = "#2f56d6", "#ffffff", "#d92d20"
# All is drawn on a field of 512 by 512, so many times finer than it is kept.
FIELD, FINER = 512, 4
STROKE = 36
ARROW = [[(256, 296), (256, 132)], [(188, 196), (256, 128), (324, 196)]]
ROUND = [(32 * math.cos(at * math.pi / 16), 32 * math.sin(at * math.pi / 16)) for at in range(9)]
TRAY = [
    (120, 268),
    *((152 - x, 352 + y) for x, y in ROUND),
    *((360 + x, 352 + y) for x, y in reversed(ROUND)),
    (392, 268),
]


def draw(
    side: int, *, corner: int = 112, scale: float = 1.0, recorder: bool = False
) -> Image.Image:
    """Return an icon; `scale` leaves room around the sign, for what cuts a shape out of it."""
    big = FIELD * FINER
    image = Image.new("RGBA", (big, big))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, big - 1, big - 1), corner * FINER, fill=BLUE)
    if recorder:
        centre, radius = big / 2, 120 * FINER
        box = (centre - radius, centre - radius, centre + radius, centre + radius)
        pen.ellipse(box, fill=RED, outline=WHITE, width=STROKE * FINER)
    else:
        for line in [*ARROW, TRAY]:
            stroke(pen, line, scale)
    return image.resize((side, side), Image.Resampling.LANCZOS)


def stroke(pen: ImageDraw.ImageDraw, line: Sequence[tuple[float, float]], scale: float) -> None:
    middle = FIELD / 2
    points = [
        tuple(((value - middle) * scale + middle) * FINER for value in point) for point in line
    ]
    width = STROKE * scale * FINER
    pen.line(points, fill=WHITE, width=round(width), joint="curve")
    for x, y in (points[0], points[-1]):
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=WHITE)


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else ICONS
    folder.mkdir(parents=True, exist_ok=True)
    icons = {
        "icon-180": draw(180, corner=0),
        "icon-192": draw(192),
        "icon-512": draw(512),
        "maskable-512": draw(512, corner=0, scale=0.78),
        "record-96": draw(96, recorder=True),
    }
    for name, icon in icons.items():
        icon.quantize(64, method=Image.Quantize.FASTOCTREE).save(
            folder / f"{name}.png", optimize=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
