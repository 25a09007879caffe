"""history, show and files over a catalog that the test fills."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from haulier.catalog.catalog import Catalog
from haulier.cli.main import app
from haulier.core.records import (
    FileRecord,
    FileStatus,
    OperationRecord,
    OperationStatus,
    UploadRecord,
)

EVIL = "\x1b[31mred\nnew\u202eline"
NOT_UTF8 = os.fsdecode(b"caf\xe9.jpg")


def upload_of(name, *, day, status=OperationStatus.SUCCESS, **changes):
    started = datetime(2026, 1, day, 12, tzinfo=UTC)
    operation_id = f"{day:08d}-0000-4000-8000-000000000000"
    remote = FileRecord(
        name=f"{name}.tar.gz", path=f"s3://bucket/{name}.tar.gz", location="s3", size=90,
        status=FileStatus.COMPLETED, tags={"upload_operation_id": operation_id, "camera": "X1"},
    )  # fmt: skip
    source = FileRecord(
        name=name, path=f"/media/{name}", location="local", size=100, status=FileStatus.COMPLETED
    )
    record = UploadRecord(
        operation_id=operation_id, operation_type="upload", target_path=f"/media/{name}",
        target_name=name, started_at=started, status=status, user="ada", original_size=100,
        s3_object_key=f"{name}.tar.gz", result_path=f"s3://bucket/{name}.tar.gz",
        source_file_record=source, s3_file_record=remote,
    )  # fmt: skip
    return replace(record, **changes)


@pytest.fixture
def filled(haulier):
    records = [
        upload_of("one.mp4", day=1),
        upload_of("two.mp4", day=2, user="bob"),
        upload_of(EVIL, day=3, status=OperationStatus.FAILED, error_message="disk\rfull"),
        upload_of(NOT_UTF8, day=4),
        OperationRecord(
            operation_id="00000005-0000-4000-8000-000000000000",
            operation_type="verify", target_path="s3://bucket/one.mp4.tar.gz",
            target_name="one.mp4", started_at=datetime(2026, 1, 5, tzinfo=UTC),
            status=OperationStatus.SUCCESS,
        ),
    ]  # fmt: skip

    async def fill():
        async with await Catalog.open(haulier.data / "catalog.db") as catalog:
            for record in records:
                await catalog.transaction(lambda tx, record=record: tx.put_operation(record))

    asyncio.run(fill())
    return haulier


@pytest.fixture
def ask(filled, monkeypatch, capsys):
    """Run the program in this process, which spares the start of another."""
    for name, value in filled.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(filled.here)

    def ask(*args):
        app([*args, "--json"], standalone_mode=False)
        return json.loads(capsys.readouterr().out)

    return ask


def days(listed):
    return [int(record["operation_id"][:8]) for record in listed]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], [5, 4, 3, 2, 1]),
        (["--status", "failed"], [3]),
        (["--type", "verify"], [5]),
        (["--user", "bob"], [2]),
        (["--name", "*.mp4"], [5, 2, 1]),
        (["--location", "s3", "--name", "one*"], [1]),
        (["--tag", "camera=X1", "--user", "ada", "--name", "one.mp4"], [1]),
        (["--tag", "camera=other"], []),
        (["--file", "/media/two.mp4"], [2]),
        (["--since", "2026-01-03", "--until", "2026-01-04T23:00:00Z"], [4, 3]),
        (["--since", "3d"], []),
        (["--limit", "2"], [5, 4]),
    ],
)
def test_history_filters(ask, flags, expected):
    assert days(ask("history", *flags)) == expected


def test_pages_follow_each_other(filled):
    first = filled("history", "--limit", "3")
    assert len(first.rows) == 3
    assert first.err.startswith("there is more: --cursor ")
    cursor = first.err.split()[-1]
    assert days(filled.json("history", "--limit", "3", "--cursor", cursor)) == [2, 1]


def test_names_cannot_steer_the_terminal(filled):
    printed = filled("history", "--status", "failed")
    assert printed.rows == [
        [
            "00000003-0000-4000-8000-000000000000", "2026-01-03T12:00:00Z", "upload", "failed",
            r"\x1b[31mred\nnew\u202eline", "100 B", r"disk\rfull",
        ]
    ]  # fmt: skip
    assert r"caf\xe9.jpg" in filled("files", "--name", NOT_UTF8).out


def test_json_carries_names_without_loss(filled):
    printed = filled("history", "--json")
    assert printed.out.isascii()
    names = [record["target_name"] for record in json.loads(printed.out)]
    assert names[1] == NOT_UTF8
    assert os.fsencode(names[1]) == b"caf\xe9.jpg"
    assert names[2] == EVIL


def test_show_prints_one_object(filled):
    record = filled.json("show", "00000001")
    assert record["s3_file_record"]["tags"]["camera"] == "X1"
    rows = dict(filled("show", "00000001").rows)
    assert rows["status"] == "success"
    assert rows["s3_file_record.tags.camera"] == "X1"
    assert rows["source_file_record.path"] == "/media/one.mp4"
    assert "error_message" not in rows


def test_show_of_an_unknown_id(filled):
    printed = filled("show", "ffffffff", code=1)
    assert "no operation has the id 'ffffffff'" in printed.err
    record = filled.json("show", "ffffffff", code=1)
    assert (record["status"], record["target_name"]) == ("failed", "ffffffff")


@pytest.mark.parametrize(
    ("flags", "count"),
    [
        ([], 8),
        (["--location", "s3"], 4),
        (["--status", "completed", "--name", "*.mp4"], 2),
        (["--path", "/media"], 4),
        (["--path", "/media/one.mp4"], 1),
        (["--tag", "camera"], 4),
        (["--checksum", "sha256:00"], 0),
        (["--status", "deleted"], 0),
        (["--limit", "3"], 3),
    ],
)
def test_files_filters(ask, flags, count):
    assert len(ask("files", *flags)) == count


def test_the_registry_is_exported_whole_or_filtered(filled):
    target = filled.here / "files.json"
    printed = filled("files", "--export", "files.json", "--limit", "1")
    assert printed.out == ""
    assert printed.err == "8 file records written to files.json\n"
    exported = json.loads(target.read_text())
    assert exported == filled.json("files")
    filled("files", "--export", "files.json", "--location", "s3")
    assert len(json.loads(target.read_text())) == 4
    assert os.listdir(filled.here) == ["files.json"]


def test_an_export_that_cannot_be_written(filled):
    printed = filled("files", "--export", "missing/files.json", code=1)
    assert "missing/files.json can't be written: No such file or directory" in printed.err


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["history", "--status", "done"], "pending, running, success"),
        (["files", "--status", "success"], "pending, uploading"),
        (["history", "--since", "yesterday"], "'yesterday' is not a point in time"),
        (["history", "--limit", "0"], "--limit"),
        (["history", "--cursor", "nonsense"], "cursor"),
        (["show"], "ID"),
    ],
)
def test_wrong_usage(filled, args, told):
    printed = filled(*args, "--json", code=2)
    assert printed.out == ""
    assert told in printed.err


def test_a_catalog_that_is_none_is_named(haulier):
    haulier.data.mkdir()
    (haulier.data / "catalog.db").write_bytes(b"something else entirely" * 100)
    printed = haulier("history", "--json", code=2)
    assert printed.out == ""
    assert "catalog.db" in printed.err
