"""thumbnail: pictures of files."""

from __future__ import annotations

import subprocess

import pytest
from PIL import Image

CLIP = (
    "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=4", "-f", "lavfi", "-i",
    "sine=duration=4", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
)  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", *CLIP, path], check=True)
    return path.read_bytes()


@pytest.fixture
def files(haulier, clip):
    (haulier.here / "clip.mp4").write_bytes(clip)
    Image.new("RGB", (400, 300), "red").save(haulier.here / "photo.png")
    (haulier.here / "notes.txt").write_text("hello\n")
    return haulier.here


def test_pictures_go_beside_their_files(haulier, files):
    printed = haulier("thumbnail", "clip.mp4", "photo.png", "--size", "100")
    assert printed.rows == [
        ["clip.mp4", "clip.mp4.thumb.jpg", "frame at 0.0 s", "100 x 56"],
        ["photo.png", "photo.png.thumb.jpg", "image", "100 x 75"],
    ]
    assert printed.err == ""
    for name, size in (("clip.mp4", (100, 56)), ("photo.png", (100, 75))):
        with Image.open(files / f"{name}.thumb.jpg") as image:
            assert (image.size, image.format) == (size, "JPEG")


def test_pictures_go_where_they_are_told_to(haulier, files):
    (files / "pictures").mkdir()
    haulier("thumbnail", "clip.mp4", "photo.png", "--out", "pictures")
    assert {entry.name for entry in (files / "pictures").iterdir()} == {
        "clip.mp4.thumb.jpg",
        "photo.png.thumb.jpg",
    }
    haulier("thumbnail", "photo.png", "--out", "small.webp")
    with Image.open(files / "small.webp") as image:
        assert (image.format, image.size) == ("WEBP", (320, 240))


def test_what_a_video_shows_at_a_moment(haulier, files):
    (row,) = haulier("thumbnail", "clip.mp4", "--at", "2.5").rows
    assert row[2] == "frame at 2.5 s"


def test_a_sheet_and_a_waveform(haulier, files):
    (row,) = haulier("thumbnail", "clip.mp4", "--sheet", "3x2", "--size", "100").rows
    assert row[2:] == ["sheet", f"{3 * 108 + 8} x {2 * 64 + 8}"]
    (row,) = haulier("thumbnail", "clip.mp4", "--waveform", "--size", "100").rows
    assert row[2:] == ["waveform", "100 x 25"]


def test_a_program_gets_every_field(haulier, files):
    made, failed = haulier.json("thumbnail", "photo.png", "notes.txt", code=1)
    assert made == {
        "path": "photo.png", "thumbnail": "photo.png.thumb.jpg", "shows": "image", "at_s": None,
        "format": "jpeg", "width": 320, "height": 240, "status": "success", "hint": None,
        "size": (files / "photo.png.thumb.jpg").stat().st_size, "error_message": None,
    }  # fmt: skip
    assert (failed["path"], failed["thumbnail"], failed["status"]) == ("notes.txt", None, "failed")
    assert "notes.txt is text/plain" in failed["error_message"]


def test_one_that_fails_does_not_stop_the_rest(haulier, files):
    printed = haulier("thumbnail", "notes.txt", "gone.mp4", "photo.png", code=1)
    assert [row[0] for row in printed.rows] == ["photo.png"]
    assert "failed: notes.txt is text/plain, of which no picture is made\n  Thumb" in printed.err
    assert "failed: gone.mp4: No such file or directory\n  Check" in printed.err
    assert not (files / "notes.txt.thumb.jpg").exists()


def test_a_moment_behind_the_end(haulier, files):
    printed = haulier("thumbnail", "clip.mp4", "--at", "99", code=1)
    assert "clip.mp4 lasts 4.0 s, and has no picture at 99 s" in printed.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--sheet", "4"], "is no grid"),
        (["--sheet", "4x3", "--at", "1"], "show different things"),
        (["--out", "nowhere"], "nowhere is no directory"),
        (["photo.png", "--out", "one.jpg"], "one.jpg is no directory"),
        (["inner/clip.mp4", "--out", "."], "have the same name"),
    ],
)
def test_what_makes_no_sense(haulier, files, args, words):
    printed = haulier("thumbnail", "clip.mp4", *args, code=2)
    assert words in printed.err
    assert [entry.suffix for entry in files.iterdir() if entry.suffix == ".jpg"] == []
