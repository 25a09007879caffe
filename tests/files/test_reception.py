"""Quota and stored files, through the session engine."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from catalogs import new_sqlite
from haulier import errors
from haulier.catalog.catalog import Catalog
from haulier.coordination.events import MemoryEventBus
from haulier.core.accounts import Role
from haulier.core.sessions.session import Order
from haulier.files.accounts import Accounts
from haulier.files.events import FileEvents
from haulier.files.reception import Reception
from haulier.transfer.sessions.engine import NewUpload
from sessions_engine import body_of, build


@pytest.fixture
async def catalog(tmp_path):
    async with await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog:
        yield catalog


@pytest.fixture
async def receiving(tmp_path, catalog):
    parts = build(tmp_path, catalog, ledger=Reception(FileEvents(MemoryEventBus())))
    yield parts
    await parts.stage.aclose()


@pytest.fixture
async def ann(catalog):
    return await Accounts(catalog).add("ann", Role.USER, quota_bytes=100)


async def counts(catalog, user):
    current = await catalog.read(lambda tx: tx.users.get(user.user_id))
    return current.reserved_bytes, current.used_bytes


def upload_of(user, size, order=Order.SEQUENTIAL, **more):
    return NewUpload(owner_id=user.user_id, name="clip.mp4", size_bytes=size, order=order, **more)


async def test_what_is_set_aside_becomes_used(receiving, catalog, ann):
    wanted = "sha256:" + hashlib.sha256(b"x" * 60).hexdigest()
    session = await receiving.engine.start(upload_of(ann, 60, wanted_checksum=wanted))
    assert await counts(catalog, ann) == (60, 0)
    done = await receiving.engine.append(session.session_id, 0, body_of(b"x" * 60))
    assert await counts(catalog, ann) == (0, 60)
    stored = await catalog.read(lambda tx: tx.stored.get(done.file_id))
    assert (stored.name, stored.size_bytes, stored.owner_id) == ("clip.mp4", 60, ann.user_id)
    assert f"sha256:{stored.sha256}" == wanted
    assert stored.etag == f'"{stored.file_id}-1-{stored.crc64nvme}"'
    assert await catalog.read(lambda tx: tx.stored.by_owner(ann.user_id, None, 5)) == [stored]


async def test_sessions_begun_together_can_not_overrun_the_quota(receiving, catalog, ann):
    results = await asyncio.gather(
        *(receiving.engine.start(upload_of(ann, 30)) for _ in range(50)), return_exceptions=True
    )
    assert sum(isinstance(one, errors.QuotaExceeded) for one in results) == 47
    assert await counts(catalog, ann) == (90, 0)


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("size", [40, None])
async def test_what_was_set_aside_is_given_back_once(receiving, catalog, ann, order, size):
    session = await receiving.engine.start(upload_of(ann, size, order, chunk_size=20))
    if order is Order.CHUNKED:
        await receiving.engine.put_chunk(session.session_id, 1, body_of(b"x" * 20))
    else:
        await receiving.engine.append(session.session_id, 0, body_of(b"x" * 20))
    assert await counts(catalog, ann) == (size or 20, 0)
    await receiving.engine.cancel(session.session_id)
    await receiving.engine.cancel(session.session_id)
    assert await counts(catalog, ann) == (0, 0)


async def test_a_quota_holds_while_the_size_is_unknown(receiving, catalog, ann):
    session = await receiving.engine.start(upload_of(ann, None))
    await receiving.engine.append(session.session_id, 0, body_of(b"x" * 90))
    with pytest.raises(errors.QuotaExceeded):
        await receiving.engine.append(session.session_id, 90, body_of(b"x" * 20))
    assert await counts(catalog, ann) == (90, 0)
    await receiving.engine.set_size(session.session_id, 90)
    await receiving.engine.complete(session.session_id)
    assert await counts(catalog, ann) == (0, 90)
