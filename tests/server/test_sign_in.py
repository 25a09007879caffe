"""Signing in and out against the real server."""

from __future__ import annotations

import subprocess

import httpx2
import pytest

from running_server import HAULIER, environment, start, stop

PASSWORD = "correct horse battery"


@pytest.fixture
def signing(tmp_path):
    subprocess.run(
        [*HAULIER, "user", "add", "ann", "--password-stdin", "--data", tmp_path],
        input=f"{PASSWORD}\n",
        text=True,
        env=environment(),
        cwd=tmp_path,
        check=True,
    )
    server = start(tmp_path, RATE_LIMIT_SIGN_IN="5/hour")
    with httpx2.Client(base_url=server.url) as client:
        yield client
    stop(server)


def sign_in(client, password=PASSWORD):
    return client.post("/auth/token", json={"username": "ann", "password": password})


def me(client, token):
    return client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code


def test_tokens_are_refreshed_and_made_void(signing):
    first = sign_in(signing).json()
    assert me(signing, first["access_token"]) == 200
    # A refresh token gives new ones and opens nothing itself.
    assert me(signing, first["refresh_token"]) == 401
    second = signing.post("/auth/refresh", json={"refresh_token": first["refresh_token"]}).json()
    assert me(signing, second["access_token"]) == 200
    wrong = signing.post("/auth/refresh", json={"refresh_token": first["access_token"]})
    assert wrong.status_code == 401
    bearer = {"Authorization": f"Bearer {second['access_token']}"}
    assert signing.post("/auth/logout", headers=bearer).status_code == 204
    for token in (first, second):
        assert me(signing, token["access_token"]) == 401
        answer = signing.post("/auth/refresh", json={"refresh_token": token["refresh_token"]})
        assert answer.status_code == 401


def test_a_changed_password_voids_what_was_before(signing):
    token = sign_in(signing).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}

    def change(old, new):
        return signing.post(
            "/auth/password", headers=bearer, json={"old_password": old, "new_password": new}
        )

    assert change("x" * 12, "y" * 12).status_code == 401
    assert change(PASSWORD, "short").status_code == 400
    assert me(signing, token) == 200
    changed = change(PASSWORD, "a new long password")
    assert me(signing, changed.json()["access_token"]) == 200
    assert me(signing, token) == 401
    assert sign_in(signing).status_code == 401
    assert sign_in(signing, "a new long password").status_code == 200


def test_guessing_is_slowed_down(signing):
    answers = [sign_in(signing, f"wrong guess {n}") for n in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert answers[-1].json()["code"] == "too-many-requests"
    # The right password has to wait as well, from this address.
    assert sign_in(signing).status_code == 429


def test_a_limit_is_told_before_it_is_reached(signing):
    answer = sign_in(signing)
    assert answer.headers["ratelimit-limit"] == "5"
    assert answer.headers["ratelimit-remaining"] == "4"


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (None, "must be given"),
        ("short", "can be guessed"),
        ("0123456789abcdef", "fewer than 32"),
        ("a" * 40, "can be guessed"),
        ("changeme" * 5, "can be guessed"),
    ],
)
def test_production_refuses_weak_secrets(tmp_path, secret, words):
    told = {"ENVIRONMENT": "production"} | ({"JWT_SECRET_KEY": secret} if secret else {})
    done = subprocess.run(
        [*HAULIER, "serve", "--port", "0", "--data", tmp_path],
        env={**environment(), **told},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert not (secret and secret in done.stderr)


def test_production_takes_a_strong_secret(tmp_path):
    stop(start(tmp_path, ENVIRONMENT="production", JWT_SECRET_KEY="0123456789abcdef" * 4))
