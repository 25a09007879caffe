"""The media in a directory, and which of it may be sent."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys

import image_samples
import pytest
from type_samples import samples  # noqa: F401 - pytest finds fixtures by name

from haulier import FileSizeAnalyzer, MediaFile, MediaFileDetector, MediaType
from haulier.errors import TargetMissing, TargetUnreadable

PNG = image_samples.png()


async def found_in(folder):
    problems = []
    files = await MediaFileDetector(problems.append).find_media_files(folder)
    return files, {os.path.relpath(problem.path, folder): problem.reason for problem in problems}


async def test_media_are_found_by_what_they_hold(samples, tmp_path):  # noqa: F811
    named = {
        "post/1/clip.mp4": "h264.mp4", "post/1/clip": "clip.mkv", "post/2.jpg": "heic.heic",
        "post/song.bin": "tagged.mp3", "drawing.svg": "comment.svg", "voice.webm": "recording.webm",
    }  # fmt: skip
    others = {"info.json": "ship.json", "post/page.jpg": "page.html", "a.mp4": "list.m3u8",
              "book.pdf": "scan.pdf", "all.zip": "files.zip", "tool.gif": "stub.exe"}  # fmt: skip
    for name, sample in (named | others).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(samples.folder / sample, tmp_path / name)
    files, problems = await found_in(str(tmp_path))
    assert problems == {}
    assert {str(file.path.relative_to(tmp_path)): file.media_type for file in files} == {
        "drawing.svg": MediaType.IMAGE, "post/1/clip": MediaType.VIDEO, "post/1/clip.mp4": MediaType.VIDEO,
        "post/2.jpg": MediaType.IMAGE, "post/song.bin": MediaType.AUDIO, "voice.webm": MediaType.AUDIO,
    }  # fmt: skip
    assert [file.path for file in files] == sorted(file.path for file in files)
    clip = next(file for file in files if file.filename == "clip.mp4")
    assert clip.size_bytes == (samples.folder / "h264.mp4").stat().st_size
    assert clip.size_mb == clip.size_bytes / 1_048_576
    assert (clip.is_compressed, clip.original_path, clip.mime_type) == (False, None, "video/mp4")
    renamed = next(file for file in files if file.filename == "2.jpg")
    assert renamed.warnings == ("its name says image/jpeg, its content is image/heic",)


async def test_every_media_sample_is_found_and_nothing_else(samples):  # noqa: F811
    files, problems = await found_in(samples.folder)
    media = {"video", "audio", "image"}
    own = {"application/mxf", "application/vnd.rn-realmedia"}
    expected = {n for n, m in samples.of.items() if m.split("/")[0] in media or m in own}
    assert {file.filename for file in files} == expected
    assert problems == {}


async def test_what_is_hidden_or_unfinished_is_passed_over(tmp_path):
    for name in (
        "a.png", ".hidden.png", "b.mp4.part", "c.ytdl", "d.png.crdownload", "e.png.haulier-partial",
        ".cache/f.png", "g.mp4.PART",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    files, problems = await found_in(tmp_path)
    assert ([file.filename for file in files], problems) == (["a.png"], {})


async def test_nothing_outside_is_read_and_obstacles_are_told(tmp_path):
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    for directory in (outside, folder, folder / "inner"):
        directory.mkdir()
    for path in (outside / "secret.png", folder / "inner" / "a.png"):
        path.write_bytes(PNG)
    (folder / "link.png").symlink_to(outside / "secret.png")
    (folder / "up").symlink_to(outside)
    (folder / "round").symlink_to(folder)
    (folder / "gone.png").symlink_to("nowhere")
    (folder / "empty.mp4").touch()
    os.mkfifo(folder / "pipe.mp4")
    files, problems = await found_in(folder)
    assert [file.path for file in files] == [folder / "inner" / "a.png"]
    link = "it is a symbolic link, which is not followed"
    assert problems == {
        "link.png": link, "up": link, "round": link, "gone.png": link, "empty.mp4": "it is empty",
        "pipe.mp4": "pipe.mp4 is no regular file",
    }  # fmt: skip


def test_what_may_not_be_read_is_told_and_the_rest_found(tmp_path):
    """As an ordinary user: root may read everything."""
    folder = tmp_path / "folder"
    for name in ("a.png", "b.png", "closed/c.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PNG)
    (folder / "b.png").chmod(0)
    (folder / "closed").chmod(0)
    script = """if True:
    import asyncio, concurrent.futures.thread, os, sys
    from haulier import MediaFileDetector
    problems, folder = [], sys.argv[1]
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
        os.chdir(folder)
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
    files = asyncio.run(MediaFileDetector(problems.append).find_media_files("."))
    print([str(file.path) for file in files])
    print([(problem.path, problem.reason) for problem in problems])
    """
    done = subprocess.run(
        [sys.executable, "-c", script, folder], capture_output=True, text=True, cwd=folder,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "['a.png']",
        "[('b.png', 'b.png: Permission denied'), ('closed', 'Permission denied')]",
    ], done.stderr


async def test_very_deep_directories_are_no_end(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(PNG)
    monkeypatch.chdir(tmp_path)
    for _ in range(25):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    files, problems = await found_in(tmp_path)
    assert [file.filename for file in files] == ["a.png"]
    assert list(problems.values()) == ["File name too long"]


async def test_names_that_are_not_text_are_found(tmp_path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9.png", "wb") as file:
        file.write(PNG)
    (found,), _ = await found_in(tmp_path)
    assert os.fsencode(found.filename) == b"caf\xe9.png"


async def test_a_problem_is_logged_where_nobody_else_takes_it(tmp_path, caplog):
    (tmp_path / "a.mp4").touch()
    with caplog.at_level(logging.WARNING, logger="haulier"):
        assert await MediaFileDetector().find_media_files(tmp_path) == []
    assert f"{tmp_path}/a.mp4: it is empty" in caplog.text


async def test_what_is_no_directory_is_told(tmp_path):
    detector = MediaFileDetector()
    with pytest.raises(TargetMissing, match="gone"):
        await detector.find_media_files(tmp_path / "gone")
    (tmp_path / "a.png").write_bytes(PNG)
    with pytest.raises(TargetMissing, match=r"a\.png is no directory"):
        await detector.find_media_files(tmp_path / "a.png")
    assert (await detector.detect_file(tmp_path / "a.png")).media_type is MediaType.IMAGE
    with pytest.raises(TargetUnreadable):
        await detector.detect_file(tmp_path)


def a_file(name, size_bytes):
    return MediaFile(path=name, filename=name, size_bytes=size_bytes, media_type=MediaType.VIDEO)


async def test_files_are_divided_by_the_limit():
    files = [a_file("a", 3_000_000), a_file("b", 1_048_576), a_file("c", 1_048_577), a_file("d", 1)]
    analysis = await FileSizeAnalyzer(1_048_576).analyze_files(iter(files))
    assert [file.filename for file in analysis.acceptable_files] == ["b", "d"]
    assert [file.filename for file in analysis.oversized_files] == ["a", "c"]
    assert analysis.total_size_mb == (3_000_000 + 1_048_576 + 1_048_577 + 1) / 1_048_576
    assert analysis.limit_bytes == 1_048_576


async def test_nothing_is_divided_into_nothing_against_discords_default():
    analysis = await FileSizeAnalyzer().analyze_files([])
    assert (analysis.acceptable_files, analysis.oversized_files) == ([], [])
    assert (analysis.total_size_mb, analysis.limit_bytes) == (0, 20_970_496)
