"""The picture in the README is what the program prints."""

from __future__ import annotations

import html
import re

import pytest

from docs.tables import REPOSITORY

PICTURE = REPOSITORY / "docs" / "images" / "terminal.svg"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools"))
    import terminal_picture

    return terminal_picture


def shown(svg):
    """Return the lines of text in a picture."""
    rows = {}
    for x, y, text in re.findall(r'<text class="haulier-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)<', svg):  # fmt: skip
        rows.setdefault(float(y), []).append((float(x), html.unescape(text)))
    lines = ("".join(text for _, text in sorted(rows[y])) for y in sorted(rows))
    return [line.replace("\xa0", " ").rstrip() for line in lines]


def steady(lines):
    """Return `lines` without what differs from run to run."""
    kept = [line for line in lines if line.strip() and "  finished  " not in line]
    return [re.sub(r"[0-9a-f]{8}[0-9a-f-]*|[\dT:Z-]{20}|\s+", " ", line).split() for line in kept]


@pytest.mark.parametrize(
    ("printed", "lines"),
    [
        ("one\r\ntwo\r\n", ["one", "two"]),
        ("10 %\r20 %\r\x1b[2Kdone\r\n", ["done"]),
        ("a 1\r\nb 1\r\n\x1b[1A\x1b[2K\x1b[1A\x1b[2Ka 2\r\nb 2\r\n", ["a 2", "b 2"]),
        ("a\r\nb\r\n\r\x1b[2A\x1b[0Jend\r\n", ["end", "b"]),
        ("\x1b[?25l\x1b[32mgreen\x1b[0m\x1b[?25h\r\n", ["\x1b[32mgreen\x1b[0m"]),
        ("\r\n \r\n", []),
    ],
)
def test_what_stays_on_the_screen(tool, printed, lines):
    assert tool.final_screen(printed) == lines


def test_the_picture_shows_the_commands_and_fetches_nothing(tool):
    svg = PICTURE.read_text(encoding="utf-8")
    assert [line[2:] for line in shown(svg) if line.startswith("$ ")] == list(tool.COMMANDS)
    assert re.findall(r"https?://[^\"]*", svg) == ["http://www.w3.org/2000/svg"]
    assert "docs/images/terminal.svg" in (REPOSITORY / "README.md").read_text(encoding="utf-8")


@pytest.mark.servers
def test_the_picture_is_what_the_program_prints(tool, tmp_path, s3_server):
    svg = tool.drawn(tool.session(tmp_path, s3_server))
    assert steady(shown(svg)) == steady(shown(PICTURE.read_text(encoding="utf-8"))), "make picture"
