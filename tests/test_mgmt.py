from __future__ import annotations

import hashlib
import tarfile

import pytest

from haulier import mgmt, sync
from haulier.core.records import OperationStatus
from haulier.errors import NoSuchObject
from haulier.settings import Settings, settings_table


@pytest.fixture
def place(tmp_path, monkeypatch):
    for row in settings_table():
        monkeypatch.delenv(row.name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HAULIER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MGMT_LOCAL_DIR", str(tmp_path))
    (tmp_path / "clip.mp4").write_bytes(b"moving pictures" * 1000)
    return tmp_path


def test_the_old_names_do_what_they_say(place):
    record = mgmt.AwsStorageMgmt().upload_file(place / "clip.mp4")
    assert record.status is OperationStatus.SUCCESS
    head = mgmt.AwsStorageMgmt().get_obj_head("clip.mp4.tar.gz")
    assert head["size"] == record.compressed_size
    manager = mgmt.MetadataManager()
    assert manager.get_operation(record.operation_id) == record
    assert [r.operation_id for r in manager.list_operations()] == [record.operation_id]
    assert {f.location for f in manager.list_files()} == {"local", "completed", "file"}
    with pytest.raises(NoSuchObject):
        mgmt.AwsStorageMgmt().get_obj_head("nothing")


def test_gzip_process_leaves_the_source(place):
    archive = mgmt.FileManager.gzip_process(place / "clip.mp4", place / "out")
    with tarfile.open(archive) as tar:
        assert tar.extractfile("clip.mp4").read() == (place / "clip.mp4").read_bytes()


def test_checksum_and_move(place):
    content = (place / "clip.mp4").read_bytes()
    assert mgmt.calculate_checksum(place / "clip.mp4") == (
        "sha256:" + hashlib.sha256(content).hexdigest()
    )
    assert mgmt.calculate_checksum(place / "clip.mp4", "md5") == (
        "md5:" + hashlib.md5(content).hexdigest()
    )
    landed = mgmt.move_to_completed(place / "clip.mp4", place / "done")
    assert landed.read_bytes() == content


def test_blocking_twins(place):
    seen = []
    (record,) = sync.upload("clip.mp4", settings=Settings.load(), on_progress=seen.append)
    assert record.status is OperationStatus.SUCCESS
    assert seen
    assert seen[-1].done_bytes == seen[-1].total_bytes
    restored = sync.restore(record.operation_id, out=place / "back")
    assert restored.status is OperationStatus.SUCCESS
    assert (place / "back" / "clip.mp4").read_bytes() == b"moving pictures" * 1000
