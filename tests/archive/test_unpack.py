from __future__ import annotations

import gzip
import io
import os
import tarfile

import pytest

from archive.tars import member, tar_of
from haulier.archive.unpack import STAGING_PREFIX, unpack
from haulier.errors import CorruptArchive, DuplicateName, UnsafeArchive


def archive(*members):
    return gzip.compress(tar_of(*members))


def bring(data, out, **options):
    return unpack(lambda: io.BytesIO(data), out, compression="gzip", **options)


GOOD = archive(
    member("d", kind=tarfile.DIRTYPE, mode=0o755),
    member("d/a.txt", content=b"one"),
    member("d/link", kind=tarfile.SYMTYPE, link="a.txt"),
    member("d/hard", kind=tarfile.LNKTYPE, link="d/a.txt"),
    member("d/setuid", content=b"x", mode=0o4755),
)


def test_what_is_in_it_comes_out(tmp_path):
    report = bring(GOOD, tmp_path / "out")
    root = tmp_path / "out" / "d"
    assert report.paths == [root]
    assert (root / "a.txt").read_bytes() == b"one"
    assert os.readlink(root / "link") == "a.txt"
    assert (root / "hard").stat().st_ino == (root / "a.txt").stat().st_ino
    assert (root / "a.txt").stat().st_mtime == 1_700_000_000
    assert (root / "setuid").stat().st_mode & 0o7777 == 0o755
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["d"]


HOSTILE = {
    "absolute": [member("/etc/evil")],
    "parent": [member("../evil")],
    "inner parent": [member("d/../../evil")],
    "absolute link": [member("d/l", kind=tarfile.SYMTYPE, link="/etc")],
    "link out": [member("d/l", kind=tarfile.SYMTYPE, link="../../etc")],
    "through a link": [
        member("d", kind=tarfile.DIRTYPE), member("e", kind=tarfile.DIRTYPE),
        member("d/l", kind=tarfile.SYMTYPE, link="../e"), member("d/l/evil"),
    ],
    "hard link out": [member("h", kind=tarfile.LNKTYPE, link="/etc/passwd")],
    "hard link to nothing": [member("h", kind=tarfile.LNKTYPE, link="later")],
    "device": [member("dev", kind=tarfile.CHRTYPE)],
    "pipe": [member("pipe", kind=tarfile.FIFOTYPE)],
    "file then directory": [member("x", content=b"1"), member("x/evil")],
    "too long": [member("n" * 256)],
    "late": [member("good", content=b"x" * 100_000), member("../evil")],
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused_whole(tmp_path, case):
    out = tmp_path / "deep" / "out"
    with pytest.raises(UnsafeArchive):
        bring(archive(*HOSTILE[case]), out)
    assert not out.exists()
    assert list(tmp_path.rglob("*evil*")) == []


def test_a_taken_name_is_left_alone_unless_asked(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine").touch()
    with pytest.raises(DuplicateName):
        bring(GOOD, tmp_path)
    assert (tmp_path / "d" / "mine").exists()
    bring(GOOD, tmp_path, overwrite=True)
    assert (tmp_path / "d" / "a.txt").exists()
    assert not (tmp_path / "d" / "mine").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


@pytest.mark.parametrize("cut", [10, 100, -20, -1])
def test_a_damaged_archive_leaves_nothing(tmp_path, cut):
    with pytest.raises(CorruptArchive):
        bring(GOOD[:cut], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_removed(tmp_path):
    left = tmp_path / f"{STAGING_PREFIX}0123"
    (left / "d").mkdir(parents=True)
    (left / "d" / "half").touch()
    (left / "d").chmod(0o500)
    bring(GOOD, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["d"]
