"""A move never overwrites, never loses a byte, and can be repeated after any end.

"Other" is a second real file system, tmpfs at /dev/shm, so that a copy has to be made.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from haulier.errors import (
    ConfigurationError,
    DuplicateName,
    HaulierError,
    SourceChanged,
    TargetMissing,
    TargetUnreadable,
    UnsafePath,
)
from haulier.transfer.move import move
from haulier.transfer.workspace import PREFIX, workspace

MTIME_NS = 1_700_000_000_123_456_789
ENTRIES = 7  # of `make_tree`, with its root
COPY_STEPS = (
    *(("entry-copied", n) for n in range(1, ENTRIES + 1)),
    ("copied", 1),
    ("compared", 1),
    ("placed", 1),
    *(("entry-removed", n) for n in range(1, ENTRIES + 1)),
    ("removed", 1),
)
KILLS = [
    *(("same", step, 1) for step in ("renamed", "synced")),
    *(("other", step, number) for step, number in COPY_STEPS),
]


@dataclass
class Place:
    """Where a source lies and where it is to go."""

    sources: Path
    target: Path


@contextlib.contextmanager
def place_on(kind: str) -> Iterator[Place]:
    shm = Path("/dev/shm")
    assert shm.is_dir(), "these tests need a second file system at /dev/shm"
    first = Path(tempfile.mkdtemp())
    second = Path(tempfile.mkdtemp(dir=shm))
    assert first.stat().st_dev != second.stat().st_dev, "/dev/shm is not another file system"
    try:
        yield Place(first, (first if kind == "same" else second) / "target")
    finally:
        shutil.rmtree(first)
        shutil.rmtree(second)


@pytest.fixture(params=["same", "other"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with place_on(request.param) as made:
        yield made


@pytest.fixture
def other() -> Iterator[Place]:
    with place_on("other") as made:
        yield made


def make_tree(root: Path) -> Path:
    root.mkdir()
    (root / "a.bin").write_bytes(os.urandom(100_000))
    (root / "sub").mkdir()
    (root / "sub" / "b.txt").write_text("text")
    (root / "link").symlink_to("nowhere")
    os.link(root / "a.bin", root / "hard")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\n")).write_bytes(b"hostile")
    (root / "a.bin").chmod(0o640)
    (root / "sub").chmod(0o550)
    for path in (root / "a.bin", root / "link", root / "sub", root):
        os.utime(path, ns=(MTIME_NS, MTIME_NS), follow_symlinks=False)
    return root


def contents(root: Path) -> dict[str, tuple[object, ...]] | None:
    """Return all there is to know of a tree; None where there is none."""
    if not os.path.lexists(root):
        return None
    return {
        str(path.relative_to(root)): (
            os.readlink(path)
            if path.is_symlink()
            else path.read_bytes()
            if path.is_file()
            else None,
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.lstat().st_nlink,
        )
        for path in (root, *sorted(root.rglob("*")))
    }


def names_in(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


# --- what arrives


def test_a_tree_arrives_whole_and_leaves(place: Place) -> None:
    source = make_tree(place.sources / "tree")
    before = contents(source)
    assert move(source, place.target, ["tree"]) == place.target / "tree"
    assert contents(place.target / "tree") == before
    assert not source.exists()
    assert names_in(place.target) == ["tree"]


@pytest.mark.parametrize("kind", ["file", "symlink", "empty directory"])
def test_any_kind_of_source_moves(place: Place, kind: str) -> None:
    source = place.sources / "source"
    if kind == "file":
        source.write_bytes(b"x" * 3_000_000)
    elif kind == "symlink":
        source.symlink_to(place.sources)
    else:
        source.mkdir()
    before = contents(source) if kind != "symlink" else os.readlink(source)
    landed = move(source, place.target, ["source"])
    assert (contents(landed) if kind != "symlink" else os.readlink(landed)) == before
    assert not os.path.lexists(source)


def test_extended_attributes_are_kept(other: Place) -> None:
    source = other.sources / "a"
    source.write_bytes(b"1")
    try:
        os.setxattr(source, "user.origin", b"camera")
        os.setxattr(other.target.parent, "user.probe", b"1")
    except OSError:
        # tmpfs has user attributes since Linux 6.6; without them the move has to work all the same
        move(source, other.target, ["a"])
        return
    assert os.getxattr(move(source, other.target, ["a"]), "user.origin") == b"camera"


def test_a_target_directory_is_made_with_those_above_it(place: Place) -> None:
    (place.sources / "a").touch()
    landed = move(place.sources / "a", place.target / "2026" / "01", ["b/a"])
    assert landed == place.target / "2026" / "01" / "b" / "a"
    assert landed.exists()


# --- names


def test_nothing_is_ever_overwritten(place: Place) -> None:
    place.target.mkdir()
    (place.target / "a").write_text("old")
    (place.target / "b").mkdir()
    (place.target / "c").symlink_to("nowhere")
    (place.sources / "a").write_text("new")
    assert move(place.sources / "a", place.target, ["a", "b", "c", "d/a"]).read_text() == "new"
    assert names_in(place.target) == ["a", "b", "c", "d"]
    assert (place.target / "a").read_text() == "old"


def test_an_empty_directory_of_that_name_is_not_replaced(place: Place) -> None:
    (place.target / "tree").mkdir(parents=True)
    source = make_tree(place.sources / "tree")
    with pytest.raises(DuplicateName):
        move(source, place.target, ["tree"])
    assert names_in(place.target / "tree") == []


def test_all_names_taken(place: Place) -> None:
    place.target.mkdir()
    (place.target / "a").write_text("old")
    (place.sources / "a").write_text("new")
    with pytest.raises(DuplicateName):
        move(place.sources / "a", place.target, ["a"])
    assert (place.sources / "a").read_text() == "new"


def test_a_name_taken_while_copying_is_left_alone(other: Place) -> None:
    (other.sources / "a").write_text("new")

    def take(step: str) -> None:
        if step == "compared" and not (other.target / "a").exists():
            (other.target / "a").write_text("old")

    landed = move(other.sources / "a", other.target, ["a", "b"], on_step=take)
    assert landed == other.target / "b"
    assert [(other.target / name).read_text() for name in names_in(other.target)] == ["old", "new"]


def test_what_is_there_already_stays_where_it_is(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "tree")
    (tmp_path / "alias").symlink_to(tmp_path)
    before = contents(source)
    for directory in (tmp_path, tmp_path / "alias"):
        move(source, directory, ["tree"])
        move(source, directory, ["tree"], already=directory / "tree")
        assert contents(source) == before


# --- refusals


@pytest.mark.parametrize("below", ["", "completed", "sub/completed"])
def test_into_itself_is_refused(tmp_path: Path, below: str) -> None:
    source = make_tree(tmp_path / "tree")
    before = contents(source)
    (tmp_path / "alias").symlink_to(source)
    for directory in (source / below, tmp_path / "alias" / below):
        with pytest.raises(ConfigurationError, match="inside"):
            move(source, directory, ["tree"])
    assert contents(source) == before


def test_a_neighbour_with_a_longer_name_is_not_inside(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "tree")
    assert move(source, tmp_path / "tree-completed", ["tree"]).exists()


def test_a_missing_source_is_named(place: Place) -> None:
    with pytest.raises(TargetMissing, match="gone"):
        move(place.sources / "gone", place.target, ["gone"])


def test_a_target_that_is_no_directory(place: Place) -> None:
    place.target.write_text("a file")
    (place.sources / "a").touch()
    for directory in (place.target, place.target / "below"):
        with pytest.raises(ConfigurationError, match="not a directory"):
            move(place.sources / "a", directory, ["a"])
    assert (place.sources / "a").exists()


def test_too_long_a_name(place: Place) -> None:
    (place.sources / "a").touch()
    with pytest.raises(UnsafePath):
        move(place.sources / "a", place.target, ["n" * 256])
    assert (place.sources / "a").exists()


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_can_not_be_copied_is_named_before_anything_is(other: Place, kind: str) -> None:
    source = make_tree(other.sources / "tree")
    if kind == "pipe":
        os.mkfifo(source / "zz special")
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(source / "zz special"))
    steps: list[str] = []
    with pytest.raises(TargetUnreadable, match="zz special"):
        move(source, other.target, ["tree"], on_step=steps.append)
    assert steps == []
    assert names_in(other.target) == []


AS_NOBODY = """
import os, sys
from pathlib import Path
from haulier.errors import HaulierError
from haulier.transfer.move import move
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    print("moved", move(Path(sys.argv[1]), Path(sys.argv[2]), ["tree"]))
except HaulierError as error:
    print(type(error).__name__, error)
"""


def as_nobody(source: Path, target: Path) -> str:
    """Move as an ordinary user, who owns both places: root may do anything."""
    for root in (source.parent, target.parent):
        for path in (root, *root.rglob("*")):
            if os.getuid() == 0:
                os.chown(path, 65534, 65534, follow_symlinks=False)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, source, target], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_read_only_directories_in_a_source_are_no_obstacle(place: Place) -> None:
    source = make_tree(place.sources / "tree")
    before = contents(source)
    assert as_nobody(source, place.target).startswith("moved")
    assert contents(place.target / "tree") == before
    assert not source.exists()


@pytest.mark.parametrize(
    ("locked", "error"),
    [
        ("target", "ConfigurationError"),
        ("source", "TargetUnreadable"),
        ("sources", "TargetUnreadable"),
        ("file", "TargetUnreadable"),
    ],
)
def test_missing_permission_is_named_and_the_source_stays(
    other: Place, locked: str, error: str
) -> None:
    source = make_tree(other.sources / "tree")
    before = contents(source)
    other.target.mkdir()
    path = {
        "target": other.target,
        "source": source,
        "sources": other.sources,
        "file": source / "sub" / "b.txt",
    }[locked]
    mode = path.stat().st_mode
    path.chmod(0o555 if path.is_dir() else 0)
    try:
        said = as_nobody(source, other.target)
    finally:
        path.chmod(mode)
    assert said.startswith(error)
    assert str(path) in said
    assert contents(source) == before
    assert names_in(other.target) == []


IN_A_SMALL_PLACE = """
import os, sys
from pathlib import Path
from haulier.errors import StorageFull
from haulier.transfer.move import move
source, small = map(Path, sys.argv[1:])
try:
    move(source, small, ["a"])
except StorageFull as error:
    print(error, source.stat().st_size, os.listdir(small))
"""


def test_no_space_for_the_copy_keeps_the_source(tmp_path: Path) -> None:
    """In a mount namespace of its own, with a file system of a megabyte."""
    small, source = tmp_path / "small", tmp_path / "a"
    small.mkdir()
    source.write_bytes(b"1" * (2 << 20))
    script = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" -c "$3" "$4" "$1"'
    done = subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"),
            *(small, sys.executable, IN_A_SMALL_PLACE, source),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"this test needs user and mount namespaces: {done.stderr}"
    assert done.stdout == f"no space left in {small} for {source}, which stays {2 << 20} []\n"


# --- a source that changes


@pytest.mark.parametrize("step", ["entry-copied", "copied", "compared", "placed"])
@pytest.mark.parametrize("change", ["write", "same size and time", "new", "vanish"])
def test_a_source_that_changes_stays_and_its_copy_goes(
    other: Place, step: str, change: str
) -> None:
    source = make_tree(other.sources / "tree")
    after: dict[str, tuple[object, ...]] | None = {}

    def meddle(reached: str) -> None:
        nonlocal after
        if reached != step or after:
            return
        if change == "new":
            (source / "new").write_text("new")
        elif change == "vanish":
            (source / "sub" / "b.txt").unlink()
        elif change == "write":
            (source / "sub" / "b.txt").write_text("TEXT")
        else:
            (source / "a.bin").write_bytes(b"2" * 100_000)
            os.utime(source / "a.bin", ns=(MTIME_NS, MTIME_NS))
        after = contents(source)

    with pytest.raises(SourceChanged):
        move(source, other.target, ["tree"], on_step=meddle)
    assert contents(source) == after
    assert names_in(other.target) == []


@pytest.mark.parametrize("change", ["write", "new"])
def test_what_changes_while_the_source_is_removed_stays(other: Place, change: str) -> None:
    source = make_tree(other.sources / "tree")
    changed = source / "sub" / ("b.txt" if change == "write" else "new")

    steps: list[str] = []

    def meddle(step: str) -> None:
        steps.append(step)
        if steps.count("entry-removed") == 1:
            changed.write_text("later")

    with pytest.raises(SourceChanged, match=r"sub.* stay"):
        move(source, other.target, ["tree"], on_step=meddle)
    assert changed.read_text() == "later"
    assert (other.target / "tree" / "sub" / "b.txt").read_text() == "text"
    assert names_in(other.target) == ["tree"]


def test_without_verify_the_copy_is_still_made_and_the_change_seen(other: Place) -> None:
    (other.sources / "a").write_bytes(b"1")

    def meddle(step: str) -> None:
        if step == "copied":
            (other.sources / "a").write_bytes(b"22")

    with pytest.raises(SourceChanged):
        move(other.sources / "a", other.target, ["a"], verify=False, on_step=meddle)
    move(other.sources / "a", other.target, ["a"], verify=False)
    assert (other.target / "a").read_bytes() == b"22"


def test_a_copy_that_is_not_what_was_written_is_refused(other: Place) -> None:
    source = make_tree(other.sources / "tree")
    before = contents(source)

    def damage(step: str) -> None:
        if step == "copied":
            (copy,) = other.target.glob(f"{PREFIX}*/copy/a.bin")
            with copy.open("r+b") as file:
                flipped = bytes([file.read(1)[0] ^ 1])
                file.seek(0)
                file.write(flipped)

    with pytest.raises(HaulierError, match="not what was written"):
        move(source, other.target, ["tree"], on_step=damage)
    assert contents(source) == before
    assert names_in(other.target) == []


# --- repeated after an end


KILLED = """
import os, signal, sys
from pathlib import Path
from haulier.transfer.move import move
source, target, step, number = sys.argv[1:]
left = int(number)
def reach(name):
    global left
    left -= name == step
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
move(Path(source), Path(target), ["tree"], on_step=reach)
"""


@pytest.mark.parametrize(("kind", "step", "number"), KILLS)
def test_killed_at_any_step_and_repeated(kind: str, step: str, number: int) -> None:
    with place_on(kind) as place:
        source, target = make_tree(place.sources / "tree"), place.target / "tree"
        before = contents(source)
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, source, place.target, step, str(number)]
        )
        assert killed.returncode == -signal.SIGKILL
        assert before in (contents(source), contents(target)), "no complete copy is left"
        assert move(source, place.target, ["tree", "another"], already=target) == target
        assert not source.exists()
        assert contents(target) == before
        assert names_in(place.target) == ["tree"]


def test_every_step_is_killed_at(place: Place) -> None:
    steps: list[str] = []
    move(make_tree(place.sources / "tree"), place.target, ["tree"], on_step=steps.append)
    kind = "same" if place.sources == place.target.parent else "other"
    assert sorted(steps) == sorted(step for where, step, _ in KILLS if where == kind)


def test_at_every_step_one_copy_is_complete(other: Place) -> None:
    source = make_tree(other.sources / "tree")
    before = contents(source)
    complete = []

    def look(step: str) -> None:
        complete.append(before in (contents(source), contents(other.target / "tree")))

    move(source, other.target, ["tree"], on_step=look)
    assert all(complete)
    assert len(complete) == len(COPY_STEPS)


def test_a_namesake_with_other_content_is_not_taken_for_our_copy(place: Place) -> None:
    source = make_tree(place.sources / "tree")
    namesake = make_tree(place.target.parent / "namesake")
    place.target.mkdir()
    namesake.rename(place.target / "tree")
    theirs = contents(place.target / "tree")
    (source / "sub" / "b.txt").chmod(0o644)
    landed = move(source, place.target, ["tree", "other"], already=place.target / "tree")
    assert landed == place.target / "other"
    assert contents(place.target / "tree") == theirs


def test_two_hard_links_of_an_interrupted_move_become_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "target").mkdir()
    os.link(tmp_path / "a", tmp_path / "target" / "a")
    landed = tmp_path / "target" / "a"
    assert move(tmp_path / "a", tmp_path / "target", ["a"], already=landed) == landed
    assert not (tmp_path / "a").exists()
    assert landed.read_text() == "1"


def test_copies_of_dead_processes_are_removed_and_those_of_living_ones_kept(other: Place) -> None:
    dead = other.target / f"{PREFIX}dead"
    dead.mkdir(parents=True)
    make_tree(dead / "copy")
    outside = other.sources / "outside"
    outside.mkdir(mode=0o755)
    (dead / "link").symlink_to(outside)
    (other.sources / "a").touch()
    with workspace(other.target) as alive:
        (alive / "copy").touch()
        move(other.sources / "a", other.target, ["a"])
        assert names_in(other.target) == sorted([alive.name, "a"])
        assert (alive / "copy").exists()
    assert names_in(other.target) == ["a"]
    assert outside.stat().st_mode & 0o777 == 0o755


def test_a_workspace_is_locked_before_others_can_look(other: Place) -> None:
    other.target.mkdir()
    with workspace(other.target) as room:
        descriptor = os.open(room, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
        assert room.stat().st_mode & 0o777 == 0o700
