"""Signatures, held against those that Amazon's documentation gives for its examples."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from haulier.store.s3_signing import UNSIGNED, Keys, payload_hash, signed_headers, signed_link

KEYS = Keys(
    access_key_id="AKIAIOSFODNN7EXAMPLE",
    secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
)
HOST = "https://examplebucket.s3.amazonaws.com"
NOW = datetime(2013, 5, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "signature"),
    [
        (
            "GET", "/test.txt", {"Range": "bytes=0-9"}, b"",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT", "/test%24file.text",
            {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            b"Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET", "/?lifecycle=", {}, b"",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET", "/?max-keys=2&prefix=J", {}, b"",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)  # fmt: skip
def test_requests_are_signed_as_the_documentation_shows(method, path, headers, body, signature):
    signed = signed_headers(
        method,
        HOST + path,
        headers,
        keys=KEYS,
        region="us-east-1",
        payload=payload_hash(body),
        now=NOW,
    )
    assert signed["Authorization"].endswith(f"Signature={signature}")
    assert signed["X-Amz-Content-SHA256"] == hashlib.sha256(body).hexdigest()


def test_a_link_is_signed_as_the_documentation_shows():
    link = signed_link(f"{HOST}/test.txt", keys=KEYS, region="us-east-1", expires_s=86400, now=NOW)
    signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    assert link.endswith(f"&X-Amz-Signature={signature}")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8333/b/a%20b?partNumber=1&uploadId=x", "http://Host:80/b", "https://h:443/"],
)
def test_botocore_signs_alike(monkeypatch, url):
    keys = Keys(access_key_id="id", secret_access_key="secret", session_token="token/+=")
    theirs = AWSRequest(method="PUT", url=url, headers={"x-amz-meta-a": " b   c "}, data=b"")
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: NOW)
    S3SigV4Auth(Credentials("id", "secret", "token/+="), "s3", "eu-west-1").add_auth(theirs)
    ours = signed_headers(
        "PUT",
        url,
        {"x-amz-meta-a": " b   c "},
        keys=keys,
        region="eu-west-1",
        payload=payload_hash(b""),
        now=NOW,
    )
    assert ours["Authorization"] == theirs.headers["Authorization"]
    bare = url.partition("?")[0]
    link = AWSRequest(method="GET", url=bare)
    S3SigV4QueryAuth(Credentials("id", "secret", "token/+="), "s3", "eu-west-1", 60).add_auth(link)
    signature = link.url.rpartition("=")[2]
    assert signed_link(bare, keys=keys, region="eu-west-1", expires_s=60, now=NOW).endswith(
        f"=host&X-Amz-Signature={signature}"
    )


def test_a_link_that_chooses_headers_of_its_answer_is_signed_as_by_botocore(monkeypatch):
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: NOW)
    wanted = {"response-content-type": "video/mp4", "response-content-disposition": 'a; b="ü"'}
    theirs = AWSRequest(method="GET", url=f"{HOST}/k", params=wanted)
    credentials = Credentials(KEYS.access_key_id, KEYS.secret_access_key)
    S3SigV4QueryAuth(credentials, "s3", "us-east-1", 60).add_auth(theirs)
    ours = signed_link(
        f"{HOST}/k", keys=KEYS, region="us-east-1", expires_s=60, query=wanted, now=NOW
    )
    assert sorted(ours.partition("?")[2].split("&")) == sorted(
        theirs.url.partition("?")[2].split("&")
    )


def test_a_body_can_be_left_out():
    signed = signed_headers(
        "PUT", f"{HOST}/k", {}, keys=KEYS, region="us-east-1", payload=UNSIGNED, now=NOW
    )
    assert signed["X-Amz-Content-SHA256"] == UNSIGNED


def test_secrets_are_not_shown():
    assert "wJalr" not in repr(KEYS)
