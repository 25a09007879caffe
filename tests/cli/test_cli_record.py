"""record save, list, queue, sync, stats: a device that records first and sends later."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from haulier.testing.faults import Fault, FaultProxy
from recordings import new_id, wav


@pytest.fixture
def memo(haulier):
    path = haulier.here / "memo.wav"
    path.write_bytes(wav(1))
    return path


def test_save_prints_the_id_and_keeps_the_sound(haulier, memo):
    one = haulier("record", "save", "memo.wav", "--mode", "lecture").out.strip()
    home = haulier.data / "recordings" / "device" / "recordings"
    assert (home / f"{one}.wav").read_bytes() == wav(1)
    [row] = haulier("record", "list").rows
    assert row[:4] == [one, "recorded", "lecture", "16 KiB"]
    [listed] = haulier.json("record", "list")
    assert (listed["recording_id"], listed["duration"]) == (one, 1.0)
    memo.unlink()
    assert haulier("record", "save", "memo.wav", code=1).err.startswith("error: memo.wav can't")


def test_save_again_with_an_id_is_harmless(haulier, memo):
    one = new_id()
    first = haulier.json("record", "save", "memo.wav", "--id", one)
    assert haulier.json("record", "save", "memo.wav", "--id", one) == first
    memo.write_bytes(wav(2))
    assert "another recording" in haulier("record", "save", "memo.wav", "--id", one, code=1).err


def test_save_reads_a_pipe(haulier):
    with haulier.start("record", "save", "-", stdin=subprocess.PIPE) as process:
        out, _ = process.communicate(wav(1), timeout=60)
    assert process.returncode == 0
    [listed] = haulier.json("record", "list")
    assert (listed["recording_id"], listed["file_size"]) == (out.decode().strip(), len(wav(1)))


def test_list_by_status(haulier, memo):
    haulier("record", "save", "memo.wav")
    assert haulier("record", "list", "--status", "failed").out == ""
    assert "is no" in haulier("record", "list", "--status", "lost", code=1).err


def test_stats(haulier, memo):
    haulier("record", "save", "memo.wav")
    rows = haulier("record", "stats").rows
    assert ["recordings", "1", "16 KiB of 500 MiB"] in rows
    assert ["recorded", "1"] in rows
    stats = haulier.json("record", "stats")
    assert (stats["files"], stats["bytes"], stats["limit_bytes"]) == (1, len(wav(1)), 500 << 20)


def test_sync_needs_to_know_where_to(haulier, memo):
    haulier("record", "save", "memo.wav")
    printed = haulier("record", "sync", code=2)
    assert "it is not said where" in printed.err
    assert "SYNC_TO" in printed.err
    assert "--json" in haulier("record", "sync", "--watch", "--json", code=2).err


def test_sync_into_the_files_of_a_user_here(haulier, memo):
    haulier("user", "add", "ann")
    one = haulier("record", "save", "memo.wav", "--user", "ann").out.strip()
    assert haulier("record", "list").out == "", "the device has its own"
    report = haulier.json("record", "sync", "--user", "ann")
    assert (report["synced"], report["failed"], report["pending"]) == (1, 0, 0)
    assert report["recordings"][0]["recording_id"] == one
    assert report["recordings"][0]["upload_endpoint"].startswith("/api/files/")
    assert haulier("record", "queue", "--user", "ann").out == ""
    assert haulier.json("record", "stats", "--user", "ann")["files"] == 1
    assert "nobody" in haulier("record", "list", "--user", "nobody", code=1).err


@pytest.fixture
def bucket(haulier, s3_server):
    name = s3_server.make_bucket()
    haulier.env |= {
        "SYNC_TO": f"s3://{name}/memos", "AWS_ENDPOINT_URL": s3_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3_server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_access_key,
    }  # fmt: skip
    return name


@pytest.mark.servers
def test_sync_into_a_bucket(haulier, memo, bucket):
    ids = {haulier("record", "save", "memo.wav").out.strip() for _ in range(2)}
    rows = haulier("record", "sync").rows
    assert {tuple(row) for row in rows} == {
        (one, "uploaded", f"s3://{bucket}/memos/device/{one}.wav") for one in ids
    }
    assert haulier("record", "queue").out == ""
    assert haulier("record", "sync").out == ""


@pytest.mark.servers
def test_what_failed_waits_and_says_why(haulier, memo, bucket):
    one = haulier("record", "save", "memo.wav").out.strip()
    secret = haulier.env["AWS_SECRET_ACCESS_KEY"]
    haulier.env["AWS_SECRET_ACCESS_KEY"] = "wrong"
    report = haulier.json("record", "sync", code=1)
    assert (report["failed"], report["recordings"][0]["status"]) == (1, "failed")
    [row] = haulier("record", "queue").rows
    assert (row[0], row[2]) == (one, "1")
    assert row[3] == report["recordings"][0]["error"]
    [waiting] = haulier.json("record", "queue")
    assert waiting["attempts"] == 1
    haulier.env["AWS_SECRET_ACCESS_KEY"] = secret
    assert haulier.json("record", "sync")["synced"] == 1


@pytest.mark.servers
def test_watch_sends_what_comes_and_outlives_the_network(haulier, memo, bucket, s3_server):
    faults = [Fault(method="PUT", pattern="memos", times=2, cut_after=100)]
    with FaultProxy(s3_server.endpoint_url, faults) as proxy:
        haulier.env["AWS_ENDPOINT_URL"] = proxy.url
        with haulier.running("record", "sync", "--watch") as process:
            ids = {haulier("record", "save", "memo.wav").out.strip() for _ in range(3)}
            until = time.monotonic() + 60
            while {one["status"] for one in haulier.json("record", "list")} != {"uploaded"}:
                assert time.monotonic() < until
                time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert {line.split(b"\t")[0].decode() for line in out.splitlines()} == ids
