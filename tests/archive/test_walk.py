from __future__ import annotations

import os
import subprocess
import sys

import pytest

from archive.trees import hostile_tree
from haulier.archive.entry import EntryType
from haulier.archive.walk import walk
from haulier.errors import TargetMissing, TargetUnreadable, UnsafePath


def entries_of(target, **options):
    return {item.entry.path: item.entry for item in walk(str(target), **options).entries}


def test_a_file_is_one_entry_with_its_name(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"12345")
    walked = walk(str(tmp_path / "clip.mp4"))
    assert [item.entry.path for item in walked.entries] == ["clip.mp4"]
    assert walked.size_bytes == 5
    assert walked.base == str(tmp_path)


def test_order_is_a_directory_then_its_children_by_bytes(tmp_path):
    root = tmp_path / "d"
    for name in ("b/x", "a/z", "a.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    assert list(entries_of(root)) == ["d", "d/a", "d/a/z", "d/a.txt", "d/b", "d/b/x"]


def test_every_kind_of_entry_is_told_apart(tmp_path):
    root = hostile_tree(tmp_path / "h")
    found = entries_of(root)
    assert found["h/to plain"].type is EntryType.SYMLINK
    assert found["h/to plain"].link_target == "plain.txt"
    assert found["h/empty dir"].type is EntryType.DIRECTORY
    assert found["h/script.sh"].mode == 0o755
    assert os.fsdecode(b"h/\xff\xfe-not-utf8.bin") in found


def test_a_hard_link_holds_no_second_copy(tmp_path):
    root = tmp_path / "d"
    root.mkdir()
    (root / "a").write_bytes(b"x" * 1000)
    os.link(root / "a", root / "b")
    walked = walk(str(root))
    assert walked.size_bytes == 1000
    assert entries_of(root)["d/b"].type is EntryType.HARDLINK
    assert entries_of(root)["d/b"].link_target == "d/a"


def test_what_is_not_taken_is_named(tmp_path):
    root = tmp_path / "d"
    (root / "keep").mkdir(parents=True)
    (root / "drop").mkdir()
    (root / "drop" / "inside").touch()
    walked = walk(str(root), lambda path, is_directory: path != "drop")
    assert [item.entry.path for item in walked.entries] == ["d", "d/keep"]
    assert walked.left_out == ["d/drop"]


def test_pipes_and_sockets_are_left_out_and_named(tmp_path):
    root = tmp_path / "d"
    root.mkdir()
    os.mkfifo(root / "pipe")
    walked = walk(str(root))
    assert [item.entry.path for item in walked.entries] == ["d"]
    assert walked.left_out == ["d/pipe"]


@pytest.mark.parametrize("link", ["/etc/passwd", "../outside", "sub/../../outside"])
def test_a_link_that_leads_out_is_refused_by_name(tmp_path, link):
    root = tmp_path / "d"
    root.mkdir()
    (root / "trap").symlink_to(link)
    with pytest.raises(UnsafePath, match="d/trap"):
        walk(str(root))


def test_a_link_to_a_sibling_with_a_longer_name_is_outside(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d2").mkdir()
    (tmp_path / "d" / "trap").symlink_to("../d2")
    with pytest.raises(UnsafePath):
        walk(str(tmp_path / "d"))


def test_missing_target(tmp_path):
    with pytest.raises(TargetMissing, match="gone"):
        walk(str(tmp_path / "gone"))


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_unreadable_is_named_before_anything_is_read(tmp_path, kind):
    """As an ordinary user: root may read everything."""
    root = tmp_path / "d"
    root.mkdir()
    secret = root / "secret"
    secret.mkdir() if kind == "directory" else secret.touch()
    secret.chmod(0)
    for directory in (root, *root.parents):
        if directory != root.parents[-1] and os.stat(directory).st_uid == os.getuid():
            directory.chmod(directory.stat().st_mode | 0o055)
    program = f"""
import os
from haulier.archive.walk import walk
from haulier.errors import TargetUnreadable
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    walk({str(root)!r})
except TargetUnreadable as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True)
    secret.chmod(0o700)
    assert "d/secret" in done.stdout, done.stderr


def test_a_vanishing_entry_of_a_directory_is_not_a_missing_target(tmp_path):
    root = tmp_path / "d"
    root.mkdir()
    (root / "a").touch()
    (root / "b").touch()

    def vanish(path, is_directory):
        (root / "b").unlink(missing_ok=True)
        return True

    with pytest.raises(Exception, match="vanished") as caught:
        walk(str(root), vanish)
    assert not isinstance(caught.value, TargetMissing | TargetUnreadable)
