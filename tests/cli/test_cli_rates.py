"""--limit-rate of each command: what would be over at once is still under way.

Nobody measures time here. At a kibibyte a second the archive would take minutes; a command that
did not keep to the rate would have ended before it could be seen at work.
"""

from __future__ import annotations

import json
import os
import re

import pytest

SLOWLY = ["--limit-rate", "1K"]
CONTENT = os.urandom(256 << 10)


@pytest.fixture
def clip(haulier):
    return haulier.make("clip.mp4", CONTENT)


def see_it_crawl(haulier, *args):
    """Run until it says how far it is, then end it; returns the bytes that it had moved."""
    with haulier.running(*args, *SLOWLY) as process:
        for line in process.stderr:
            told = re.search(rb"  \d+ %  ([\d.]+) (B|KiB) of 2\d\d KiB", line)
            if told and told[1] != b"0":
                break
        else:
            raise AssertionError(f"{args} ended without crawling")
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 130
    return float(told[1]) * {b"B": 1, b"KiB": 1024}[told[2]]


@pytest.fixture
def interrupted(haulier, clip):
    see_it_crawl(haulier, "upload", "clip.mp4")
    (record,) = haulier.json("history")
    assert record["status"] == "cancelled"
    return record


@pytest.mark.parametrize("command", ["resume", "retry"])
def test_going_on_keeps_to_a_rate_of_its_own(haulier, interrupted, command):
    moved = see_it_crawl(haulier, command, interrupted["operation_id"])
    assert 0 < moved < len(CONTENT) / 2
    (done,) = haulier.json(command, interrupted["operation_id"])
    assert done["status"] == "success"
    assert (haulier.media / "completed" / "clip.mp4").read_bytes() == CONTENT


def test_reading_back_keeps_to_the_rate(haulier, clip):
    haulier("upload", "clip.mp4")
    moved = see_it_crawl(haulier, "verify", "--all", "--deep")
    assert 0 < moved < len(CONTENT) / 2
    checked = haulier.json("history", "--type", "verify")
    assert [record["status"] for record in checked] == ["cancelled"]


def test_restoring_keeps_to_the_rate(haulier, clip):
    haulier("upload", "clip.mp4")
    moved = see_it_crawl(haulier, "restore", "clip.mp4.tar.gz", "--out", "back")
    assert 0 < moved < len(CONTENT) / 2
    assert not (haulier.here / "back" / "clip.mp4").exists()
    haulier("restore", "clip.mp4.tar.gz", "--out", "back", "--limit-rate", "20M")
    assert (haulier.here / "back" / "clip.mp4").read_bytes() == CONTENT
    assert os.listdir(haulier.here / "back") == ["clip.mp4"]


def test_watching_keeps_to_the_rate(haulier, clip):
    moved = see_it_crawl(haulier, "watch", str(haulier.media), "--settle", "0s")
    assert 0 < moved < len(CONTENT) / 2
    assert (haulier.media / "clip.mp4").exists()
    assert json.loads(haulier("history", "--json").out)[0]["status"] == "cancelled"
