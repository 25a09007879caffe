"""Sessions joined to one file: order, quota, and crashes between any two steps."""

from __future__ import annotations

import errno
import os

import pytest

from haulier.coordination.events import MemoryEventBus
from haulier.core.accounts import Role
from haulier.core.checksums import crc64nvme
from haulier.core.sessions.session import Order, SessionStatus
from haulier.errors import FileNotFoundError as NoSuchSession
from haulier.errors import FileSizeError, QuotaExceeded, SessionConflict, SessionGone
from haulier.files.accounts import Accounts
from haulier.files.events import FileEvents
from haulier.files.reception import Reception
from sessions_engine import body_of, build


@pytest.fixture
def receiving(on_local):
    return on_local


async def part(receiving, data):
    session = await receiving.start(len(data), order=Order.SEQUENTIAL, details={"partial": ""})
    return await receiving.engine.append(session.session_id, 0, body_of(data))


async def begin(receiving, *parts, owner_id="u1"):
    return await receiving.joiner.begin(
        tuple(one.session_id for one in parts),
        owner_id=owner_id,
        name="clip.mp4",
        mime_type=None,
        details={},
    )


async def test_parts_become_one_file_in_the_order_named(receiving):
    a, b = await part(receiving, b"abc"), await part(receiving, b"de")
    assert a.status is SessionStatus.RECEIVING
    assert receiving.ledger.files == {}
    final = await begin(receiving, b, a, b)
    assert (final.status, final.size_bytes) == (SessionStatus.JOINING, 7)
    done = await receiving.joiner.join(final.session_id)
    assert done.status is SessionStatus.COMPLETED
    assert await receiving.bytes_of(done) == b"deabcde"
    assert receiving.ledger.files[done.file_id] == ("clip.mp4", 7, crc64nvme(b"deabcde", 0))
    assert await receiving.joiner.join(final.session_id) == done


async def test_a_part_may_be_joined_twice_and_its_quota_counts_once(receiving):
    a, b = await part(receiving, b"abc"), await part(receiving, b"de")
    assert sum(receiving.ledger.reserved.values()) == 5
    first = await begin(receiving, a, b)
    assert sum(receiving.ledger.reserved.values()) == 5
    second = await begin(receiving, a)
    assert sum(receiving.ledger.reserved.values()) == 8
    for final in (first, second):
        await receiving.joiner.join(final.session_id)
    assert receiving.ledger.reserved == {}
    receiving.clock.forward(hours=2)
    assert (await receiving.sweeper.sweep()).expired == 2
    assert receiving.ledger.reserved == {}
    assert await receiving.stage.session_ids() == []


async def test_a_file_as_large_as_the_quota_can_be_sent_in_parts(receiving):
    receiving.ledger.quota = 5
    a, b = await part(receiving, b"abc"), await part(receiving, b"de")
    final = await begin(receiving, a, b)
    assert (await receiving.joiner.join(final.session_id)).status is SessionStatus.COMPLETED


async def test_what_the_quota_refuses_leaves_parts_as_they_were(tmp_path, receiving):
    catalog = receiving.catalog
    ann = await Accounts(catalog).add("ann", Role.USER, quota_bytes=5)
    real = build(tmp_path, catalog, ledger=Reception(FileEvents(MemoryEventBus())))

    async def counted():
        user = await catalog.read(lambda tx: tx.users.get(ann.user_id))
        return user.used_bytes, user.reserved_bytes

    session = await real.start(
        4, order=Order.SEQUENTIAL, details={"partial": ""}, owner=ann.user_id
    )
    one = await real.engine.append(session.session_id, 0, body_of(b"abcd"))
    with pytest.raises(QuotaExceeded):
        await begin(real, one, one, owner_id=ann.user_id)
    assert await counted() == (0, 4)
    assert await real.engine.get(one.session_id) == one
    final = await begin(real, one, owner_id=ann.user_id)
    assert await counted() == (0, 4)
    await real.engine.cancel(one.session_id)
    assert await counted() == (0, 4)
    await real.joiner.join(final.session_id)
    assert await counted() == (4, 0)
    await real.stage.aclose()


async def test_what_can_not_be_joined(receiving):
    whole = await part(receiving, b"abc")
    half = await receiving.start(5, order=Order.SEQUENTIAL, details={"partial": ""})
    plain = await receiving.start(5, order=Order.SEQUENTIAL)
    gone = await part(receiving, b"xyz")
    await receiving.engine.cancel(gone.session_id)
    for wrong, error in (
        (half, SessionConflict),
        (plain, SessionConflict),
        (gone, SessionGone),
    ):
        with pytest.raises(error):
            await begin(receiving, whole, wrong)
    with pytest.raises(NoSuchSession):
        await begin(receiving, whole, owner_id="u2")
    with pytest.raises(SessionConflict):
        await receiving.engine.complete(whole.session_id)


async def test_parts_together_may_be_too_large(receiving):
    receiving.joiner._most_bytes = 5
    a = await part(receiving, b"abc")
    with pytest.raises(FileSizeError):
        await begin(receiving, a, a)


async def test_parts_may_end_before_they_are_joined(receiving):
    a, b = await part(receiving, b"abc"), await part(receiving, b"de")
    final = await begin(receiving, a, b)
    await receiving.engine.cancel(a.session_id)
    receiving.clock.forward(days=3)
    swept = await receiving.sweeper.sweep()
    assert (swept.joined, swept.expired) == (1, 1)
    done = await receiving.engine.get(final.session_id)
    assert await receiving.bytes_of(done) == b"abcde"


async def test_the_sweeper_joins_what_a_crash_interrupted(receiving):
    a, b = await part(receiving, b"abc"), await part(receiving, b"de")
    final = await begin(receiving, a, b)
    # Copied half, then killed.
    path = receiving.stage._path(final.session_id)
    path.write_bytes(b"abc")
    assert (await receiving.sweeper.sweep()).joined == 1
    done = await receiving.engine.get(final.session_id)
    assert (done.status, await receiving.bytes_of(done)) == (SessionStatus.COMPLETED, b"abcde")
    assert sorted(await receiving.stage.session_ids()) == sorted([a.session_id, b.session_id])


async def test_a_crash_before_the_parts_were_pinned_fails_what_nobody_knows_of(
    receiving, monkeypatch
):
    class Killed(BaseException):
        pass

    a = await part(receiving, b"abc")

    async def killed(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(receiving.stage, "pin", killed)
        patched.setattr(receiving.finisher, "fail", killed)
        with pytest.raises(Killed):
            await begin(receiving, a)
    await receiving.sweeper.sweep()
    [status] = {
        one.status
        for one in await receiving.catalog.read(
            lambda tx: tx.sessions.in_status(list(SessionStatus), None, 10)
        )
        if one.parts
    }
    assert status is SessionStatus.FAILED
    assert receiving.ledger.reserved == {}


async def test_where_the_kernel_can_not_copy_we_do(receiving, monkeypatch):
    def refused(*_):
        raise OSError(errno.EXDEV, "not here")

    monkeypatch.setattr(os, "copy_file_range", refused)
    data = os.urandom(3 << 20)
    a, b = await part(receiving, data), await part(receiving, b"de")
    final = await begin(receiving, a, b)
    done = await receiving.joiner.join(final.session_id)
    assert await receiving.bytes_of(done) == data + b"de"
