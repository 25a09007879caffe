"""Files as cameras, programs and attackers write them, for tests of the web app."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image

from running_server import Server

HOSTILE_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="60" onload="document.title=`run`">'
    '<rect width="90" height="60" fill="teal"/><script>parent.document.title = "run"</script></svg>'
)
HOSTILE_PAGE = "<!doctype html><script>document.title = 'run'</script><h1>a page</h1>"
HOSTILE_NAME = '"><img src=x onerror=document.title="run">.txt'


def put(
    server: Server, name: str, content: bytes | str, mime_type: str, owner: str = "ann"
) -> dict[str, Any]:
    """Upload a file and return what is known of it."""
    headers = {**server.headers(owner), "Content-Type": mime_type}
    answer = httpx2.put(f"{server.url}/api/content/{name}", content=content, headers=headers)
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


def jpeg(width: int = 640, height: int = 400) -> bytes:
    return _picture("JPEG", width, height)


def pdf() -> bytes:
    return _picture("PDF", 300, 400)


def _picture(kind: str, width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.radial_gradient("L").resize((width, height)).convert("RGB").save(out, kind)
    return out.getvalue()


def sound(folder: Path, seconds: int = 8) -> bytes:
    return _made(folder / "sound.mp3", "sine=frequency=440", seconds)


def film(folder: Path, seconds: int = 2) -> bytes:
    return _made(folder / "film.webm", "testsrc=size=160x90:rate=10", seconds, "-c:v", "libvpx")


def _made(out: Path, source: str, seconds: int, *options: str) -> bytes:
    asked = ["-f", "lavfi", "-i", source, "-t", str(seconds), *options, "-y", str(out)]
    subprocess.run(["ffmpeg", "-loglevel", "error", *asked], check=True)
    return out.read_bytes()
