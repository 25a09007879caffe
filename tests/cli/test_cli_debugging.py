"""What HAULIER_DEBUG shows, and that it shows no secret."""

from __future__ import annotations

import json

import pytest


def run(haulier, *args, **env):
    haulier.env.update(env)
    with haulier.start(*args) as process:
        out, err = process.communicate(timeout=60)
    return out.decode(), err.decode()


def test_a_failure_that_is_recorded_shows_where_it_was(haulier):
    haulier.make("a.txt")
    (haulier.media / "completed").write_text("in the way")
    out, err = run(haulier, "upload", "a.txt", "--json", HAULIER_DEBUG="1")
    assert "Traceback" in err
    assert "transfer/move.py" in err
    assert json.loads(out)[0]["status"] == "partial"


def test_a_failure_that_ends_the_command_shows_where_it_was(haulier):
    _, err = run(haulier, "show", "nothing", HAULIER_DEBUG="1")
    assert "Traceback" in err
    assert "references" in err or "transaction" in err
    assert err.splitlines()[-2].startswith("error: ")


@pytest.mark.servers
def test_each_request_to_a_bucket_is_a_line_without_secrets(haulier, s3_server):
    haulier.make("a.txt")
    bucket = s3_server.make_bucket()
    bucket_env = {
        "AWS_S3_BUCKET": bucket,
        "AWS_ENDPOINT_URL": s3_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3_server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_access_key,
    }
    out, err = run(haulier, "upload", "a.txt", "--json", HAULIER_DEBUG="1", **bucket_env)
    assert json.loads(out)[0]["status"] == "success"
    lines = [line for line in err.splitlines() if "haulier.store.s3_http" in line]
    (part,) = [line for line in lines if "partNumber" in line and "a.txt.tar.gz" in line]
    assert f"PUT s3://{bucket}/a.txt.tar.gz" in part
    assert ": 200, request id '" in part
    for secret in (s3_server.secret_access_key, s3_server.access_key_id, "Signature", "AWS4"):
        assert secret not in err
    quiet = run(haulier, "history", HAULIER_DEBUG="", **bucket_env)
    assert "s3_http" not in quiet[1]
