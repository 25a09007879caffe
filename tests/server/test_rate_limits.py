"""How often, how much, from where: rate limits, quotas, proxies, pages of other origins."""

from __future__ import annotations

import httpx2
import pytest

from people import add_user
from running_server import start, stop

pytestmark = pytest.mark.processes

V = {"Tus-Resumable": "1.0.0"}
PAGE = "https://app.example"


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    data = tmp_path_factory.mktemp("limited")
    for name in ("ann", "bob", "dan"):
        add_user(data, name, quota="1K")
    running = start(
        data,
        RATE_LIMIT_API="6/hour",
        RATE_LIMIT_SIGN_IN="2/hour",
        TRUSTED_PROXIES="127.0.0.1",
        CORS_ORIGINS=PAGE,
    )
    yield running
    stop(running)


def client(server, name):
    return httpx2.Client(base_url=server.url, headers=server.headers(name))


def test_a_user_has_a_share_of_requests_and_is_told(limited):
    with client(limited, "ann") as ann, client(limited, "bob") as bob:
        answers = [ann.get("/auth/me") for _ in range(6)]
        assert [one.headers["ratelimit-remaining"] for one in answers] == list("543210")
        assert {one.headers["ratelimit-limit"] for one in answers} == {"6"}
        refused = ann.get("/api/files")
        assert (refused.status_code, refused.json()["code"]) == (429, "too-many-requests")
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["retry-after"]) > 0
        assert refused.headers["ratelimit-remaining"] == "0"
        # On /tus/ overload is 503: its clients don't come again after a 429.
        for answer in (ann.post("/tus/", headers={**V, "Upload-Length": "1"}),
                       ann.head("/tus/" + "0" * 32, headers=V)):  # fmt: skip
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
        assert bob.get("/auth/me").headers["ratelimit-remaining"] == "5"


def test_chunks_are_not_counted(limited):
    with client(limited, "dan") as dan:
        made = dan.post("/api/files/upload/start", json={"name": "x", "size": 20, "chunk_size": 1})
        session_id = made.json()["session_id"]
        assert made.headers["ratelimit-remaining"] == "5"
        for number in range(1, 21):
            answer = dan.post(
                f"/api/files/upload/{session_id}/chunk",
                content=b"x",
                headers={"X-Chunk-Number": str(number)},
            )
            assert answer.status_code == (201 if number == 20 else 200)
            assert "ratelimit-remaining" not in answer.headers
        url = dan.post("/tus/", headers={**V, "Upload-Length": "9"})
        assert url.headers["ratelimit-remaining"] == "4"
        for offset in range(9):
            answer = dan.patch(
                f"/tus/{url.headers['location']}",
                headers={
                    **V,
                    "Upload-Offset": str(offset),
                    "Content-Type": "application/offset+octet-stream",
                },
                content=b"x",
            )
            assert answer.status_code == 204
        over = dan.post("/api/files/upload/start", json={"name": "x", "size": 2000})
        assert (over.status_code, over.json()["code"]) == (413, "quota-exceeded")


def sign_in(url, **headers):
    body = {"username": "ann", "password": "not the password"}
    return httpx2.post(f"{url}/auth/token", json=body, headers=headers).status_code


def test_addresses_are_believed_from_a_trusted_proxy(limited):
    assert [sign_in(limited.url, **{"X-Forwarded-For": "192.0.2.1"}) for _ in range(3)] == [
        401, 401, 429,
    ]  # fmt: skip
    assert sign_in(limited.url, **{"X-Forwarded-For": "192.0.2.2"}) == 401
    # What the client wrote before the proxy added its address is not believed.
    assert sign_in(limited.url, **{"X-Forwarded-For": "192.0.2.9, 192.0.2.1"}) == 429


def test_addresses_are_not_believed_from_anybody_else(tmp_path):
    running = start(tmp_path, RATE_LIMIT_SIGN_IN="2/hour")
    try:
        told = [sign_in(running.url, **{"X-Forwarded-For": f"192.0.2.{n}"}) for n in range(3)]
    finally:
        stop(running)
    assert told == [401, 401, 429]


def test_pages_of_named_origins_may_use_it(limited):
    asked = {
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization,tus-resumable,upload-offset,upload-checksum",
    }
    preflight = httpx2.options(f"{limited.url}/tus/x", headers={"Origin": PAGE, **asked})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-max-age"] == "86400"
    answer = httpx2.post(f"{limited.url}/tus/", headers={"Origin": PAGE})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == PAGE
    shown = answer.headers["access-control-expose-headers"]
    assert {"Upload-Offset", "Location", "Tus-Resumable"} <= set(shown.split(", "))
    assert "access-control-allow-credentials" not in answer.headers
    other = {"Origin": "https://evil.example"}
    assert (
        "access-control-allow-origin"
        not in httpx2.post(f"{limited.url}/tus/", headers=other).headers
    )
    assert httpx2.options(f"{limited.url}/tus/x", headers={**other, **asked}).status_code == 400
