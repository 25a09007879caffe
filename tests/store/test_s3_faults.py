"""What S3 and the network do wrong, seen by the store and by the whole journey."""

from __future__ import annotations

import asyncio
import os
import tarfile

import pytest

from haulier.core.records import OperationStatus
from haulier.errors import (
    AccessDenied,
    ConnectionLost,
    NoSuchBucket,
    NoSuchUpload,
    RateLimited,
    ServiceFault,
)
from haulier.journeys.archive.open import open_archive, upload_options
from haulier.journeys.archive.upload import resume, retry, upload
from haulier.settings import Settings, settings_table
from haulier.store.base import ObjectOptions
from haulier.store.s3 import S3Store
from haulier.testing.faults import Fault, FaultProxy
from haulier.testing.seaweed import SeaweedServer
from haulier.testing.store_suite import part_of

pytestmark = pytest.mark.servers
PART = r"partNumber="
OURS = r"recordings\.tar\.gz\?.*partNumber="  # not those of the probe


@pytest.fixture
def proxy(s3_server):
    with FaultProxy(s3_server.endpoint_url) as proxy:
        yield proxy


class Trip:
    """A source, a bucket behind the proxy, and the settings that lead there."""

    def __init__(self, root, server, endpoint_url, bucket):
        self.local = root / "media"
        self.source = self.local / "recordings"
        self.source.mkdir(parents=True)
        self.content = os.urandom(20 << 20)
        (self.source / "a.mp4").write_bytes(self.content)
        self.server, self.bucket = server, bucket
        self.settings = Settings.load(
            data=root / "data", MGMT_LOCAL_DIR=self.local, AWS_S3_BUCKET=bucket,
            AWS_ENDPOINT_URL=endpoint_url, AWS_ACCESS_KEY_ID=server.access_key_id,
            AWS_SECRET_ACCESS_KEY=server.secret_access_key, AWS_REGION="us-east-1",
        )  # fmt: skip

    async def upload(self, observe=None, **options):
        extra = {} if observe is None else {"observe": observe}
        async with open_archive(self.settings, **extra) as ctx:
            (record,) = await upload(ctx, ["recordings"], upload_options(self.settings, **options))
        return record

    async def fetched(self, key="recordings.tar.gz"):
        store = S3Store(self.bucket, access=self.server.access())
        path = self.local.parent / "fetched.tar.gz"
        with path.open("wb") as file:
            async with store.get(key) as pieces:
                async for piece in pieces:
                    file.write(piece)
        uploads = [u async for u in store.list_uploads("")]
        await store.aclose()
        assert uploads == []
        with tarfile.open(path) as tar:
            return tar.extractfile("recordings/a.mp4").read()


@pytest.fixture
def trip(tmp_path, s3_server, proxy, monkeypatch):
    for row in settings_table():
        monkeypatch.delenv(row.name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Trip(tmp_path, s3_server, proxy.url, s3_server.make_bucket())


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(method="PUT", pattern=PART, status=500), ServiceFault),
        (Fault(method="PUT", pattern=PART, status=503, code="SlowDown"), RateLimited),
        (Fault(method="PUT", pattern=PART, status=429, code=""), RateLimited),
        (Fault(method="PUT", pattern=PART, status=403, code="AccessDenied"), AccessDenied),
        (Fault(method="PUT", pattern=PART, status=403, code="RequestTimeTooSkewed"), AccessDenied),
        (Fault(method="PUT", pattern=PART, status=404, code="NoSuchUpload"), NoSuchUpload),
        (Fault(method="PUT", pattern=PART, status=404, code="NoSuchBucket"), NoSuchBucket),
        (Fault(method="PUT", pattern=PART, cut_after=1000), ConnectionLost),
        (Fault(method="PUT", pattern=PART, lose_answer=True), ConnectionLost),
    ],
    ids=lambda value: getattr(value, "code", None) or getattr(value, "__name__", ""),
)
async def test_each_answer_is_an_error_of_ours(s3_server, proxy, fault, kind):
    store = S3Store(s3_server.make_bucket(), access=s3_server.access(proxy.url))
    upload_id = await store.start_upload("k", ObjectOptions())
    proxy.faults.append(fault)
    with pytest.raises(kind) as caught:
        await store.put_part("k", upload_id, part_of(b"x" * 100_000))
    assert caught.value.hint
    await store.put_part("k", upload_id, part_of(b"x" * 100_000))
    await store.abort_upload("k", upload_id)
    await store.aclose()


async def test_retry_after_is_told(s3_server, proxy):
    store = S3Store(s3_server.make_bucket(), access=s3_server.access(proxy.url))
    proxy.faults.append(Fault(method="HEAD", pattern="k", status=503, retry_after_s=7))
    with pytest.raises(RateLimited) as caught:
        await store.head("k")
    assert caught.value.retry_after_s == 7
    await store.aclose()


@pytest.mark.parametrize(
    "faults",
    [
        [Fault(method="PUT", pattern=OURS, status=503, code="SlowDown", times=3)],
        [Fault(method="PUT", pattern=OURS, cut_after=100_000, times=3)],
        [Fault(method="PUT", pattern=OURS, lose_answer=True, times=2)],
        [Fault(method="PUT", pattern=OURS, corrupt_at=5_000)],
        [Fault(method="PUT", pattern=OURS, skip=1, status=404, code="NoSuchUpload")],
        [Fault(method="POST", pattern="uploadId=", status=500)],
        [Fault(method="POST", pattern="uploadId=", lose_answer=True)],
        [Fault(method="POST", pattern="uploads", status=500)],
        [Fault(method="HEAD", pattern="recordings", status=503, times=2)],
        [Fault(method="PUT", pattern=r"index\.gz", status=500)],
    ],
    ids=["503 storm", "cut parts", "lost answers", "corrupt byte", "lost upload", "complete 500",
         "complete answer lost", "create 500", "head 503", "index 500"],
)  # fmt: skip
async def test_the_journey_arrives_all_the_same(trip, proxy, faults):
    proxy.faults.extend(faults)
    record = await trip.upload()
    assert record.status is OperationStatus.SUCCESS, record.error_message
    assert all(fault.times == 0 for fault in faults), "the fault was never met"
    assert await trip.fetched() == trip.content
    assert not trip.source.exists()
    assert record.metadata["checks"] == ["size", "etag", "crc64nvme"]


async def test_refused_credentials_say_so_and_move_nothing(trip):
    settings = Settings.load(
        data=trip.settings.general.data, MGMT_LOCAL_DIR=trip.local, AWS_S3_BUCKET=trip.bucket,
        AWS_ENDPOINT_URL=trip.settings.s3.endpoint_url, AWS_ACCESS_KEY_ID="nobody",
        AWS_SECRET_ACCESS_KEY="wrong", AWS_REGION="us-east-1",
    )  # fmt: skip
    with pytest.raises(AccessDenied) as caught:
        async with open_archive(settings):
            pass
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint
    assert trip.source.exists()


async def test_a_store_that_stays_away_leaves_an_upload_for_resume(trip, proxy):
    proxy.faults.append(Fault(method="PUT", pattern=OURS, skip=1, status=404, code="NoSuchBucket"))
    record = await trip.upload(jobs=1)
    assert record.status is OperationStatus.FAILED
    async with open_archive(trip.settings) as ctx:
        (again,) = await retry(ctx, [record.operation_id])
    assert again.status is OperationStatus.SUCCESS, again.error_message
    assert await trip.fetched() == trip.content
    parts = again.metadata["parts"]
    assert proxy.count("PUT", OURS) <= parts + 1


async def test_an_object_of_another_content_is_not_overwritten(trip):
    store = S3Store(trip.bucket, access=trip.server.access())
    await store.put("recordings.tar.gz", b"somebody else's")
    record = await trip.upload()
    assert record.status is OperationStatus.SUCCESS, record.error_message
    assert record.s3_object_key != "recordings.tar.gz"
    assert await trip.fetched(record.s3_object_key) == trip.content
    assert (await store.head("recordings.tar.gz")).size_bytes == 15
    await store.aclose()


async def test_a_key_taken_meanwhile_is_not_overwritten(trip):
    store = S3Store(trip.bucket, access=trip.server.access())

    def take(event):
        if event.stage == "completing" and event.detail == "recordings.tar.gz":
            import threading

            done = threading.Thread(
                target=lambda: asyncio.run(_put(trip, "recordings.tar.gz", b"first"))
            )
            done.start()
            done.join()

    record = await trip.upload(take)
    assert record.status is OperationStatus.SUCCESS, record.error_message
    assert record.s3_object_key != "recordings.tar.gz"
    assert (await store.head("recordings.tar.gz")).size_bytes == 5
    assert await trip.fetched(record.s3_object_key) == trip.content
    await store.aclose()


async def _put(trip, key, body):
    store = S3Store(trip.bucket, access=trip.server.access())
    await store.put(key, body)
    await store.aclose()


async def test_storage_class_and_metadata_arrive(trip):
    record = await trip.upload(storage_class="STANDARD_IA")
    assert record.status is OperationStatus.SUCCESS, record.error_message
    assert record.s3_storage_class == "STANDARD_IA"


async def test_a_server_killed_in_the_middle_keeps_what_it_acknowledged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with SeaweedServer(tmp_path / "seaweed") as server:
        (tmp_path / "trip").mkdir()
        trip = Trip(tmp_path / "trip", server, server.endpoint_url, server.make_bucket())
        stored = []

        def kill(event):
            if event.stage == "part-stored":
                stored.append(event.detail)
                if len(stored) == 1:
                    server.kill()

        record = await trip.upload(kill, jobs=1)
        assert record.status is OperationStatus.FAILED
        assert record.metadata["error"]["retryable"]
        server.start()
        async with open_archive(trip.settings, observe=kill) as ctx:
            (again,) = await resume(ctx)
        assert again.status is OperationStatus.SUCCESS, again.error_message
        assert len(stored) == len(set(stored)), "a stored part was sent again"
        assert await trip.fetched() == trip.content
