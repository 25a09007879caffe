"""Joining in a bucket: what is copied there, what goes through here, kills, stores that can't."""

from __future__ import annotations

import random

import pytest

from haulier.core.sessions.session import Order, SessionStatus
from haulier.errors import ExternalServiceError, RequestRejected
from haulier.transfer.sessions import s3_join
from haulier.transfer.sessions.s3_stage import S3Stage
from sessions_engine import body_of, build

pytestmark = pytest.mark.servers
MIB = 1 << 20
NOISE = random.Random(3).randbytes(30 * MIB)


@pytest.fixture
async def receiving(tmp_path, catalog, s3_place):
    return build(tmp_path, catalog, stage=S3Stage(s3_place, catalog))


@pytest.fixture
def asked(receiving, monkeypatch):
    """What the store is asked to copy, and what is sent to it."""
    store, made = receiving.stage._store, []
    for name in ("copy_part", "stream_part"):
        real = getattr(store, name)

        async def note(*args, _name=name, _real=real):
            made.append((_name, args[2]))
            return await _real(*args)

        monkeypatch.setattr(store, name, note)
    return made


async def parts_of(receiving, *sizes):
    """Return sessions that hold so many bytes, and these."""
    sessions, at = [], 0
    for size in sizes:
        new = await receiving.start(size, order=Order.SEQUENTIAL, details={"partial": ""})
        body = body_of(NOISE[at : at + size])
        sessions.append(await receiving.engine.append(new.session_id, 0, body))
        at += size
    return sessions, NOISE[:at]


async def begin(receiving, parts):
    return await receiving.joiner.begin(
        tuple(one.session_id for one in parts),
        owner_id="u1",
        name="clip.mp4",
        mime_type=None,
        details={},
    )


async def test_what_is_large_enough_is_copied_there(receiving, asked):
    parts, content = await parts_of(receiving, 5 * MIB, 7 * MIB, 6 * MIB, MIB, 8 * MIB)
    final = await begin(receiving, parts)
    done = await receiving.joiner.join(final.session_id)
    assert await receiving.bytes_of(done) == content
    # The fourth is too little for a part; the fifth's first 5 MiB go with it.
    ways = ["copy_part", "copy_part", "copy_part", "stream_part", "copy_part"]
    assert asked == [(name, number) for number, name in enumerate(ways, start=1)]


async def test_a_long_file_is_copied_in_several_parts(receiving, asked, monkeypatch):
    monkeypatch.setattr(s3_join, "_COPIED_BYTES", 10 * MIB)
    parts, content = await parts_of(receiving, 25 * MIB, 2 * MIB, MIB)
    done = await receiving.joiner.join((await begin(receiving, parts)).session_id)
    assert await receiving.bytes_of(done) == content
    assert [name for name, _ in asked] == ["copy_part"] * 3 + ["stream_part"]


class Killed(BaseException):
    pass


async def test_after_a_kill_only_what_is_missing_is_made(tmp_path, receiving, asked, monkeypatch):
    parts, content = await parts_of(receiving, 5 * MIB, 6 * MIB, 5 * MIB)
    final = await begin(receiving, parts)
    record = s3_join.S3Join._record

    async def killed(self, number, extent):
        if number == 2:
            raise Killed
        await record(self, number, extent)

    with monkeypatch.context() as patched:
        patched.setattr(s3_join.S3Join, "_record", killed)
        with pytest.raises(Killed):
            await receiving.joiner.join(final.session_id)
    assert asked == [("copy_part", 1), ("copy_part", 2)]
    asked.clear()
    # Another host goes on: nothing of it lies on this one.
    other = build(
        tmp_path,
        receiving.catalog,
        stage=S3Stage(receiving.stage._place, receiving.catalog),
        ledger=receiving.ledger,
        clock=receiving.clock,
    )
    assert (await other.sweeper.sweep()).joined == 1
    assert asked == [("copy_part", 2), ("copy_part", 3)]
    done = await other.engine.get(final.session_id)
    assert done.status is SessionStatus.COMPLETED
    assert await receiving.bytes_of(done) == content


async def test_where_the_store_can_not_copy_bytes_go_through_here(receiving, monkeypatch):
    async def refused(*_):
        raise RequestRejected("not implemented")

    monkeypatch.setattr(receiving.stage._store, "copy_part", refused)
    parts, content = await parts_of(receiving, 6 * MIB, 5 * MIB)
    done = await receiving.joiner.join((await begin(receiving, parts)).session_id)
    assert await receiving.bytes_of(done) == content


async def test_a_store_that_fails_is_tried_again_by_the_sweeper(receiving, monkeypatch):
    async def failed(*_):
        raise ExternalServiceError("the store is away")

    parts, content = await parts_of(receiving, 6 * MIB, 5 * MIB)
    final = await begin(receiving, parts)
    with monkeypatch.context() as patched:
        patched.setattr(receiving.stage._store, "copy_part", failed)
        with pytest.raises(ExternalServiceError):
            await receiving.joiner.join(final.session_id)
        assert (await receiving.sweeper.sweep()).joined == 0
    assert (await receiving.engine.get(final.session_id)).status is SessionStatus.JOINING
    assert (await receiving.sweeper.sweep()).joined == 1
    assert await receiving.bytes_of(await receiving.engine.get(final.session_id)) == content


async def test_joined_parts_leave_nothing_when_they_expire(receiving):
    parts, _ = await parts_of(receiving, 6 * MIB, MIB)
    done = await receiving.joiner.join((await begin(receiving, parts)).session_id)
    receiving.clock.forward(hours=2)
    assert (await receiving.sweeper.sweep()).expired == 2
    place = receiving.stage._place
    keys = [one.key async for one in place.store.list_objects(place.prefix)]
    assert keys == [place.file_key(done.file_id)]
    assert await receiving.leftovers() == []
