"""What those who run the server see: health, metrics, logs."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import time

import httpx2
import pytest
import structlog

from haulier.server.logs import configure_logs
from people import add_user, token_of
from running_server import HAULIER, environment


def samples(text):
    """Return the samples of Prometheus's text format by name and labels."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_health(server):
    assert httpx2.get(f"{server.url}/health/live").json() == {"status": "ok"}
    ready = httpx2.get(f"{server.url}/health/ready")
    assert ready.status_code == 200
    assert ready.json()["checks"] == {"catalog": "ok", "storage": "ok"}


def test_metrics_count_requests_by_route_and_bytes_of_bodies(server):
    before = samples(httpx2.get(f"{server.url}/metrics").text)
    name = "metrics.bin"
    put = httpx2.put(
        f"{server.url}/api/content/{name}", content=b"x" * 70_000, headers=server.headers()
    )
    got = httpx2.get(
        f"{server.url}/api/files/{put.json()['id']}/download", headers=server.headers()
    )
    httpx2.get(f"{server.url}/no/such/page")
    answer = httpx2.get(f"{server.url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    after = samples(answer.text)

    def grown(sample):
        return after[sample] - before.get(sample, 0)

    requests = "haulier_http_requests_total"
    content = '{method="PUT",route="/api/content/{path:path}",status="201"}'
    download = '{method="GET",route="/api/files/{file_id}/download",status="200"}'
    unmatched = '{method="GET",route="unmatched",status="404"}'
    assert [grown(requests + one) for one in (content, download, unmatched)] == [1, 1, 1]
    assert grown("haulier_received_bytes_total") == 70_000
    assert grown("haulier_sent_bytes_total") >= len(got.content) == 70_000
    assert after["haulier_users"] >= 2
    assert after["haulier_stored_bytes"] - before["haulier_stored_bytes"] == 70_000
    assert after["haulier_http_requests_under_way"] == 1
    assert after["process_resident_memory_bytes"] > 0
    assert name not in answer.text
    assert "ann" not in answer.text


@pytest.fixture
def talkative(tmp_path):
    add_user(tmp_path, "ann")
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*HAULIER, "serve", "--port", "0", "--data", tmp_path],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**environment(), "LOG_LEVEL": "INFO"},
        )
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        yield url, tmp_path
        process.terminate()
        process.wait(90)
        process.stdout.close()


def wait_for_line(log, request_id):
    """Return the whole log and the line of a request; it is written after the answer is sent."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        text = log.read_text()
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        for line in lines:
            if line.get("request_id") == request_id:
                return text, line
        time.sleep(0.05)
    raise AssertionError(f"nothing was logged of {request_id}: {log.read_text()}")


def test_the_log_is_json_lines_with_the_id_of_the_request(talkative):
    url, data = talkative
    token = token_of(data, "ann")
    headers = {"Authorization": f"Bearer {token}", "X-Request-ID": "abc-123"}
    answer = httpx2.get(f"{url}/api/files?cursor=", params={"secret": "hush"}, headers=headers)
    assert answer.headers["x-request-id"] == "abc-123"
    text, told = wait_for_line(data / "log", "abc-123")
    assert told["event"] == "request"
    assert told["path"] == "/api/files"
    assert (told["user"], told["method"], told["status"]) == ("ann", "GET", answer.status_code)
    assert "hush" not in text
    assert token not in text


def test_logs_of_both_kinds_carry_what_is_bound():
    stream = io.StringIO()
    configure_logs("INFO", stream)
    try:
        with structlog.contextvars.bound_contextvars(request_id="r1"):
            structlog.get_logger("haulier.x").info("ours", size=3)
            logging.getLogger("a.library").warning("theirs %d", 4)
            structlog.get_logger("haulier.x").debug("not told")
    finally:
        logging.basicConfig(force=True)
        structlog.reset_defaults()
    ours, theirs = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (ours["event"], ours["size"], ours["request_id"]) == ("ours", 3, "r1")
    assert (theirs["event"], theirs["level"], theirs["request_id"]) == ("theirs 4", "warning", "r1")
