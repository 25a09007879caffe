from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from haulier.errors import DuplicateName, HaulierError, SourceChanged, StorageFull
from haulier.transfer.move import move

STEPS = {
    "same": ["renamed", "synced"],
    "other": ["copied", "compared", "placed", "removed"],
}


@pytest.fixture(params=["same", "other"])
def place(request, tmp_path):
    """A directory to move into, on the same file system or on another (tmpfs)."""
    if request.param == "same":
        yield "same", tmp_path / "target"
        return
    shm = Path("/dev/shm")
    assert shm.is_dir(), "this test needs a second file system at /dev/shm"
    directory = Path(tempfile.mkdtemp(dir=shm))
    assert directory.stat().st_dev != tmp_path.stat().st_dev
    yield "other", directory / "target"
    shutil.rmtree(directory)


def make_tree(root: Path) -> Path:
    root.mkdir()
    (root / "a.bin").write_bytes(os.urandom(100_000))
    (root / "sub").mkdir()
    (root / "sub" / "b.txt").write_text("text")
    (root / "link").symlink_to("a.bin")
    os.link(root / "a.bin", root / "hard")
    os.utime(root / "a.bin", ns=(1_700_000_000_123_456_789,) * 2)
    (root / "a.bin").chmod(0o640)
    return root


def contents(root: Path):
    return {
        str(path.relative_to(root)): (
            os.readlink(path) if path.is_symlink()
            else path.read_bytes() if path.is_file() else None,
            path.lstat().st_mode,
            None if path.is_dir() else path.lstat().st_mtime_ns,
        )
        for path in sorted(root.rglob("*"))
    }  # fmt: skip


def test_a_tree_arrives_whole_and_leaves(place, tmp_path):
    source = make_tree(tmp_path / "tree")
    before = contents(source)
    landed = move(source, place[1], ["tree"])
    assert landed == place[1] / "tree"
    assert contents(landed) == before
    assert (landed / "hard").stat().st_ino == (landed / "a.bin").stat().st_ino
    assert not source.exists()


def test_nothing_is_ever_overwritten(place, tmp_path):
    place[1].mkdir()
    (place[1] / "a").write_text("old")
    (tmp_path / "a").write_text("new")
    landed = move(tmp_path / "a", place[1], ["a", "b/a"])
    assert landed == place[1] / "b" / "a"
    assert (place[1] / "a").read_text() == "old"
    assert landed.read_text() == "new"


def test_all_names_taken(place, tmp_path):
    place[1].mkdir()
    (place[1] / "a").write_text("old")
    (tmp_path / "a").write_text("new")
    with pytest.raises(DuplicateName):
        move(tmp_path / "a", place[1], ["a"])
    assert (tmp_path / "a").read_text() == "new"


def test_into_itself_is_refused(tmp_path):
    source = make_tree(tmp_path / "tree")
    with pytest.raises(HaulierError):
        move(source, source / "completed", ["tree"])
    assert source.exists()


def test_a_source_that_changes_meanwhile_stays(tmp_path):
    directory = Path(tempfile.mkdtemp(dir="/dev/shm"))
    (tmp_path / "a").write_bytes(b"1" * 1000)

    def meddle(step):
        if step == "copied":
            (tmp_path / "a").write_bytes(b"2" * 1000)

    with pytest.raises(SourceChanged):
        move(tmp_path / "a", directory, ["a"], on_step=meddle)
    assert (tmp_path / "a").read_bytes() == b"2" * 1000
    assert list(directory.iterdir()) == []
    directory.rmdir()


def test_no_space_for_the_copy_keeps_the_source(tmp_path):
    """/dev/shm is filled up to a megabyte, so that a copy of two does not fit."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        assert os.getuid() != 0, mounted.stderr
        pytest.skip("only root can mount the small file system this needs")
    try:
        (tmp_path / "a").write_bytes(b"1" * (2 << 20))
        with pytest.raises(StorageFull):
            move(tmp_path / "a", small, ["a"])
        assert (tmp_path / "a").stat().st_size == 2 << 20
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


KILLED = """
import os, signal, sys
from pathlib import Path
from haulier.transfer.move import move
source, target, step = sys.argv[1:]
move(Path(source), Path(target), ["tree"],
     on_step=lambda s: os.kill(os.getpid(), signal.SIGKILL) if s == step else None)
"""


@pytest.mark.parametrize("number", range(4))
def test_killed_at_each_step_and_repeated(place, tmp_path, number):
    kind, target = place
    if number >= len(STEPS[kind]):
        return
    step = STEPS[kind][number]
    source = make_tree(tmp_path / "tree")
    before = contents(source)
    killed = subprocess.run([sys.executable, "-c", KILLED, source, target, step])
    assert killed.returncode == -signal.SIGKILL
    copies = [p for p in (source, target / "tree") if p.exists() and contents(p) == before]
    assert copies, "no complete copy is left"
    if source.exists():
        assert move(source, target, ["tree"], already=target / "tree") == target / "tree"
    assert not source.exists()
    assert contents(target / "tree") == before
    assert [path.name for path in target.iterdir()] == ["tree"]
