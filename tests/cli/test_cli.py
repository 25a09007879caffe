"""The real program, as people and scripts run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HAULIER = Path(sys.executable).with_name("haulier")


class Shell:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.local = root / "media"
        self.local.mkdir()
        self.env = {
            "PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "HOME": str(root), "HAULIER_DATA": str(root / "data"),
            "MGMT_LOCAL_DIR": str(self.local), "LC_ALL": "C.UTF-8",
        }  # fmt: skip

    def run(self, *arguments, code=0, program=HAULIER):
        done = subprocess.run(
            [str(program), *map(str, arguments)],
            env=self.env, cwd=self.root, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments, code=0):
        return json.loads(self.run(*arguments, "--json", code=code).stdout)


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


def test_the_whole_journey(shell):
    (shell.local / "photos").mkdir()
    (shell.local / "photos" / "a.jpg").write_bytes(os.urandom(200_000))
    (shell.local / "photos" / "notes.txt").write_text("words " * 1000)
    (uploaded,) = shell.json("upload", "photos")
    operation = uploaded["operation_id"]
    assert uploaded["status"] == "success"
    assert shell.json("show", operation)["operation_id"] == operation
    assert shell.json("show", operation[:8])["target_name"] == "photos"
    assert [r["operation_id"] for r in shell.json("history", "--status", "success")] == [operation]
    assert {f["location"] for f in shell.json("files")} == {"local", "completed", "file"}
    (verified,) = shell.json("verify", "--all", "--deep")
    assert verified["status"] == "success"
    assert {e["path"] for e in shell.json("ls", operation)} == {
        "photos", "photos/a.jpg", "photos/notes.txt",
    }  # fmt: skip
    restored = shell.json("restore", operation, "--out", shell.root / "back")
    assert restored["status"] == "success"
    assert (shell.root / "back" / "photos" / "notes.txt").read_text() == "words " * 1000
    shell.json("restore", operation, "--member", "notes.txt", "--out", shell.root / "one")
    assert [p.read_text() for p in (shell.root / "one").rglob("notes.txt")] == ["words " * 1000]
    shell.run("delete", operation, code=2)
    assert shell.json("delete", operation, "--yes")["status"] == "success"
    (gone,) = shell.json("verify", operation, code=1)
    assert gone["status"] == "failed"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["upload"], "Missing argument"),
        (["--nope"], "No such option"),
        (["frobnicate"], "No such command"),
        (["upload", "x", "--to", "discord:1"], "`haulier send"),
        (["upload", "x", "--to", "ftp://x"], "not a destination"),
        (["upload", "x", "--to", "nas"], "haulier.toml"),
        (["upload", "x", "--compression", "rar"], "gzip, zstd or none"),
        (["upload", "x", "--encrypt", "no-such-key"], "no-such-key"),
        (["upload", "x", "--limit-rate", "fast"], "fast"),
        (["history", "--status", "odd"], "success"),
        (["history", "--since", "yesterdayish"], "yesterdayish"),
        (["retry"], "--failed"),
        (["verify"], "--all"),
    ],
)
def test_what_makes_no_sense_ends_with_2_and_says_why(shell, arguments, words):
    done = shell.run(*arguments, code=2)
    assert words in done.stderr
    assert done.stdout == ""


def test_bad_settings_end_with_2(shell):
    shell.env["MGMT_COMPRESSION"] = "rar"
    assert "MGMT_COMPRESSION from the environment" in shell.run("history", code=2).stderr


def test_a_missing_target_is_a_failed_record(shell):
    done = shell.run("upload", "gone", code=1)
    assert "gone does not exist" in done.stderr
    (record,) = shell.json("upload", "gone", code=1)
    assert record["status"] == "failed"


def test_an_unknown_id_ends_with_1(shell):
    assert "error:" in shell.run("show", "00000000", code=1).stderr


def test_nothing_to_upload_is_a_failed_record_too(shell):
    (record,) = shell.json("upload", "all", code=1)
    assert record["metadata"]["error"]["code"] == "nothing-selected"


def test_skipped_is_no_failure(shell):
    (shell.local / "a.mp4").write_bytes(b"x" * 1000)
    shell.run("upload", "a.mp4", "--no-complete")
    assert "skipped a.mp4" in shell.run("upload", "a.mp4").stderr
    (record,) = shell.json("upload", "a.mp4")
    assert (record["status"], record["metadata"]["skipped"]) == ("success", True)


def test_a_dry_run_writes_nothing(shell):
    (shell.local / "a.mp4").write_bytes(b"x" * 1000)
    assert "would upload a.mp4" in shell.run("upload", "a.mp4", "--dry-run").stdout
    (record,) = shell.json("upload", "a.mp4", "--dry-run")
    assert record["metadata"]["dry_run"] is True
    assert shell.json("history") == []
    assert not (shell.root / "data" / "store").exists()


def test_hostile_names_do_not_reach_the_terminal_and_survive_json(shell):
    name = os.fsdecode(b"\x1b[31mred\nnext\xff")
    (shell.local / name).write_bytes(b"x")
    done = shell.run("upload", "all")
    assert "\x1b" not in done.stdout + done.stderr
    assert shell.json("history")[0]["target_name"] == name
    assert "\x1b" not in shell.run("history").stdout


def test_a_file_called_all(shell):
    (shell.local / "all").write_bytes(b"x")
    (shell.local / "other").write_bytes(b"y")
    (record,) = shell.json("upload", "./all")
    assert record["target_name"] == "all"
    assert (shell.local / "other").exists()


def test_ctrl_c_leaves_a_state_that_resume_finishes(shell):
    (shell.local / "big.mp4").write_bytes(os.urandom(40 << 20))
    process = subprocess.Popen(
        [str(HAULIER), "upload", "big.mp4", "--limit-rate", "4M"],
        env=shell.env, cwd=shell.root, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stderr:
        if "uploading" in line:
            break
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "haulier resume" in rest
    (record,) = shell.json("history")
    assert record["status"] == "cancelled"
    (resumed,) = shell.json("resume")
    assert resumed["status"] == "success"
    assert (shell.local / "completed" / "big.mp4").exists()
    assert shell.json("resume") == []


def test_a_closed_pipe_is_quiet(shell):
    for number in range(30):
        (shell.local / f"{number}.txt").write_bytes(b"%d" % number)
    shell.run("upload", "all")
    done = subprocess.run(
        f"{HAULIER} files --limit 1000 | head -1", shell=True, env=shell.env, cwd=shell.root,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_the_registry_as_a_file(shell):
    (shell.local / "a").write_bytes(b"x")
    shell.run("upload", "a")
    shell.run("files", "--export", "files.json")
    assert len(json.loads((shell.root / "files.json").read_text())) == 4


def test_encrypted_archives_need_their_key(shell):
    key = shell.root / "key"
    key.write_bytes(os.urandom(32))
    (shell.local / "secret").mkdir()
    (shell.local / "secret" / "a.txt").write_bytes(b"secret words " * 100_000)
    (record,) = shell.json("upload", "secret", "--encrypt", key)
    stored = shell.root / "data" / "store" / "secret.tar.gz"
    assert b"secret" not in stored.read_bytes()
    assert record["metadata"]["encrypted"]
    assert "--key-file" in shell.run("restore", record["operation_id"], code=1).stderr
    shell.run("restore", record["operation_id"], "--key-file", key, "--out", "back")
    assert (shell.root / "back" / "secret" / "a.txt").read_bytes() == b"secret words " * 100_000
    arguments = ["--member", "secret/a.txt", "--key-file", key, "--out", "one"]
    shell.run("restore", record["operation_id"], *arguments)
    assert [p.stat().st_size for p in (shell.root / "one").rglob("a.txt")] == [1_300_000]
    (verified,) = shell.json("verify", record["operation_id"], "--deep")
    assert verified["status"] == "success"


def test_doctor_finds_nothing_wrong_and_says_when_something_is(shell):
    states = {f["name"]: f["state"] for f in shell.json("doctor")}
    assert "problem" not in states.values()
    shell.env["MGMT_LOCAL_DIR"] = str(shell.root / "missing")
    findings = shell.json("doctor", code=1)
    assert any(f["state"] == "problem" and f["fix"] for f in findings)


def test_mgmt_is_the_same_program(shell):
    (shell.local / "myfile.mp4").write_bytes(b"x")
    mgmt = HAULIER.with_name("mgmt")
    shell.run("upload", "myfile.mp4", program=mgmt)
    assert "myfile.mp4" in shell.run("history", program=mgmt).stdout


@pytest.mark.parametrize("command", ["upload", "history", "restore", "gc", "s3", "db"])
def test_help(shell, command):
    assert "Usage" in shell.run(command, "--help").stdout


def test_gc_of_a_tidy_place(shell):
    assert "nothing to clean up" in shell.run("gc").stderr


def test_db_upgrade(shell):
    shell.run("db", "upgrade")
    assert (shell.root / "data" / "catalog.db").exists()
