import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from haulier import errors
from haulier.core.file_version import Version
from haulier.core.ranges import Resumable
from haulier.transfer.control_file import PartFile, part_path
from small_disk import SmallDisk

KEPT = Resumable(version=Version(size_bytes=100, etag='"a"'), done=((0, 10), (20, 30)))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "film.mp4"


def saved(target: Path) -> PartFile:
    part = PartFile(target)
    part.write(bytes(30), 0)
    part.save("http://x/film", "http://y/film", KEPT)
    return part


def control(target: Path) -> Path:
    return Path(f"{part_path(target)}.json")


def test_what_is_kept_is_read_back_by_the_next_process(target: Path) -> None:
    saved(target).close()
    part = PartFile(target)
    assert part.load("http://x/film") == KEPT
    part.close()
    assert sorted(os.listdir(target.parent)) == [
        ".haulier-film.mp4.part",
        ".haulier-film.mp4.part.json",
    ]


def test_the_control_file_is_for_its_owner_alone_since_links_may_be_secret(target: Path) -> None:
    saved(target).close()
    assert control(target).stat().st_mode & 0o777 == 0o600


def test_another_source_does_not_go_on_from_it(target: Path) -> None:
    part = saved(target)
    assert part.load("http://x/other") is None
    part.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"done": []},
        {"done": [[5, 3]]},
        {"done": [[-5, 3]]},
        {"done": "x"},
        {"done": [[0, 31]]},
        {"part_inode": 1},
        {"etag": None},
        {"size_bytes": "x"},
    ],
    ids=str,
)
def test_a_claim_that_can_not_be_true_is_not_believed(
    target: Path, changes: dict[str, object]
) -> None:
    part = saved(target)
    values = json.loads(control(target).read_text())
    control(target).write_text(json.dumps({**values, **changes}))
    assert part.load("http://x/film") is None
    part.close()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00" * 100])
def test_a_damaged_control_file_is_none(target: Path, text: str) -> None:
    part = saved(target)
    control(target).write_text(text)
    assert part.load("http://x/film") is None
    part.close()


def test_a_part_file_that_was_replaced_does_not_go_on(target: Path) -> None:
    part = saved(target)
    other = target.with_name("other")
    other.write_bytes(bytes(100))
    part.close()
    other.replace(part_path(target))
    part = PartFile(target)
    assert part.load("http://x/film") is None
    part.close()


def test_void_takes_the_claim_back_before_the_bytes(target: Path) -> None:
    part = saved(target)
    part.void()
    assert not control(target).exists()
    assert part_path(target).stat().st_size == 0
    part.close()


def test_only_one_holds_it_at_a_time_among_processes(target: Path) -> None:
    part = PartFile(target)
    with pytest.raises(errors.OperationBusy):
        PartFile(target)
    script = (
        "import sys; from pathlib import Path; from haulier.errors import OperationBusy\n"
        "from haulier.transfer.control_file import PartFile\n"
        "try: PartFile(Path(sys.argv[1]))\n"
        "except OperationBusy: print('busy')"
    )
    run = [sys.executable, "-c", script, str(target)]
    assert subprocess.run(run, capture_output=True, check=True).stdout == b"busy\n"
    part.close()
    assert subprocess.run(run, capture_output=True, check=True).stdout == b""


def test_a_part_that_is_its_target_already_is_not_written_to(target: Path) -> None:
    target.write_bytes(b"precious")
    os.link(target, part_path(target))
    part = PartFile(target)
    part.void()
    part.write(b"new", 0)
    assert target.read_bytes() == b"precious"
    part.publish(3, overwrite=True)
    part.close()
    assert target.read_bytes() == b"new"


def test_publish_never_replaces_unless_told(target: Path) -> None:
    part = PartFile(target)
    part.write(b"new", 0)
    target.write_bytes(b"old")
    with pytest.raises(errors.DuplicateName):
        part.publish(3, overwrite=False)
    assert target.read_bytes() == b"old"
    part.publish(3, overwrite=True)
    part.close()
    assert (target.read_bytes(), os.listdir(target.parent)) == (b"new", ["film.mp4"])


def test_a_link_in_place_of_the_part_file_is_not_followed(target: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    part_path(target).symlink_to(tmp_path / "secret")
    with pytest.raises(errors.RequestRejected):
        PartFile(target)
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_the_longest_names_have_room(tmp_path: Path) -> None:
    target = tmp_path / ("ä" * 127 + "x")
    part = saved(target)
    part.publish(30, overwrite=False)
    part.close()
    assert target.stat().st_size == 30


def test_errors_name_the_directory_that_is_missing_or_closed(tmp_path: Path) -> None:
    with pytest.raises(errors.TargetMissing, match="none"):
        PartFile(tmp_path / "none" / "film")


def test_on_a_full_disk_the_last_bytes_make_room_for_the_claim(small_disk: SmallDisk) -> None:
    target = small_disk.path / "film"
    part = PartFile(target)
    written = 0
    with contextlib.suppress(errors.StorageFull):
        while written < 2 << 20:
            part.write(bytes(4096), written)
            written += 4096
    assert written < 2 << 20
    kept = Resumable(version=Version(size_bytes=1 << 30, etag='"a"'), done=((0, written),))
    with pytest.raises(errors.StorageFull):
        part.save("x", "x", kept)
    part.save_last("x", "x", kept)
    read = part.load("x")
    assert read is not None
    assert read.done == ((0, written - (64 << 10)),)
    with pytest.raises(errors.StorageFull, match="too little space"):
        part.check_space(1 << 30)
    part.close()
