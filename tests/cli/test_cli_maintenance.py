"""gc, doctor, db upgrade, s3 setup, archive-old, and the program's own options."""

from __future__ import annotations

import os
import re

import pytest

from haulier import __version__
from haulier.cli.main import app


def commands():
    groups = {
        "db": ["upgrade", "secure"], "s3": ["setup"], "user": ["add", "list", "set", "disable"], "token": ["create"],
        "bot": ["discord", "max"], "record": ["save", "list", "queue", "sync", "stats"],
    }  # fmt: skip
    names = [c.name or c.callback.__name__ for c in app.registered_commands]
    return [[name] for name in names] + [[g, c] for g, inner in groups.items() for c in inner]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_help_has_an_example_and_says_what_sizes_mean(haulier, command):
    text = " ".join(haulier(*command, "--help").out.split())
    assert f"Example: haulier {' '.join(command)}" in text
    assert "powers of 1024" in text
    assert "--data DIR" in text


def test_all_commands_are_there():
    assert {" ".join(command) for command in commands()} == {
        "upload", "resume", "retry", "watch", "history", "show", "files", "verify", "restore", "ls",
        "delete", "import", "inspect", "gc", "doctor", "archive-old", "db upgrade", "db secure", "s3 setup",
        "record save", "record list", "record queue", "record sync", "record stats", "serve", "worker",
        "bot discord", "bot max", "send", "user add", "user list", "user set", "user disable", "token create",
        "shrink", "thumbnail",
        "fetch", "backup", "restore-server", "rotate-keys",
    }  # fmt: skip


def test_help_fits_a_narrow_terminal(haulier):
    out = haulier("--help", env={"COLUMNS": "80"}).out
    assert "..." not in out.partition("Commands:")[2]


def test_version(haulier):
    assert haulier("--version").out == f"haulier {__version__}\n"


def leave_rubbish(haulier, *, age_s):
    haulier.make("kept.txt")
    haulier("upload", "kept.txt")
    path = haulier.make(".haulier-partial-x", b"rubbish")
    touched = path.stat().st_mtime - age_s
    os.utime(path, (touched, touched))
    return path


def test_gc_ends_what_is_old_and_lists_first(haulier):
    path = leave_rubbish(haulier, age_s=2 * 86_400)
    assert haulier("gc", "--dry-run").rows == [["pending", "temporary", str(path)]]
    (planned,) = haulier.json("gc", "--dry-run")
    assert planned["metadata"]["dry_run"] is True
    assert path.exists()
    assert haulier("gc", "--older-than", "3d").err == "there is nothing to clean up\n"
    (done,) = haulier.json("gc")
    assert (done["operation_type"], done["status"]) == ("gc", "success")
    assert not path.exists()
    assert (haulier.store / "kept.txt.tar.gz").exists()


def test_gc_leaves_what_is_of_unknown_origin(haulier):
    leave_rubbish(haulier, age_s=0)
    for path in haulier.data.glob("catalog.db*"):
        path.unlink()
    (haulier.store / "kept.txt.tar.gz").unlink()
    (index,) = haulier.store.glob("kept.txt.tar.gz?*")
    printed = haulier("gc", "--older-than", "0s")
    assert ["left", "index", index.name] in printed.rows
    assert "1 of unknown origin were left; they end with --yes" in printed.err
    assert index.exists()
    haulier("gc", "--older-than", "0s", "--yes")
    assert not index.exists()


def test_db_upgrade_says_what_it_came_to(haulier):
    assert re.search(r"schema \d{4}", haulier("db", "upgrade").err)
    assert (haulier.data / "catalog.db").is_file()


@pytest.mark.parametrize("args", [["s3", "setup"], ["archive-old"], ["db"], ["s3"], []])
def test_what_needs_more_says_so(haulier, args):
    assert haulier(*args, code=2).err


def test_doctor_tells_programs_too(haulier):
    findings = haulier.json("doctor")
    assert {tuple(finding) for finding in findings} == {("name", "state", "detail", "fix")}
    assert {finding["state"] for finding in findings} <= {"ok", "warning"}
    assert [row[1] for row in haulier("doctor").rows] == [f["name"] for f in findings]


def test_doctor_ends_with_1_when_there_is_a_problem(haulier):
    printed = haulier("doctor", env={"MGMT_LOCAL_DIR": "/nonexistent"}, code=1)
    (row,) = [row for row in printed.rows if row[0] == "problem" and row[1] == "local directory"]
    assert "/nonexistent is not a directory. Set MGMT_LOCAL_DIR" in row[2]


@pytest.mark.servers
def test_a_bucket_is_set_up_and_examined(haulier, s3_server):
    haulier.env |= {
        "AWS_S3_BUCKET": s3_server.make_bucket(), "AWS_ENDPOINT_URL": s3_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3_server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_access_key,
    }  # fmt: skip
    assert "has its rules" in haulier("s3", "setup", "--cors", "https://example.org").err
    states = {f["name"]: (f["state"], f["detail"]) for f in haulier.json("doctor")}
    assert states["bucket"][0] == "ok"
    assert "CRC-64/NVME" in states["destination"][1]
    haulier.env["AWS_SECRET_ACCESS_KEY"] = "wrong"
    states = {f["name"]: (f["state"], f["detail"]) for f in haulier.json("doctor", code=1)}
    assert states["bucket"][0] == "problem"
    haulier.make("a.txt")
    (record,) = haulier.json("upload", "a.txt", code=1)
    assert record["metadata"]["error"]["code"] == "access-denied"
