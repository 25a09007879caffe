"""serve, user add, token create, as typed."""

from __future__ import annotations

import json
import socket
import subprocess
from datetime import UTC, datetime

import httpx2
import jwt
import pytest

from running_server import HAULIER, environment, run, start, stop


def attempt(data, *arguments, typed=None):
    return subprocess.run(
        [*HAULIER, *arguments, "--data", data],
        capture_output=True,
        text=True,
        input=typed,
        env=environment(),
        cwd=data,
    )


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def test_a_user_signs_in_with_the_password_that_was_piped_in(tmp_path):
    done = attempt(
        tmp_path,
        *("user", "add", "ann", "--role", "admin", "--quota", "2G", "--password-stdin"),
        typed="correct horse battery\n",
    )
    assert (done.returncode, done.stdout) == (0, "")
    server = start(tmp_path)
    try:
        asked = {"username": "ann", "password": "correct horse battery"}
        answer = httpx2.post(f"{server.url}/auth/token", json=asked)
        assert answer.status_code == 200
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        me = httpx2.get(f"{server.url}/auth/me", headers=headers).json()
        assert (me["name"], me["role"], me["quota"]) == ("ann", "admin", 2 << 30)
        wrong = httpx2.post(f"{server.url}/auth/token", json={**asked, "password": "x" * 12})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "not-signed-in")
        for kind in ("live", "ready"):
            assert httpx2.get(f"{server.url}/health/{kind}").json()["status"] == "ok"
    finally:
        assert stop(server) == 0


@pytest.mark.parametrize(
    ("flags", "kind"), [((), "access"), (("--service",), "service"), (("--device",), "device")]
)
def test_a_token_is_all_that_is_printed(tmp_path, flags, kind):
    run(tmp_path, "user", "add", "ann")
    token = run(tmp_path, "token", "create", "ann", "--ttl", "2d", *flags)
    assert token == token.strip() + "\n"
    claims = claims_of(token.strip())
    assert claims["typ"] == kind
    lifetime = claims["exp"] - datetime.now(UTC).timestamp()
    assert 172_800 - 120 < lifetime <= 172_800


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("user", "add", "ann", "--role", "king"), 2, "admin, user or viewer"),
        (("user", "add", "a b"), 1, "can't be a user's name"),
        (("user", "add", "ann", "--quota", "much"), 2, "much"),
        (("token", "create", "nobody"), 1, "no user nobody"),
        (("token", "create", "ann", "--service", "--device"), 2, "not for both"),
        (("token", "create", "ann", "--scope", "admin"), 2, "only tokens for programs"),
        (("token", "create", "ann", "--service", "--scope", "all"), 2, "'all' is no scope"),
        (("token", "create", "ann", "--ttl", "soon"), 2, "soon"),
        (("serve", "--host", "192.0.2.1", "--port", "0"), 2, "can't listen"),
    ],
)
def test_what_makes_no_sense_is_told(tmp_path, arguments, code, words):
    done = attempt(tmp_path, *arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert done.stdout == ""


def test_a_name_is_taken_once(tmp_path):
    run(tmp_path, "user", "add", "ann")
    done = attempt(tmp_path, "user", "add", "ann")
    assert done.returncode == 1
    assert "already" in done.stderr


def test_a_port_in_use_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = attempt(tmp_path, "serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "--port 0" in done.stderr


def test_production_refuses_to_start_without_a_secret(tmp_path):
    done = subprocess.run(
        [*HAULIER, "serve", "--port", "0", "--data", tmp_path],
        capture_output=True,
        text=True,
        env={**environment(), "ENVIRONMENT": "production"},
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "JWT_SECRET_KEY" in done.stderr


def test_errors_are_problem_documents_with_the_clients_request_id(tmp_path):
    run(tmp_path, "user", "add", "ann")
    server = start(tmp_path)
    try:
        for method, path, status in (
            ("GET", "/api/files/" + "0" * 26, 404),
            ("GET", "/nowhere", 404),
            ("PATCH", "/api/files", 405),
            ("GET", "/api/files?limit=0", 422),
        ):
            answer = httpx2.request(
                method,
                server.url + path,
                headers={**server.headers(), "X-Request-ID": "from-the-client"},
            )
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["x-request-id"] == "from-the-client"
            body = json.loads(answer.content)
            assert (body["status"], body["request_id"]) == (status, "from-the-client")
            assert body["code"]
        odd = httpx2.get(f"{server.url}/nowhere", headers={"X-Request-ID": "a b"})
        assert odd.headers["x-request-id"] != "a b"
    finally:
        stop(server)
