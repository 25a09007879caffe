"""Tickets: one use, within a minute, void with the tokens of their user."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest
from fastapi import Depends, FastAPI

from app_in_process import app_with
from catalogs import with_catalog
from haulier.coordination.vouchers import MemoryVouchers
from haulier.core.accounts import Role, User
from haulier.core.records import utc_now
from haulier.files.tickets import TICKET_LIFETIME_S, Tickets
from haulier.server.identity import get_ticket_user
from haulier.server.services import open_services
from haulier.settings import Settings

pytestmark = pytest.mark.processes

ANN = User(user_id="u" * 26, name="ann", role=Role.USER, created_at=utc_now())


async def test_a_ticket_opens_one_thing():
    tickets = Tickets(MemoryVouchers())
    first, second = [await tickets.issue(ANN) for _ in range(2)]
    assert first != second
    claims = await tickets.redeem(first)
    assert claims.user_id == ANN.user_id
    assert claims.expires_at - utc_now() <= timedelta(seconds=TICKET_LIFETIME_S)
    assert await tickets.redeem(first) is None
    assert await tickets.redeem(second) is not None
    assert await tickets.redeem("nonsense") is None


@pytest.fixture
async def app(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings.load(data=with_catalog(tmp_path))
    async with open_services(settings) as services:
        yield app_with(services)


async def test_a_ticket_is_worth_what_its_user_is(app: FastAPI):
    services = app.state.services
    ann = await services.accounts.add("ann", Role.USER)

    @app.get("/stream")
    async def stream(user: User = Depends(get_ticket_user)):  # noqa: B008, FAST002 - FastAPI's way
        return {"name": user.name}

    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as http:
        bearer = {"Authorization": f"Bearer {services.tokens.issue(ann, timedelta(hours=1))}"}

        async def ticket():
            answer = await http.post("/auth/ticket", headers=bearer)
            assert (answer.status_code, answer.json()["expires_in"]) == (201, 60)
            return answer.json()["ticket"]

        one = await ticket()
        opened = [await http.get("/stream", params={"ticket": one}) for _ in range(2)]
        assert [answer.status_code for answer in opened] == [200, 401]
        assert (await http.get("/auth/me", headers={"Authorization": f"Bearer {await ticket()}"})
        ).status_code == 401  # fmt: skip
        late = await ticket()
        await services.accounts.disable(replace(ann))
        assert (await http.get("/stream", params={"ticket": late})).status_code == 401
