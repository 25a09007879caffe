"""verify, restore, ls, delete and import as a user types them."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys

import pytest

from haulier.cli.output import printable


@pytest.fixture
def holiday(haulier):
    """One archive of a directory, its record."""
    tree = haulier.media / "holiday"
    tree.mkdir()
    (tree / "beach.jpg").write_bytes(b"beach" * 1000)
    os.symlink("beach.jpg", tree / "cover")
    (tree / os.fsdecode(b"caf\xe9\x07")).write_bytes(b"bell")
    (record,) = haulier.json("upload", "holiday")
    return record


def test_ls_lists_what_is_in_it(haulier, holiday):
    rows = haulier("ls", "holiday.tar.gz").rows
    assert ["file", "0644", "4.9 KiB", "holiday/beach.jpg"] in rows
    assert ["file", "0644", "4 B", r"holiday/caf\xe9\x07"] in rows
    assert any(row[0] == "symlink" and row[3] == "holiday/cover -> beach.jpg" for row in rows)
    paths = [entry["path"] for entry in haulier.json("ls", holiday["operation_id"])]
    assert os.fsdecode(b"holiday/caf\xe9\x07") in paths


def test_verify_says_what_it_checked(haulier, holiday):
    printed = haulier("verify", "holiday.tar.gz")
    ((status, name, checked),) = printed.rows
    assert (status, name) == ("success", "holiday")
    assert "size" in checked


def test_verify_of_a_damaged_object_fails(haulier, holiday):
    stored = haulier.store / "holiday.tar.gz"
    with stored.open("ab") as file:
        file.write(b"!")
    printed = haulier("verify", "--all", code=1)
    assert printed.rows[0][0] == "failed"
    assert "failed: holiday: holiday.tar.gz: size is" in printed.err
    (record,) = haulier.json("verify", holiday["operation_id"], code=1)
    assert record["metadata"]["differences"][0]["check"] == "size"


def test_verify_of_nothing(haulier):
    assert haulier("verify", "--all").err == "there is nothing to verify\n"


def test_restore_prints_where_it_is_and_refuses_to_replace(haulier, holiday):
    printed = haulier("restore", "holiday.tar.gz", "--out", haulier.here)
    assert printed.out == f"{haulier.here}/holiday\n"
    assert (haulier.here / "holiday" / "beach.jpg").read_bytes() == b"beach" * 1000
    again = haulier.json("restore", "holiday.tar.gz", "--out", str(haulier.here), code=1)
    assert (again["status"], again["operation_type"]) == ("failed", "download")
    done = haulier.json("restore", "holiday.tar.gz", "--out", str(haulier.here), "--overwrite")
    assert done["status"] == "success"


@pytest.mark.parametrize("command", ["restore", "ls", "delete", "verify"])
def test_an_unknown_reference_is_a_failed_record(haulier, command):
    yes = ["--yes"] if command == "delete" else []
    printed = haulier(command, "nothing.tar.gz", *yes, code=1)
    assert "nothing.tar.gz" in printed.err
    document = haulier.json(command, "nothing.tar.gz", *yes, code=1)
    is_list = command in {"ls", "verify"}
    assert isinstance(document, list) is is_list
    record = document[0] if is_list else document
    assert (record["status"], record["target_name"]) == ("failed", "nothing.tar.gz")
    assert record["error_message"]


def test_delete_with_nobody_to_ask_deletes_nothing(haulier, holiday):
    printed = haulier("delete", "holiday.tar.gz", code=2)
    assert "--yes" in printed.err
    assert (haulier.store / "holiday.tar.gz").exists()
    assert haulier("delete", "holiday.tar.gz", "--yes").out.startswith("deleted file:///")
    assert not (haulier.store / "holiday.tar.gz").exists()


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"y\n", 0)])
def test_delete_asks_a_person(haulier, holiday, answer, code):
    person, terminal = pty.openpty()
    process = haulier.start("delete", "holiday.tar.gz", stdin=terminal)
    os.close(terminal)
    with process, os.fdopen(person, "wb", buffering=0) as keyboard:
        keyboard.write(answer)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert b"Delete file:///" in err
    assert (haulier.store / "holiday.tar.gz").exists() is (code != 0)


def test_import_rebuilds_a_lost_catalog(haulier, holiday):
    for path in haulier.data.glob("catalog.db*"):
        path.unlink()
    printed = haulier("import", haulier.store.as_uri())
    assert printed.rows == [[holiday["operation_id"], "success", "holiday"]]
    assert haulier.json("show", holiday["operation_id"])["metadata"]["imported"] is True
    assert haulier("import").err == "nothing new was found\n"
    assert haulier.json("import") == []


def test_import_from_a_remote_of_the_settings(haulier, holiday):
    elsewhere = haulier.root / "elsewhere"
    shutil.copytree(haulier.store, elsewhere)
    (haulier.here / "haulier.toml").write_text(f'[remotes.nas]\nurl = "{elsewhere.as_uri()}"\n')
    imported = haulier.json("import", "nas", "--data", str(haulier.root / "fresh"))
    assert [record["target_name"] for record in imported] == ["holiday"]


def test_import_from_nowhere(haulier):
    assert "nowhere" in haulier("import", "nowhere", code=2).err


def test_what_is_printed_is_plain(haulier, holiday):
    for args in (["ls", "holiday.tar.gz"], ["files"], ["history"], ["show", holiday["operation_id"]]):  # fmt: skip
        out = haulier(*args).out
        assert out == "".join(c if c in "\n\t" else printable(c) for c in out)


def test_a_closed_stdout_is_an_error_and_no_traceback(haulier, holiday):
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >/dev/full', "sh", sys.executable, "-m", "haulier.cli.main", "files"],
        env=haulier.env, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "error: stdout can't be written: No space left on device\n"
