"""The real program with its catalog in PostgreSQL, from the upload to the restored bytes."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

PROGRAM = str(Path(sys.executable).with_name("haulier"))

pytestmark = pytest.mark.servers


@pytest.fixture
def database(postgres_url):
    """The URL of a database that is empty."""
    name = f"journey_{secrets.token_hex(8)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield postgres_url.rpartition("/")[0] + f"/{name}"
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def run(tmp_path, database):
    """Run the program; returns what it wrote as JSON."""
    env = {
        "PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "HOME": str(tmp_path), "HAULIER_DATA": str(tmp_path / "data"),
        "MGMT_LOCAL_DIR": str(tmp_path / "media"), "DATABASE_URL": database,
    }  # fmt: skip

    def call(*arguments, code=0):
        done = subprocess.run(
            [PROGRAM, *map(str, arguments), "--json"], env=env, cwd=tmp_path,
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    return call


def test_what_was_uploaded_is_listed_and_comes_back(tmp_path, database, run):
    shoot = tmp_path / "media" / "shoot"
    shoot.mkdir(parents=True)
    contents = {"a.jpg": os.urandom(300_000), "notes.txt": b"words " * 5000, "empty": b""}
    for name, content in contents.items():
        (shoot / name).write_bytes(content)
    hostile = os.fsdecode(b"caf\xe9\nline")
    (shoot / hostile).write_bytes(b"odd")

    (uploaded,) = run("upload", "shoot")
    assert uploaded["status"] == "success"
    operation = uploaded["operation_id"]

    (listed,) = run("history", "--status", "success", "--name", "sho*", "--type", "upload")
    assert (listed["operation_id"], listed["target_name"]) == (operation, "shoot")
    assert run("history", "--status", "failed") == []
    found = run("files", "--tag", f"upload_operation_id={operation}")
    assert sorted(record["location"] for record in found) == [
        "completed", "completed", "file", "local",
    ]  # fmt: skip
    (stored,) = run("files", "--location", "file", "--name", "*hoot*")
    assert stored["name"] == "shoot.tar.gz"

    (verified,) = run("verify", operation, "--deep")
    assert verified["status"] == "success"
    restored = run("restore", operation[:8], "--out", tmp_path / "back")
    assert restored["status"] == "success"
    back = tmp_path / "back" / "shoot"
    assert {name: (back / name).read_bytes() for name in contents} == contents
    assert (back / hostile).read_bytes() == b"odd"

    # All of it is in the database, nothing in a file beside it.
    assert not list(tmp_path.rglob("*.db"))
    with psycopg.connect(database) as connection:
        types = connection.execute("SELECT operation_type FROM operations ORDER BY started_at")
        assert [row[0] for row in types] == ["upload", "verify", "download"]
        assert connection.execute("SELECT count(*) FROM uploads").fetchone() == (0,)
