"""Each option of `haulier watch`, by what it makes of the files that settle."""

from __future__ import annotations

import asyncio
import os
import signal
import tarfile
import time

import pytest

from haulier.catalog.catalog import Catalog
from haulier.store.s3 import S3Store


def watched(haulier, *args, count=1):
    """Watch until `count` uploads were told, then stop; returns the records by name."""
    with haulier.running("watch", str(haulier.media), "--settle", "0s", *args) as process:
        told = [line for _, line in zip(range(count), process.stdout, strict=False)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert len(told) == count, err
    assert process.returncode == 130
    return {record["target_name"]: record for record in haulier.json("history")}


def in_bucket(haulier, server):
    """Let `haulier` use the server; returns a fresh bucket."""
    haulier.env |= {
        "AWS_ENDPOINT_URL": server.endpoint_url, "AWS_ACCESS_KEY_ID": server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
    }  # fmt: skip
    return server.make_bucket()


def test_to_names_where_it_goes(haulier, tmp_path):
    haulier.make("a.txt")
    records = watched(haulier, "--to", f"file://{tmp_path}/elsewhere")
    assert records["a.txt"]["result_path"] == f"file://{tmp_path}/elsewhere/a.txt.tar.gz"
    assert (tmp_path / "elsewhere" / "a.txt.tar.gz").is_file()
    assert not haulier.store.exists()


def test_no_complete_leaves_sources_where_they_are(haulier):
    haulier.make("a.txt")
    records = watched(haulier, "--no-complete")
    assert records["a.txt"]["status"] == "success"
    assert os.listdir(haulier.media) == ["a.txt"]


@pytest.mark.parametrize(("name", "suffix"), [("zstd", ".tar.zst"), ("none", ".tar")])
def test_compression_is_chosen(haulier, name, suffix):
    haulier.make("a.txt", b"words " * 1000)
    records = watched(haulier, "--compression", name)
    assert records["a.txt"]["compression_type"] == name
    assert (haulier.store / f"a.txt{suffix}").is_file()


@pytest.mark.servers
def test_storage_class_reaches_the_bucket(haulier, s3_server):
    bucket = in_bucket(haulier, s3_server)
    haulier.make("a.txt")
    watched(haulier, "--to", f"s3://{bucket}", "--storage-class", "STANDARD_IA")

    async def stored_class():
        store = S3Store(bucket, access=s3_server.access())
        try:
            return (await store.head("a.txt.tar.gz")).storage_class
        finally:
            await store.aclose()

    assert asyncio.run(stored_class()) == "STANDARD_IA"


def test_encrypt_seals_what_is_stored(haulier, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    haulier.make("a.txt", b"secret words " * 1000)
    records = watched(haulier, "--encrypt", os.path.relpath(key, haulier.here))
    assert records["a.txt"]["metadata"]["encrypted"]
    assert (haulier.store / "a.txt.tar.gz").read_bytes().startswith(b"HLR1")
    haulier("restore", "a.txt.tar.gz", code=1)
    haulier("restore", "a.txt.tar.gz", "--key-file", str(key))
    assert (haulier.here / "a.txt").read_bytes() == b"secret words " * 1000


def folder(haulier):
    tree = haulier.media / "tree"
    tree.mkdir()
    for name in ("a.txt", "b.log"):
        (tree / name).write_bytes(name.encode())


def names_in(archive):
    with tarfile.open(archive) as tar:
        return tar.getnames()


def test_exclude_leaves_out_entries_and_what_is_in_them(haulier):
    folder(haulier)
    haulier.make("c.log")
    records = watched(haulier, "--exclude", "*.log")
    assert list(records) == ["tree"]
    assert names_in(haulier.store / "tree.tar.gz") == ["tree", "tree/a.txt"]
    assert (haulier.media / "c.log").exists()


def test_include_takes_only_what_matches(haulier):
    folder(haulier)
    watched(haulier, "--include", "*.log")
    assert names_in(haulier.store / "tree.tar.gz") == ["tree", "tree/b.log"]


def test_hidden_takes_hidden_entries(haulier):
    haulier.make("a.txt", b"a")
    haulier.make(".b.txt", b"b")
    assert set(watched(haulier, "--hidden", count=2)) == {"a.txt", ".b.txt"}


def test_hidden_entries_stay_otherwise(haulier):
    haulier.make("a.txt", b"a")
    haulier.make(".b.txt", b"b")
    assert set(watched(haulier)) == {"a.txt"}
    assert (haulier.media / ".b.txt").exists()


@pytest.mark.parametrize("jobs", [1, 3])
def test_jobs_is_the_number_of_parts_in_flight(haulier, jobs):
    """A part's row is committed when it is about to be sent; none of them ever arrives."""
    haulier.make("big.mp4", os.urandom(40 << 20))

    async def begun():
        async with await Catalog.open(haulier.data / "catalog.db") as catalog:
            uploads = await catalog.read(lambda tx: tx.list_uploads())
            if not uploads:
                return 0
            return len(await catalog.read(lambda tx: tx.get_parts(uploads[0].operation_id)))

    args = ["--jobs", str(jobs), "--limit-rate", "1K"]
    with haulier.running("watch", str(haulier.media), "--settle", "0s", *args) as process:
        deadline = time.monotonic() + 30
        while asyncio.run(begun()) < jobs and time.monotonic() < deadline:
            time.sleep(0.05)
        for line in process.stderr:
            if b"  uploading" in line and b" 0 B of" not in line:
                break
        process.terminate()
        process.communicate(timeout=60)
    assert asyncio.run(begun()) == jobs
