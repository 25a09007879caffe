"""Which members may be written at all, as tables and as a property: nothing leads outside."""

from __future__ import annotations

import os
import posixpath
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.tars import member
from haulier.archive.entry import Entry, EntryType
from haulier.archive.safety import (
    check_members,
    checked_members,
    member_path,
    member_type,
    symlink_landing,
)
from haulier.errors import UnsafeArchive

FILE, DIRECTORY, SYMLINK, HARDLINK = EntryType


def entry(path, kind=FILE, target=None):
    return Entry(path=path, type=kind, mode=0o644, mtime_ns=0, link_target=target)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/b.txt", "a/b.txt"),
        ("./a//b/", "a/b"),
        (".", ""),
        ("./", ""),
        ("...", "..."),
        ("a/..b", "a/..b"),
        ("c:", "c:"),
        ("ac:/x", "ac:/x"),
        ("caf\udce9/日本", "caf\udce9/日本"),
        ("line\nbreak", "line\nbreak"),
        ("-rf", "-rf"),
        ("back\\slash", "back\\slash"),
    ],
)
def test_where_a_member_lies(name, path):
    if name == "c:":
        with pytest.raises(UnsafeArchive):
            member_path(name)
        return
    assert member_path(name) == path


@pytest.mark.parametrize(
    "name",
    [
        "", "/", "/etc/passwd", "//server/share", "..", "../x", "a/../b", "a/..", "./..",
        "C:/x", "c:\\x", "C:", "nul\0byte", "a/\0",
    ],
)  # fmt: skip
def test_names_that_are_never_written(name):
    with pytest.raises(UnsafeArchive):
        member_path(name)


COMPONENTS = st.sampled_from(["", ".", "..", "a", "b", "c:", "\udce9", "...", "x" * 300])
NAMES = st.builds("/".join, st.lists(COMPONENTS, max_size=6))


@given(NAMES)
def test_what_passes_lies_inside(name):
    try:
        path = member_path(name)
    except UnsafeArchive:
        return
    assert posixpath.normpath(posixpath.join("/root", path)).startswith("/root")
    assert not {"", ".", ".."} & set(path.split("/")) or path == ""


@pytest.mark.parametrize(
    ("path", "target", "landing"),
    [
        ("d/l", "x", "d/x"),
        ("d/l", "../e/x", "e/x"),
        ("d/l", "./x/./y", "d/x/y"),
        ("l", "d/../e", "e"),
        ("d/l", "..", None),
        ("d/l", ".", "d"),
        ("l", ".", None),
        ("l", "..", None),
        ("l", "../x", None),
        ("d/l", "../../x", None),
        ("d/l", "/etc", None),
        ("d/l", "C:/x", None),
        ("d/l", "", None),
        ("d/l", "a\0b", None),
    ],
)
def test_where_a_link_lands(path, target, landing):
    if landing is None:
        with pytest.raises(UnsafeArchive):
            symlink_landing(path, target)
    else:
        assert symlink_landing(path, target) == landing


@pytest.mark.parametrize(
    "members",
    [
        [entry("d", DIRECTORY), entry("d/a"), entry("d/l", SYMLINK, "a")],
        [entry("d/l", SYMLINK, "later"), entry("d/later")],
        [entry("d/l", SYMLINK, "not-there"), entry("d/a")],
        [entry("a"), entry("h", HARDLINK, "a"), entry("h2", HARDLINK, "h")],
        [entry("."  , DIRECTORY), entry("a")],
        [entry("a"), entry("a")],
        [entry("d", DIRECTORY), entry("d", DIRECTORY)],
        [entry("d/e/x"), entry("d/l", SYMLINK, "e/../e/x")],
        [],
    ],
)  # fmt: skip
def test_archives_that_are_fine(members):
    check_members(members)


@pytest.mark.parametrize(
    ("members", "word"),
    [
        ([entry("l", SYMLINK, "other/x")], "leads out"),
        ([entry("d", DIRECTORY), entry("e/x"), entry("d/l", SYMLINK, "../e"), entry("d/l/x")],
         "goes through"),
        ([entry("a"), entry("a/b")], "goes through"),
        ([entry("a/b"), entry("a")], "different kinds"),
        ([entry("d", DIRECTORY), entry("d", SYMLINK, "d")], "different kinds"),
        ([entry("h", HARDLINK, "h")], "no earlier file"),
        ([entry("h", HARDLINK, "later"), entry("later")], "no earlier file"),
        ([entry("d", DIRECTORY), entry("h", HARDLINK, "d")], "no earlier file"),
        ([entry("a"), entry("l", SYMLINK, "a"), entry("h", HARDLINK, "l")], "no earlier file"),
        ([entry("h", HARDLINK, "../x")], "leads out"),
        ([entry("h", HARDLINK, "")], "without a name"),
        ([entry(".", FILE)], "without a name"),
        ([entry("a/b/c"), entry("x/s", SYMLINK, "../a/b"), entry("x/l", SYMLINK, "s/../c")],
         "winds through"),
    ],
)  # fmt: skip
def test_archives_that_are_refused(members, word):
    with pytest.raises(UnsafeArchive, match=word):
        check_members(members)


def test_a_late_link_makes_an_early_member_suspicious_before_anything_is_written():
    checked = checked_members([entry("a"), entry("l", SYMLINK, "other/x")])
    assert [next(checked)[0], next(checked)[0]] == ["a", "l"]
    with pytest.raises(UnsafeArchive):
        next(checked)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"V", b"?"])
def test_devices_and_what_nobody_knows_are_refused(kind):
    with pytest.raises(UnsafeArchive, match="no file"):
        member_type(member("x", kind=kind)[0])


KINDS = st.sampled_from(list(EntryType))
PATHS = st.builds("/".join, st.lists(st.sampled_from(["a", "b", "c", ".", ".."]), min_size=1, max_size=4))  # fmt: skip


@given(st.lists(st.builds(entry, PATHS, KINDS, PATHS), max_size=6))
def test_what_passes_never_writes_or_reads_outside(tmp_path_factory, members):
    """Whatever passes is really made, and then no path of it leaves the directory."""
    try:
        checked = list(checked_members(members))
    except UnsafeArchive:
        return
    root = tmp_path_factory.mktemp("root").resolve()
    for path, kind, each in checked:
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        assert place.parent.resolve().is_relative_to(root)
        if kind is DIRECTORY:
            place.mkdir(exist_ok=True)
            continue
        place.unlink(missing_ok=True)
        if kind is SYMLINK:
            place.symlink_to(each.link_target)
        elif kind is HARDLINK:
            os.link(root / member_path(each.link_target), place)
        else:
            place.touch()
    for path, _, _ in checked:
        try:
            real = (root / path).resolve()
        except (RuntimeError, OSError):  # links that lead in a circle lead nowhere
            continue
        assert real.is_relative_to(root)
