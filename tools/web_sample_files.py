"""Files as somebody has them who travels, all computed: for the pictures of the web app."""

from __future__ import annotations

import io
import subprocess
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Colour = tuple[int, int, int]
Pixels = NDArray[np.float64]

WIDTH, HEIGHT = 1500, 1000
# Sky above, sky at the horizon, what is nearest; where the sun stands, in parts of the picture.
SCENES: dict[str, tuple[Colour, Colour, Colour, tuple[float, float]]] = {
    "Blue hour.jpg": ((28, 44, 92), (214, 152, 142), (16, 22, 44), (0.24, 0.58)),
    "First light.jpg": ((96, 146, 196), (253, 219, 164), (40, 48, 72), (0.7, 0.5)),
    "Fjord at noon.jpg": ((62, 132, 198), (206, 230, 240), (24, 74, 78), (0.5, 0.14)),
    "Last ridge.jpg": ((248, 190, 132), (252, 232, 200), (104, 52, 44), (0.36, 0.36)),
    "Midnight sun.jpg": ((104, 66, 120), (250, 166, 96), (44, 26, 52), (0.56, 0.56)),
    "Northern lights.jpg": ((8, 14, 34), (22, 62, 74), (4, 8, 16), (0.5, 2.0)),
    "Pine woods.jpg": ((170, 200, 202), (226, 234, 222), (22, 52, 44), (0.8, 0.2)),
    "Rain coming in.jpg": ((90, 104, 122), (178, 190, 198), (44, 54, 64), (0.5, 2.0)),
    "Sea and haze.jpg": ((146, 184, 206), (240, 236, 226), (40, 84, 104), (0.3, 0.3)),
}
ITINERARY = (
    ("Mon 8 June", "Night train, then the harbour"),
    ("Tue 9 June", "Ferry to Moskenes, 3 h 15 min"),
    ("Wed 10 June", "Reine and the ridge above it"),
    ("Thu 11 June", "Rest, rain likely"),
    ("Fri 12 June", "Boat into the fjord, recorder charged"),
    ("Sat 13 June", "Midnight sun from the beach"),
    ("Sun 14 June", "Ferry back, copies to the server"),
)
PACKING = "Packing list\n\n- tent, two ropes\n- camera, four batteries\n- recorder, wind shield\n"
# Waves that come and go on a shore.
WAVES = "anoisesrc=d=48:c=brown:a=0.9:seed=3,tremolo=f=0.11:d=0.9,tremolo=f=0.31:d=0.5,volume=0.8"


def photo(name: str) -> bytes:
    """Return a photograph of a landscape, as JPEG."""
    out = io.BytesIO()
    _scene(name).save(out, "JPEG", quality=90)
    return out.getvalue()


def film() -> bytes:
    """Return some seconds of a slow pan over the sea, as WebM."""
    with tempfile.TemporaryDirectory() as place:
        _scene("Midnight sun.jpg").save(Path(place, "still.png"))
        pan = "zoompan=z='1.1+0.0004*on':x='on*0.5':d=120:s=960x540:fps=20"
        source = ["-loop", "1", "-i", f"{place}/still.png", "-f", "lavfi", "-i", WAVES]
        coding = ["-c:v", "libvpx", "-b:v", "1500k", "-c:a", "libopus", "-shortest"]
        return _encoded(place, "film.webm", *source, "-vf", pan, "-t", "6", *coding)


def sound() -> bytes:
    """Return the sound of waves, as MP3."""
    with tempfile.TemporaryDirectory() as place:
        return _encoded(place, "sound.mp3", "-f", "lavfi", "-i", WAVES, "-b:a", "128k")


def speech(path: Path) -> None:
    """Write what a microphone hears of somebody who speaks in phrases, as WAV."""
    phrases = "(sin(2*PI*140*t)+sin(2*PI*283*t)/2)*0.5*abs(sin(PI*t/0.9))*abs(sin(PI*t/3.7))"
    source = ["-f", "lavfi", "-i", f"aevalsrc='{phrases}':d=30", "-ar", "48000"]
    _encoded(str(path.parent), path.name, *source)


def itinerary() -> bytes:
    """Return a page of a travel plan, as PDF."""
    page = Image.new("RGB", (1240, 1754), "white")
    draw = ImageDraw.Draw(page)
    draw.text((120, 130), "Lofoten, June", font=ImageFont.load_default(72), fill=(20, 60, 90))
    draw.line((120, 240, 1120, 240), fill=(20, 60, 90), width=4)
    for number, (day, plan) in enumerate(ITINERARY):
        y = 310 + number * 92
        draw.text((120, y), day, font=ImageFont.load_default(32), fill=(90, 100, 110))
        draw.text((400, y), plan, font=ImageFont.load_default(32), fill=(30, 34, 40))
    view = _scene("Fjord at noon.jpg").resize((1000, 667))
    page.paste(view, (120, 985))
    out = io.BytesIO()
    page.save(out, "PDF", resolution=150, title="Lofoten, June")
    return out.getvalue()


def tickets() -> bytes:
    """Return a ZIP archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("ferry.txt", "train.txt"):
            archive.writestr(name, f"{name}: two people, one way\n" * 400)
    return out.getvalue()


def _encoded(place: str, name: str, *options: str) -> bytes:
    out = Path(place, name)
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", *options, str(out)]
    subprocess.run(command, check=True)
    return out.read_bytes()


def _scene(name: str) -> Image.Image:
    """Draw sky, sun and ridges one before the other, paler the farther away they are."""
    high, low, near, (sun_x, sun_y) = SCENES[name]
    rng = np.random.default_rng(sorted(SCENES).index(name) + 20)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    down = np.clip(y / (HEIGHT * 0.62), 0, 1)[..., None]
    pixels = _between(np.array(high, float), np.array(low, float), down**1.3)
    far = np.hypot(x / WIDTH - sun_x, (y / HEIGHT - sun_y) * HEIGHT / WIDTH)[..., None]
    glow = np.exp(-((far / 0.2) ** 2)) * 0.55 + (far < 0.028) * 0.45
    pixels = _between(pixels, np.array((255.0, 246.0, 222.0)), glow)
    if name == "Northern lights.jpg":
        pixels += _aurora(rng, x, y)
    sea = name in {"Sea and haze.jpg", "Midnight sun.jpg", "Blue hour.jpg", "Northern lights.jpg"}
    count = 3 if sea else 5
    for number in range(count):
        nearness = (number + 1) / count * (0.7 if sea else 1.0)
        base = HEIGHT * (0.5 + (0.13 if sea else 0.34) * number / (count - 1))
        edge = base - _ridge(rng, HEIGHT * (0.1 + 0.09 * nearness))
        if name == "Pine woods.jpg" and number >= 2:
            edge = edge - _trees(rng, HEIGHT * 0.05 * number)
        tone = _between(np.array(low, float), np.array(near, float), nearness**0.8)
        mist = np.clip((y - base) / (HEIGHT * 0.4), 0, 1)[..., None] * 0.4
        inside = np.clip(y - edge + 1, 0, 1)[..., None]
        pixels = _between(pixels, _between(tone, np.array(low, float), mist), inside)
    if sea:
        pixels = _mirrored(pixels, int(HEIGHT * 0.64), np.array(near, float), rng)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(0.6))


def _between(first: Pixels, second: Pixels, share: float | Pixels) -> Pixels:
    return first + (second - first) * share


def _ridge(rng: np.random.Generator, height: float) -> Pixels:
    """Return how high a ridge is at each column: large forms, and smaller ones on them."""
    at = np.arange(WIDTH) / WIDTH
    line = np.zeros(WIDTH)
    for octave in range(7):
        steps = rng.random(2 ** (octave + 1) + 3)
        line += np.interp(at * (len(steps) - 1), np.arange(len(steps)), steps) / 1.9**octave
    return (line - line.min()) / (line.max() - line.min()) * height


def _trees(rng: np.random.Generator, height: float) -> Pixels:
    """Return how much higher firs make a ridge at each column."""
    line = np.zeros(WIDTH)
    columns = np.arange(WIDTH)
    for place in rng.integers(0, WIDTH, 130):
        tall = height * rng.uniform(0.5, 1.1)
        line = np.maximum(line, tall - np.abs(columns - place) * rng.uniform(2.6, 3.6))
    return line


def _aurora(rng: np.random.Generator, x: Pixels, y: Pixels) -> Pixels:
    """Return curtains of green light, and stars."""
    light = np.zeros((HEIGHT, WIDTH, 3))
    for _ in range(3):
        foot = HEIGHT * (0.34 + 0.1 * np.sin(x / WIDTH * rng.uniform(4, 8) + rng.uniform(0, 6)))
        up = (foot - y) / (HEIGHT * rng.uniform(0.16, 0.26))
        beams = 0.7 + 0.3 * np.sin(x / rng.uniform(14, 30))
        strength = np.where(up > 0, np.exp(-up * 1.6), np.exp(up * 9)) * beams
        light += strength[..., None] * np.array((18, 150, 92))
    stars = rng.random((HEIGHT, WIDTH)) > 0.9993
    return light + stars[..., None] * 170


def _mirrored(pixels: Pixels, shore: int, near: Pixels, rng: np.random.Generator) -> Pixels:
    """Lay water below the shore, which shows what is above it, broken by ripples."""
    rows = np.arange(shore, HEIGHT)
    depth = (rows - shore) / (HEIGHT - shore)
    wobble = np.sin(np.cumsum(rng.uniform(0.2, 0.5, len(rows)))) * 6 * depth
    seen = np.clip(shore - (rows - shore) * 0.9 + wobble, 0, shore - 1).astype(int)
    water = _between(pixels[seen], near, (0.3 + 0.3 * depth)[:, None, None])
    return np.concatenate([pixels[:shore], water])
