"""Signed links open one file for a while."""

from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest

from app_in_process import app_with
from catalogs import with_catalog
from haulier.core.accounts import Role
from haulier.core.records import utc_now
from haulier.server.services import open_services
from haulier.settings import Settings

pytestmark = pytest.mark.processes
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


@pytest.fixture
async def ann(tmp_path, monkeypatch):
    """Return a client whose requests are Ann's."""
    monkeypatch.chdir(tmp_path)
    settings = Settings.load(data=with_catalog(tmp_path))
    async with open_services(settings) as services:
        user = await services.accounts.add("ann", Role.USER)
        token = services.tokens.issue(user, timedelta(hours=2))
        transport = httpx2.ASGITransport(app=app_with(services))
        async with (
            httpx2.AsyncClient(transport=transport, base_url="http://x") as anyone,
            httpx2.AsyncClient(transport=transport, base_url="http://x") as client,
        ):
            client.headers["Authorization"] = f"Bearer {token}"
            client.services, client.user, client.anyone = services, user, anyone
            put = await client.put(
                "/api/content/a.png", content=PNG, headers={"Content-Type": "image/png"}
            )
            client.file_id = put.json()["id"]
            yield client


async def link(client, **given):
    answer = await client.post(f"/api/files/{client.file_id}/link", json=given)
    assert answer.status_code == 201
    return answer.json()["url"]


async def test_a_link_needs_no_header_and_takes_ranges(ann):
    url = await link(ann)
    whole = await ann.anyone.get(url)
    assert (whole.status_code, whole.content) == (200, PNG)
    assert whole.headers["content-type"] == "image/png"
    assert whole.headers["content-disposition"].startswith("inline")
    assert whole.headers["content-security-policy"] == "default-src 'none'; sandbox"
    part = await ann.anyone.get(url, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")


async def test_it_ends_when_it_says(ann, monkeypatch):
    url = await link(ann, expires_in=60)
    for later_s, status in ((58, 200), (61, 404)):
        monkeypatch.setattr(
            ann.services.links, "_now", lambda s=later_s: utc_now() + timedelta(seconds=s)
        )
        assert (await ann.anyone.get(url)).status_code == status


async def test_nothing_of_it_can_be_changed(ann):
    url = await link(ann)
    token = url.rpartition("/")[2]
    file_id, user_id, version, until, seal = token.split(".")
    put = await ann.put("/api/content/b.png", content=PNG)
    bob = await ann.services.accounts.add("bob", Role.ADMIN)
    for forged in (
        (put.json()["id"], user_id, version, until, seal),
        (file_id, bob.user_id, version, until, seal),
        (file_id, user_id, "2", until, seal),
        (file_id, user_id, version, str(int(until) + 1), seal),
        (file_id, user_id, version, until, "0" * 64),
        (file_id, user_id, version, until),
        ("x",),
    ):
        assert (await ann.anyone.get(f"/l/{'.'.join(forged)}")).status_code == 404


async def test_it_ends_with_what_its_maker_may(ann):
    signed_out = await link(ann)
    await ann.services.accounts.sign_out_everywhere(ann.user)
    assert (await ann.anyone.get(signed_out)).status_code == 404
    current = await ann.services.accounts.get("ann")
    token = ann.services.tokens.issue(current, timedelta(hours=1))
    ann.headers["Authorization"] = f"Bearer {token}"
    url = await link(ann)
    assert (await ann.anyone.get(url)).status_code == 200
    await ann.delete(f"/api/files/{ann.file_id}")
    assert (await ann.anyone.get(url)).status_code == 404


@pytest.mark.parametrize("expires_in", [0, -1, 3601, "long", 1.5])
async def test_an_hour_is_the_most(ann, expires_in):
    answer = await ann.post(f"/api/files/{ann.file_id}/link", json={"expires_in": expires_in})
    assert answer.status_code == 422
