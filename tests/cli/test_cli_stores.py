"""Options that name or shape stores: import, gc, s3 setup, archive-old, and history by file."""

from __future__ import annotations

import asyncio
import os

import pytest

from haulier.store.local import LocalStore
from haulier.store.s3 import S3Store
from journeys.archives import leave_upload_open


def forget(haulier):
    for path in haulier.data.glob("catalog.db*"):
        path.unlink()


def test_history_of_one_file(haulier):
    first, second = haulier.make("a.txt", b"a"), haulier.make("b.txt", b"b")
    haulier("upload", "all")
    (record,) = haulier.json("history", "--file", str(haulier.media / "completed" / "a.txt"))
    assert record["source_file_record"]["name"] == first.name
    stored = haulier.json("history", "--file", (haulier.store / "b.txt.tar.gz").as_uri())
    assert [r["target_name"] for r in stored] == [second.name]
    assert haulier.json("history", "--file", "/nonexistent") == []


def test_import_as_json_is_an_array_of_the_uploads_that_were_added(haulier):
    haulier.make("a.txt")
    (uploaded,) = haulier.json("upload", "a.txt")
    forget(haulier)
    printed = haulier("import", "--json")
    assert printed.err == ""
    (imported,) = haulier.json("history", "--type", "upload")
    assert printed.out.startswith("[")
    assert imported["operation_id"] == uploaded["operation_id"]
    assert imported["metadata"]["imported"] is True
    assert haulier.json("import") == []


def test_import_of_encrypted_archives_wants_their_key(haulier, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    haulier.make("a.txt")
    (uploaded,) = haulier.json("upload", "a.txt", "--encrypt", str(key))
    forget(haulier)
    (minimal,) = haulier.json("import")
    assert minimal["operation_id"] != uploaded["operation_id"]
    assert minimal["checksum_original"] is None
    forget(haulier)
    (full,) = haulier.json("import", "--key-file", str(key))
    assert full["operation_id"] == uploaded["operation_id"]
    assert full["checksum_original"] == uploaded["checksum_original"]


def open_uploads(root):
    async def found():
        return [upload.key async for upload in LocalStore(root).list_uploads("")]

    return asyncio.run(found())


def test_gc_as_json_is_an_array_of_what_was_ended(haulier):
    asyncio.run(leave_upload_open(LocalStore(haulier.store), "lost.tar.gz"))
    printed = haulier("gc", "--older-than", "0s", "--json")
    assert printed.out == "[]\n"
    assert "1 of unknown origin" in printed.err
    (done,) = haulier.json("gc", "--older-than", "0s", "--yes")
    assert (done["operation_type"], done["status"]) == ("gc", "success")
    assert done["target_path"] == f"{haulier.store.as_uri()}/lost.tar.gz"
    assert done["metadata"]["kind"] == "upload"
    assert open_uploads(haulier.store) == []


def test_gc_cleans_the_store_that_it_is_told(haulier, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    for root in (haulier.store, elsewhere):
        asyncio.run(leave_upload_open(LocalStore(root), "lost.tar.gz"))
    args = ["gc", "--to", elsewhere.as_uri(), "--older-than", "0s", "--yes"]
    assert len(haulier.json(*args)) == 1
    assert open_uploads(elsewhere) == []
    assert open_uploads(haulier.store) == ["lost.tar.gz"]


@pytest.fixture
def server(haulier, s3_server):
    haulier.env |= {
        "AWS_ENDPOINT_URL": s3_server.endpoint_url, "AWS_ACCESS_KEY_ID": s3_server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_access_key,
    }  # fmt: skip
    return s3_server


def ask(server, bucket, work):
    async def asked():
        store = S3Store(bucket, access=server.access())
        try:
            return await work(store)
        finally:
            await store.aclose()

    return asyncio.run(asked())


@pytest.mark.servers
def test_s3_setup_of_the_bucket_that_it_is_told(haulier, server):
    configured, other = server.make_bucket(), server.make_bucket()
    haulier.env["AWS_S3_BUCKET"] = configured
    assert (
        f"the bucket {other} was there" in haulier("s3", "setup", "--to", f"s3://{other}/2026").err
    )

    async def lifecycle(store):
        return (await store.http.send("GET", query={"lifecycle": ""})).body.decode()

    assert "<Prefix>2026/</Prefix>" in ask(server, other, lifecycle)
    with pytest.raises(Exception, match="lifecycle"):
        ask(server, configured, lifecycle)


@pytest.mark.servers
def test_archive_old_as_json_is_an_array_of_what_was_moved(haulier, server):
    haulier.env["AWS_S3_BUCKET"] = bucket = server.make_bucket()
    haulier.make("a.txt")
    (uploaded,) = haulier.json("upload", "a.txt")
    args = ["archive-old", "--older-than", "0s", "--storage-class", "STANDARD_IA"]
    (moved,) = haulier.json(*args)
    assert (moved["operation_type"], moved["status"]) == ("archive", "success")
    assert moved["metadata"]["upload_operation_id"] == uploaded["operation_id"]

    async def stored_class(store):
        return (await store.head("a.txt.tar.gz")).storage_class

    assert ask(server, bucket, stored_class) == "STANDARD_IA"
    printed = haulier(*args, "--json")
    assert printed.out == "[]\n"
    assert "nothing so old" in printed.err
