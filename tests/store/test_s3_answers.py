"""What S3 answers, spoken over loopback by a server that says just that."""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import asynccontextmanager

import pytest

from haulier.errors import (
    AccessDenied,
    BadDigest,
    ConfigurationError,
    ConnectionLost,
    NoSuchBucket,
    NoSuchObject,
    NoSuchUpload,
    ObjectArchived,
    ObjectChanged,
    ObjectExists,
    RateLimited,
    RequestRejected,
    ServiceFault,
    StorageFull,
    TimedOut,
    UnsafePath,
    UsageError,
)
from haulier.store.base import ObjectOptions, PartReceipt, StoreChecks
from haulier.store.s3 import S3Store
from haulier.store.s3_credentials import S3Access
from haulier.store.s3_http import S3Http
from haulier.testing.store_suite import part_of, read_all

RECEIPT = PartReceipt(number=1, size_bytes=3, etag="0" * 32)


class Canned:
    """Answers each request with the next of `answers` (the last one again and again)."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.heads: list[str] = []

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.heads.append(head)
                found = re.search(r"(?i)content-length: (\d+)", head)
                await reader.readexactly(int(found[1]) if found else 0)
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()


def answer(status, body=b"", **headers):
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def error(status, code, *, more="", **headers):
    body = f"<Error><Code>{code}</Code><Message>said</Message>{more}</Error>"
    return answer(status, body.encode(), **headers)


@asynccontextmanager
async def listening(serve, **access):
    serving = set()

    async def track(reader, writer):
        serving.add(asyncio.current_task())
        try:
            await serve(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(track, "127.0.0.1", 0, limit=1 << 20)
    port = server.sockets[0].getsockname()[1]
    values = {"access_key_id": "id", "secret_access_key": "secret", **access}
    store = S3Store("b", access=S3Access(endpoint_url=f"http://127.0.0.1:{port}", **values))
    try:
        yield store
    finally:
        await store.aclose()
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0.01)  # aborted transports close their sockets in the next rounds


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchKey", NoSuchObject),
        (404, "NoSuchBucket", NoSuchBucket),
        (403, "AccessDenied", AccessDenied),
        (403, "InvalidAccessKeyId", AccessDenied),
        (403, "SignatureDoesNotMatch", AccessDenied),
        (400, "ExpiredToken", AccessDenied),
        (403, "RequestTimeTooSkewed", AccessDenied),
        (403, "InvalidObjectState", ObjectArchived),
        (400, "BadDigest", BadDigest),
        (400, "EntityTooLarge", RequestRejected),
        (400, "SomethingNew", RequestRejected),
        (400, "RequestTimeout", TimedOut),
        (400, "IncompleteBody", ConnectionLost),
        (503, "SlowDown", RateLimited),
        (500, "InternalError", ServiceFault),
        (599, "", ServiceFault),
        (507, "", StorageFull),
    ],
)
async def test_each_code_is_an_error_of_ours(status, code, kind):
    async with listening(Canned(error(status, code)).serve) as store:
        with pytest.raises(kind) as caught:
            await read_all(store, "k")
        assert type(caught.value) is kind
        assert "s3://b/k" in caught.value.message
        assert caught.value.hint


async def test_a_wrong_clock_is_named():
    async with listening(Canned(error(403, "RequestTimeTooSkewed")).serve) as store:
        with pytest.raises(AccessDenied) as caught:
            await store.put("k", b"x")
        assert "clock" in caught.value.hint


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("soon", None)]
)
async def test_retry_after_in_every_form(value, seconds):
    async with listening(Canned(error(503, "SlowDown", Retry_After=value)).serve) as store:
        with pytest.raises(RateLimited) as caught:
            await store.put("k", b"x")
        assert caught.value.retry_after_s == seconds


@pytest.mark.parametrize(
    ("code", "kind"),
    [("InternalError", ServiceFault), ("PreconditionFailed", ObjectExists),
     ("NoSuchUpload", NoSuchUpload), ("ConditionalRequestConflict", NoSuchUpload)],
)  # fmt: skip
async def test_a_complete_that_fails_with_status_200_fails(code, kind):
    """S3 sends the status first, then spaces while it works, then how it went."""
    body = f"  \n <?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode()
    async with listening(Canned(answer(200, body)).serve) as store:
        with pytest.raises(kind):
            await store.complete_upload("k", "id", [RECEIPT], if_none_match=True)


async def test_a_conflict_asks_for_a_new_upload_or_another_try():
    async with listening(Canned(error(409, "ConditionalRequestConflict")).serve) as store:
        with pytest.raises(NoSuchUpload):
            await store.complete_upload("k", "id", [RECEIPT], if_none_match=True)
        with pytest.raises(ServiceFault):
            await store.put("k", b"x", if_none_match=True)


async def test_a_412_means_what_was_asked():
    async with listening(Canned(error(412, "PreconditionFailed")).serve) as store:
        with pytest.raises(ObjectExists):
            await store.put("k", b"x", if_none_match=True)
        with pytest.raises(ObjectChanged):
            await read_all(store, "k", if_match="e")


@pytest.mark.parametrize(
    "first",
    [
        error(400, "AuthorizationHeaderMalformed", more="<Region>eu-west-1</Region>"),
        error(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1"),
    ],
)
async def test_the_right_region_is_followed_once_and_kept(first):
    canned = Canned(first, answer(200, ETag='"e"'))
    async with listening(canned.serve) as store:
        await store.put("k", b"x")
        await store.put("k", b"x")
    assert ["/us-east-1/s3" in head for head in canned.heads] == [True, False, False]
    assert all("/eu-west-1/s3" in head for head in canned.heads[1:])


async def test_a_part_sent_again_to_its_region_is_counted_once():
    canned = Canned(
        error(400, "AuthorizationHeaderMalformed", more="<Region>r</Region>"),
        answer(200, ETag='"e"'),
    )
    counted = []
    async with listening(canned.serve) as store:
        await store.put_part("k", "id", part_of(b"x" * 1000), advance=counted.append)
    assert sum(counted) == 1000
    assert -1000 in counted


async def test_an_endless_redirect_ends():
    canned = Canned(
        error(301, "PermanentRedirect", x_amz_bucket_region="one"),
        error(301, "PermanentRedirect", x_amz_bucket_region="two"),
    )
    async with listening(canned.serve) as store:
        with pytest.raises(RequestRejected) as caught:
            await store.put("k", b"x")
        assert "AWS_REGION=two" in caught.value.hint
    assert len(canned.heads) == 2


async def test_a_server_that_sends_no_answer_is_given_up():
    async def serve(reader, writer):
        await reader.read()
        writer.close()

    async with listening(serve, stall_s=0.05) as store:
        with pytest.raises(TimedOut):
            await store.head("k")


async def test_a_server_that_reads_no_body_is_given_up():
    async def serve(reader, writer):
        writer.transport.pause_reading()
        await asyncio.sleep(30)

    async with listening(serve, stall_s=0.05) as store:
        part = part_of(bytes(64 << 20))
        before = len(os.listdir("/dev/fd"))
        with pytest.raises(TimedOut):
            await store.put_part("k", "id", part)
        await store.aclose()
        await asyncio.sleep(0.01)  # an aborted transport closes its socket in the next round
        assert len(os.listdir("/dev/fd")) == before + 1, "more is open than the server's end"


async def test_a_body_cut_short_is_a_lost_connection():
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async with listening(serve) as store:
        with pytest.raises(ConnectionLost):
            await read_all(store, "k")


async def test_what_a_reader_raises_itself_stays_what_it_is():
    async with listening(Canned(answer(200, b"content")).serve) as store:
        with pytest.raises(OSError, match="disk full"):
            async with store.get("k"):
                raise OSError("disk full")


async def test_nobody_listens():
    async with listening(Canned(answer(200)).serve) as store:
        nobody = S3Store("b", access=S3Access(endpoint_url="http://127.0.0.1:1", access_key_id="i",
                                              secret_access_key="s"))  # fmt: skip
        with pytest.raises(ConnectionLost):
            await nobody.head("k")
        await nobody.aclose()
        assert store.url == "s3://b"


async def test_a_range_that_is_ignored_is_not_taken_for_one():
    async with listening(Canned(answer(200, b"everything")).serve) as store:
        with pytest.raises(RequestRejected):
            await read_all(store, "k", start=3)
        assert await read_all(store, "k") == b"everything"


async def test_another_etag_than_our_md5_is_a_bad_digest_unless_a_key_explains_it():
    checks = StoreChecks(crc64nvme=False, etag_is_md5=True, if_none_match=True)
    canned = Canned(
        answer(200, ETag='"other"'),
        answer(200, ETag='"other"', x_amz_server_side_encryption="aws:kms"),
    )
    async with listening(canned.serve) as store:
        trusting = store.with_checks(checks)
        with pytest.raises(BadDigest):
            await trusting.put_part("k", "id", part_of(b"x"))
        assert (await trusting.put_part("k", "id", part_of(b"x"))).etag == "other"


@pytest.mark.parametrize(
    "body", [b"", b"not xml", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", b"<Unfinished>"]
)
async def test_an_answer_that_is_no_document_may_be_asked_for_again(body):
    async with listening(Canned(answer(200, body)).serve) as store:
        with pytest.raises(ServiceFault):
            await store.start_upload("k", ObjectOptions())


async def test_part_bodies_are_not_signed_over_and_xml_is():
    document = b"<R><ETag>&#34;e&#34;</ETag></R>"
    canned = Canned(answer(200, ETag='"e"'), answer(200, document))
    async with listening(canned.serve) as store:
        await store.put_part("k", "id", part_of(b"x"))
        info = await store.complete_upload("k", "id", [RECEIPT])
    assert info.etag == "e"
    assert "X-Amz-Content-SHA256: UNSIGNED-PAYLOAD" in canned.heads[0]
    assert re.search(r"X-Amz-Content-SHA256: [0-9a-f]{64}\r", canned.heads[1])


async def test_listings_go_on_where_a_page_ends():
    def page(tag, entries, more=""):
        return answer(200, f"<{tag} xmlns='urn:x'>{entries}{more}</{tag}>".encode())

    truncated = "<IsTruncated>true</IsTruncated>"
    canned = Canned(
        page("R", "<Contents><Key>a%2Bb+c%0A</Key><Size>1</Size></Contents>",
             truncated + "<NextContinuationToken>to/ken=</NextContinuationToken>"),
        page("R", "<Contents><Key>d</Key><Size>2</Size><ETag>&#34;e&#34;</ETag></Contents>"),
        page("R", "<Upload><Key>a+b&#xA;</Key><UploadId>1</UploadId></Upload>",
             truncated + "<NextKeyMarker>a+b&#xA;</NextKeyMarker>"
             "<NextUploadIdMarker>1</NextUploadIdMarker>"),
        page("R", "<Upload><Key>c</Key><UploadId>2</UploadId></Upload>"),
        page("R", "<Part><PartNumber>2</PartNumber><Size>6</Size><ETag>y</ETag></Part>",
             truncated + "<NextPartNumberMarker>2</NextPartNumberMarker>"),
        page("R", "<Part><PartNumber>1</PartNumber><Size>5</Size><ETag>x</ETag>"
             "<ChecksumCRC64NVME>AAAAAAAAAAE=</ChecksumCRC64NVME></Part>"),
    )  # fmt: skip
    async with listening(canned.serve) as store:
        objects = [(info.key, info.size_bytes, info.etag) async for info in store.list_objects()]
        uploads = [(upload.key, upload.upload_id) async for upload in store.list_uploads()]
        parts = await store.list_parts("k", "id")
    assert objects == [("a+b c\n", 1, None), ("d", 2, "e")]
    assert uploads == [("a+b\n", "1"), ("c", "2")]
    assert [(part.number, part.crc64nvme) for part in parts] == [(1, "0" * 15 + "1"), (2, None)]
    assert "continuation-token=to%2Fken%3D" in canned.heads[1]
    assert "key-marker=a%2Bb%0A" in canned.heads[3]
    assert "part-number-marker=2" in canned.heads[5]


def test_addresses():
    amazon = S3Http("bucket", S3Access(region="eu-west-1"))
    assert amazon.url("a b/ü+") == "https://bucket.s3.eu-west-1.amazonaws.com/a%20b/%C3%BC%2B"
    dotted = S3Http("a.b", S3Access(region="cn-north-1"))
    assert dotted.url("k") == "https://s3.cn-north-1.amazonaws.com.cn/a.b/k"
    own = S3Http("bucket", S3Access(endpoint_url="http://host:9000/"))
    assert own.url("k", {"uploads": ""}) == "http://host:9000/bucket/k?uploads="
    with pytest.raises(ConfigurationError):
        S3Http("bucket", S3Access(endpoint_url="host:9000"))


async def test_links_last_a_week_at_most():
    store = S3Store("b", access=S3Access(access_key_id="id", secret_access_key="secret"))
    assert "X-Amz-Expires=604800" in store.sign_get("k", expires_s=604_800)
    for seconds in (0, -1, 604_801):
        with pytest.raises(UsageError):
            store.sign_get("k", expires_s=seconds)


async def test_keys_that_no_store_takes_are_refused_before_anything_is_sent():
    store = S3Store("b", access=S3Access(access_key_id="id", secret_access_key="secret"))
    for key in ("", "/a", "a/../b", "\udc80", "k" * 1025):
        with pytest.raises(UnsafePath):
            await store.head(key)


async def test_without_credentials_it_says_what_to_do(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    async with listening(
        Canned(answer(200)).serve, access_key_id=None, secret_access_key=None
    ) as store:
        with pytest.raises(AccessDenied) as caught:
            await store.head("k")
        assert "AWS_ACCESS_KEY_ID" in caught.value.hint


async def test_credentials_of_the_chain_are_used(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-the-chain")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    canned = Canned(answer(200, ETag='"e"'))
    async with listening(canned.serve, access_key_id=None, secret_access_key=None) as store:
        await store.put("k", b"x")
    assert "Credential=from-the-chain/" in canned.heads[0]
    assert "X-Amz-Security-Token: token" in canned.heads[0]
