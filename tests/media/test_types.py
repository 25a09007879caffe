"""Types by content, on files that real programs made."""

from __future__ import annotations

import subprocess

import pytest
from type_samples import samples  # noqa: F401 - pytest finds fixtures by name

from haulier.core.sniff import HEAD_BYTES, TAIL_BYTES, id3_bytes, sniff


def type_of(data: bytes) -> str | None:
    head = data[:HEAD_BYTES]
    tail = data[-TAIL_BYTES:] if len(data) > HEAD_BYTES else b""
    tag = id3_bytes(head)
    found = sniff(head, tail, behind_tag=data[tag : tag + 4096])
    return None if found is None else found.mime_type


def test_every_sample_is_what_it_is(samples):  # noqa: F811
    told = {name: type_of((samples.folder / name).read_bytes()) for name in samples.of}
    assert told == samples.of
    assert len(told) > 120


def test_what_is_cut_in_half_keeps_its_type(samples):  # noqa: F811
    """Those that lose it say what they are only near their end, or are text."""
    lost = {}
    for name, mime_type in samples.of.items():
        data = (samples.folder / name).read_bytes()
        if (told := type_of(data[: len(data) // 2])) != mime_type:
            lost[name] = told
    assert lost == {
        "comment.svg": "text/plain",
        "cover.aac": "audio/mpeg",
        "cp1251.txt": None,
        "crew.csv": "text/plain",
        "events.ndjson": "text/plain",
        "feed.rss": "application/xml",
        "letter.doc": "application/x-ole-storage",
        "macros.docm": samples.of["word.docx"],
        "module.wasm": None,
        "prolog.svg": "application/xml",
        "run.py": "text/plain",
        "ship.json": "text/plain",
        "sound.mp4": "video/mp4",
        "streamed.docx": "application/zip",
        "table.xls": "application/x-ole-storage",
        "voice.3gp": "video/3gpp",
    }


@pytest.mark.parametrize("name", ["h264.mp4", "clip.mkv", "clip.ts", "bare.mp3", "tone.aac"])
def test_a_sample_is_what_ffprobe_says(samples, name):  # noqa: F811
    """The samples themselves are right: another program reads them as what they are called."""
    asked = ["ffprobe", "-v", "error", "-show_entries", "format=format_name", "-of", "csv=p=0"]
    done = subprocess.run(
        [*asked, samples.folder / name], capture_output=True, text=True, check=True
    )
    words = {"h264.mp4": "mp4", "clip.mkv": "matroska", "clip.ts": "mpegts", "bare.mp3": "mp3"}
    assert words.get(name, "aac") in done.stdout
