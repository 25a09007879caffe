"""Draws docs/images/terminal.svg: a session with the real program, as a terminal showed it.

Usage: python tools/terminal_picture.py [FILE]

A bucket of a SeaweedFS server on loopback takes made-up media. Each command runs in a terminal (a
pty); what it printed is drawn as it stood at the end, and nothing is written by hand.
"""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from make_demo_media import write_media
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

from haulier.store.s3 import S3Store
from haulier.store.s3_setup import ensure_bucket
from haulier.testing.seaweed import SeaweedServer

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "terminal.svg"
TITLE = "haulier"
COLUMNS = 112
BUCKET = "my-archive"
COMMANDS = (
    "haulier upload holiday",
    "haulier history",
    "haulier verify --all --deep",
    "haulier restore holiday.tar.gz --member beach-3.png --out restored",
    "sha256sum -c beach-3.sha256",
)
_CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\r|\n")
# The terminal as Rich draws it, but for the web font: a picture fetches nothing.
_SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: arial; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g></g>
</svg>
"""


def final_screen(printed: str) -> list[str]:
    """Return the lines that stay when `printed` is through, with their colours.

    Knows what a program does that draws over its own lines: up, erase, return.
    """
    rows = [""]
    row = at = 0
    returned = False
    for match in (*_CONTROL.finditer(printed), None):
        text = printed[at : match.start() if match else len(printed)]
        if text:
            rows[row] = text if returned else rows[row] + text
            returned = False
        if match is None:
            break
        at = match.end()
        argument, letter = match.groups()
        if match[0] == "\n":
            row, returned = row + 1, False
            rows += [""] * (row + 1 - len(rows))
        elif match[0] == "\r":
            returned = True
        elif letter == "m":
            rows[row] += match[0]
        elif letter == "A":
            row = max(0, row - int(argument or 1))
        elif letter == "K":
            rows[row] = ""
    return [line for line in rows if Text.from_ansi(line).plain.strip()]


def run_in_terminal(command: str, directory: Path, env: dict[str, str]) -> str:
    """Run `command` in a pty and return what it printed; raises when it fails."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    with subprocess.Popen(
        ["/bin/sh", "-c", command], cwd=directory, env=env,
        stdin=theirs, stdout=theirs, stderr=theirs,
    ) as process:  # fmt: skip
        os.close(theirs)
        printed = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    if process.returncode:
        raise SystemExit(f"{command} failed:\n{printed.decode()}")
    return printed.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def session(directory: Path, server: SeaweedServer) -> list[Text]:
    """Run the commands in `directory` and return every line of the session."""
    write_media(directory)
    picture = directory / "holiday" / "beach-3.png"
    digest = subprocess.run(["sha256sum", picture], capture_output=True, text=True, check=True)
    (directory / "beach-3.sha256").write_text(
        f"{digest.stdout.split()[0]}  restored/holiday/beach-3.png\n"
    )
    asyncio.run(_make_bucket(server))
    env = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "HOME": str(directory / ".home"), "HAULIER_DATA": str(directory / ".haulier"),
        "LANG": "C.UTF-8", "TERM": "xterm-256color", "AWS_S3_BUCKET": BUCKET,
        "AWS_ENDPOINT_URL": server.endpoint_url, "AWS_ACCESS_KEY_ID": server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
    }  # fmt: skip
    lines = []
    for command in COMMANDS:
        lines.append(Text.assemble(("$ ", "bold green"), (command, "bold")))
        printed = run_in_terminal(command, directory, env)
        lines += [Text.from_ansi(line) for line in final_screen(printed)]
        lines.append(Text())
    return lines[:-1]


async def _make_bucket(server: SeaweedServer) -> None:
    store = S3Store(BUCKET, access=server.access())
    try:
        await ensure_bucket(store)
    finally:
        await store.aclose()


def drawn(lines: list[Text]) -> str:
    """Return `lines` as an SVG picture of a terminal."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(line, soft_wrap=True)
    return console.export_svg(
        title=TITLE, theme=DIMMED_MONOKAI, code_format=_SVG, unique_id="haulier"
    )


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    with (
        tempfile.TemporaryDirectory() as directory,
        tempfile.TemporaryDirectory() as data,
        SeaweedServer(Path(data)) as server,
    ):
        lines = session(Path(directory), server)
    target.parent.mkdir(exist_ok=True)
    target.write_text(drawn(lines), encoding="utf-8")
    print(f"{target}: {len(lines)} lines")


if __name__ == "__main__":
    main()
