"""Admins make, change and disable accounts."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx2
import pytest

from app_in_process import app_with
from catalogs import with_catalog
from haulier.core.accounts import Role
from haulier.server.services import open_services
from haulier.settings import Settings

pytestmark = pytest.mark.processes
PASSWORD = "correct horse battery"


@pytest.fixture
async def admin(tmp_path, monkeypatch):
    """Return a client of a server whose requests are an admin's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATE_LIMIT_SIGN_IN", "1000/second")
    settings = Settings.load(data=with_catalog(tmp_path))
    async with open_services(settings) as services:
        root = await services.accounts.add("root", Role.ADMIN)
        token = services.tokens.issue(root, timedelta(hours=1))
        transport = httpx2.ASGITransport(app=app_with(services))
        async with httpx2.AsyncClient(
            transport=transport,
            base_url="http://x/api/admin",
            headers={"Authorization": f"Bearer {token}"},
        ) as client:
            client.root = root
            yield client


async def sign_in(client, name, password=PASSWORD):
    return await client.post("http://x/auth/token", json={"username": name, "password": password})


async def me(client, token):
    return await client.get("http://x/auth/me", headers={"Authorization": f"Bearer {token}"})


async def test_an_account_from_its_making_to_its_end(admin):
    made = await admin.post("/users", json={"name": "ann", "password": PASSWORD, "quota": 1000})
    assert made.status_code == 201
    ann = made.json()
    assert (ann["role"], ann["quota"], ann["disabled"], ann["used"]) == ("user", 1000, False, 0)
    assert "password" not in made.text
    where = f"/users/{ann['id']}"
    assert made.headers["location"] == f"/api/admin{where}"
    assert (await admin.get(where)).json() == ann

    token = (await sign_in(admin, "ann")).json()["access_token"]
    changed = await admin.patch(where, json={"role": "viewer"})
    assert changed.json() == {**ann, "role": "viewer"}
    assert (await me(admin, token)).json()["role"] == "viewer", "at once, with the same token"

    await admin.patch(where, json={"quota": None})
    assert (await me(admin, token)).json()["quota"] is None

    await admin.patch(where, json={"password": "another long one"})
    assert (await me(admin, token)).status_code == 401
    assert (await sign_in(admin, "ann")).status_code == 401
    token = (await sign_in(admin, "ann", "another long one")).json()["access_token"]

    assert (await admin.delete(where)).status_code == 204
    assert (await me(admin, token)).status_code == 401
    assert (await sign_in(admin, "ann", "another long one")).status_code == 401
    assert (await admin.patch(where, json={"disabled": False})).json()["disabled"] is False
    assert (await me(admin, token)).status_code == 401, "a token of before stays void"
    assert (await sign_in(admin, "ann", "another long one")).status_code == 200


async def test_accounts_are_listed_page_by_page(admin):
    for name in ("ann", "bob", "eve"):
        assert (await admin.post("/users", json={"name": name})).status_code == 201
    first = (await admin.get("/users", params={"limit": 3})).json()
    rest = (await admin.get("/users", params={"cursor": first["next_cursor"]})).json()
    names = [one["name"] for one in [*first["items"], *rest["items"]]]
    assert (names, rest["next_cursor"]) == (["root", "ann", "bob", "eve"], None)


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"name": "a b"}, 400, "validation"),
        ({"name": "<script>"}, 400, "validation"),
        ({"name": "root"}, 409, "user-exists"),
        ({"name": "ann", "role": "king"}, 422, "schema"),
        ({"name": "ann", "quota": -1}, 422, "schema"),
        ({"name": "ann", "password": "short"}, 422, "schema"),
        ({"name": "ann", "is_admin": True}, 422, "schema"),
        ({}, 422, "schema"),
    ],
)
async def test_what_can_not_be_is_refused(admin, given, status, code):
    answer = await admin.post("/users", json=given)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_an_admin_can_not_shut_themselves_out(admin):
    where = f"/users/{admin.root.user_id}"
    assert (await admin.delete(where)).status_code == 403
    for change in ({"role": "user"}, {"disabled": True}):
        assert (await admin.patch(where, json=change)).status_code == 403
    assert (await admin.patch(where, json={"quota": 5})).status_code == 200
    assert (await admin.get("/users/" + "0" * 26)).status_code == 404


async def test_changes_at_once_are_all_kept(admin):
    ann = (await admin.post("/users", json={"name": "ann"})).json()
    where = f"/users/{ann['id']}"
    await asyncio.gather(
        admin.patch(where, json={"quota": 7}), admin.patch(where, json={"role": "viewer"})
    )
    found = (await admin.get(where)).json()
    assert (found["quota"], found["role"]) == (7, "viewer")
