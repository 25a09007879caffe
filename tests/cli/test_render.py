"""What progress and tables look like, in a pipe and on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios

import pytest

from haulier.cli.output import printable
from haulier.cli.render import PlainLines
from haulier.core.progress import Progress, ProgressBoard


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢字 name", "plain é 漢字 name"),
        ("a\nb\tc\x00", r"a\nb\tc\x00"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("\ud800", r"\ud800"),
        (12, "12"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown
    assert printable(text).isprintable()


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_plain_lines_tell_each_stage_and_then_every_two_seconds():
    clock, said = Clock(), []
    board = ProgressBoard(clock)
    lines = PlainLines(clock, said.append)

    def tick(seconds):
        clock.now += seconds
        for event in board.sample():
            lines(event)
        told, said[:] = list(said), []
        return told

    meter = board.start("1", "a.mp4", 1000, "planned")
    assert tick(0.1) == ["a.mp4  planned  0 %  0 B of 1000 B"]
    meter.set_stage("uploading")
    assert len(tick(0.1)) == 1
    meter.add(500)
    assert tick(1.9) == []
    (line,) = tick(0.1)
    assert line.startswith("a.mp4  uploading  50 %  500 B of 1000 B")
    meter.finish()
    (line,) = tick(0.1)
    assert line.startswith("a.mp4  finished  500 B in 2 s")
    assert tick(10) == []


def test_plain_lines_keep_things_apart():
    said = []
    lines = PlainLines(Clock(), said.append)
    for id_ in "ab":
        lines(
            Progress(
                id=id_, name=id_, stage="uploading", state="advanced", done_bytes=0,
                total_bytes=None, rate_bps=0.0, eta_s=None, elapsed_s=0.0,
            )
        )  # fmt: skip
    assert [line[0] for line in said] == ["a", "b"]


LIVE = """
import asyncio
from haulier.cli.render import progress, table
from haulier.core.progress import ProgressBoard
async def main():
    board = ProgressBoard()
    async with progress(board, silent=False):
        film = board.start("1", "film [bold]x[/bold]\\x1b[2J.mkv", 100 << 20, "uploading")
        other = board.start("2", "clip.mp4", 10 << 20, "uploading")
        film.add(50 << 20)
        await asyncio.sleep(0.3)
        other.add(10 << 20)
        other.finish()
        film.fail("disk full")
    table(("status", "path"), [("ok", "x" * 100), ("[red]", "y")])
asyncio.run(main())
"""


def on_a_terminal(script, *, env=None, columns=80):
    """Run `script` on a terminal of its own and return everything it drew."""
    person, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, columns))
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=terminal, stderr=terminal,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "TERM": "xterm", "LANG": "C.UTF-8", **(env or {})},
    )  # fmt: skip
    os.close(terminal)
    drawn = b""
    with process, os.fdopen(person, "rb", buffering=0) as screen:
        try:
            while piece := screen.read(4096):
                drawn += piece
        except OSError:  # the other side is closed
            pass
    assert process.returncode == 0, drawn
    return drawn.decode()


def test_live_progress_on_a_terminal():
    drawn = on_a_terminal(LIVE)
    assert r"film [bold]x[/bold]\x" in drawn
    assert "\x1b[2J" not in drawn
    assert "50 MiB of 100 MiB" in drawn
    assert "0 of 2" in drawn
    assert "50 MiB of 110 MiB" in drawn
    assert "clip.mp4  finished  10 MiB in 0 s" in drawn
    assert "failed  disk full" in drawn
    assert "\x1b[?25h" in drawn.rpartition("\x1b[?25l")[2], "the cursor is shown again"


def test_a_table_on_a_terminal_folds_and_loses_nothing():
    drawn = on_a_terminal(LIVE, columns=60)
    assert "[red]" in drawn
    assert drawn.count("x" * 40) >= 2


def test_a_terminal_that_can_not_be_drawn_on_gets_plain_lines():
    drawn = on_a_terminal(LIVE, env={"TERM": "dumb"})
    assert "\x1b" not in drawn
    assert "clip.mp4  finished" in drawn
    assert "ok\t" + "x" * 100 in drawn
