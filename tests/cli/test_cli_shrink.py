"""shrink, as people and programs see it."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

NOISE = "testsrc2=s=160x120:r=25:d={seconds},noise=alls=25:allf=t"


@pytest.fixture
def clip(haulier):
    return film(haulier, "clip.mov")


def film(haulier, name, *, seconds=2, coding=("-preset", "ultrafast", "-crf", "10")):
    path = haulier.here / name
    pattern = NOISE.format(seconds=seconds)
    command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", pattern]
    subprocess.run([*command, *coding, str(path)], check=True)
    return path


def names(haulier):
    return sorted(entry.name for entry in haulier.here.iterdir())


def test_the_copy_stands_beside_its_source(haulier, clip):
    before = clip.read_bytes()
    printed = haulier("shrink", "clip.mov", "--to-size", "100K", "--preset", "fast")
    result = haulier.here / "clip_compressed.mp4"
    assert 0.92 * 102_400 <= result.stat().st_size <= 102_400
    assert printed.out.startswith("clip.mov  ")
    assert f" -> {result.stat().st_size / 1024:.0f} KiB  {result}  (" in printed.out
    assert "clip.mov  first pass" in printed.err
    assert clip.read_bytes() == before
    assert names(haulier) == ["clip.mov", "clip_compressed.mp4"]


def test_json_tells_each_file(haulier, clip):
    (haulier.here / "notes.txt").write_text("no film")
    (haulier.here / "out").mkdir()
    args = ["clip.mov", "notes.txt", "gone.mp4", "--to-size", "100K", "--out", "out"]
    done, *failed = haulier.json("shrink", *args, "--codec", "vp9", "--preset", "fast", code=1)
    assert (done["operation_type"], done["status"]) == ("shrink", "success")
    assert done["result_path"] == str(haulier.here / "out" / "clip_compressed.webm")
    told = done["metadata"]
    assert (told["kind"], told["outcome"], told["codec"]) == ("video", "compressed", "vp9")
    assert told["compressed_size"] <= told["target_size"] == 102_400
    assert told["compression_ratio"] == told["compressed_size"] / told["original_size"]
    codes = [(each["status"], each["metadata"]["error"]["code"]) for each in failed]
    assert codes == [("failed", "media-unsupported"), ("failed", "target-missing")]


def test_a_refusal_names_the_smallest_size_that_fits(haulier, clip):
    (failed,) = haulier.json("shrink", "clip.mov", "--to-size", "2K", code=1)
    assert failed["metadata"]["error"]["code"] == "does-not-fit"
    smallest = failed["metadata"]["error"]["smallest_bytes"]
    printed = haulier("shrink", "clip.mov", "--to-size", "2K", code=1)
    assert printed.out == ""
    assert "can't be made smaller than" in printed.err
    assert f"Allow {smallest} bytes" in printed.err
    haulier("shrink", "clip.mov", "--to-size", str(smallest), "--out", "small.mp4")
    assert (haulier.here / "small.mp4").stat().st_size <= smallest
    assert names(haulier) == ["clip.mov", "small.mp4"]


def test_what_fits_is_said_to(haulier, clip):
    printed = haulier("shrink", "clip.mov")
    assert "(it fitted already: a copy)" in printed.out
    assert (haulier.here / "clip_compressed.mov").read_bytes() == clip.read_bytes()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["clip.mov", "--to-size", "huge"], "'huge' is not a size"),
        (["clip.mov", "--preset", "hasty"], "there is no preset 'hasty'"),
        (["clip.mov", "--codec", "xvid"], "'xvid' is no codec"),
        (["clip.mov", "other.mov", "--out", "one.mp4"], "is no directory"),
        (["clip.mov", "clip.avi"], "would get the same name"),
    ],
)
def test_what_makes_no_sense_is_told(haulier, args, message):
    assert message in haulier("shrink", *args, code=2).err
    assert names(haulier) == []


def test_a_setting_is_checked(haulier):
    printed = haulier("shrink", "a.mp4", code=2, env={"COMPRESSION_FFMPEG_PRESET": "hasty"})
    assert "COMPRESSION_FFMPEG_PRESET" in printed.err


def test_ctrl_c_leaves_nothing(haulier):
    film(haulier, "long.mp4", seconds=20, coding=("-c:v", "mjpeg", "-q:v", "1"))
    args = ["shrink", "long.mp4", "--to-size", "2M", "--codec", "vp9", "--preset", "quality"]
    with haulier.running(*args) as process:
        deadline = time.monotonic() + 30
        while len(names(haulier)) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(names(haulier)) == 3
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted" in err
    assert names(haulier) == ["long.mp4"]
