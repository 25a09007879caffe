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


async def part(receiving, data):
    session = await receiving.start(len(data), order=Order.SEQUENTIAL, details={"partial": ""})
    return await receiving.append(session.session_id, 0, receiving.body(data))


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
    whole = receiving.long(b"deabcde")
    assert (final.status, final.size_bytes) == (SessionStatus.JOINING, len(whole))
    done = await receiving.joiner.join(final.session_id)
    assert done.status is SessionStatus.COMPLETED
    assert await receiving.bytes_of(done) == whole
    assert receiving.ledger.files[done.file_id] == ("clip.mp4", len(whole), crc64nvme(whole))
    assert await receiving.joiner.join(final.session_id) == done


async def test_a_part_may_be_joined_twice_and_its_quota_counts_once(receiving):
    def reserved():
        return sum(receiving.ledger.reserved.values()) / receiving.unit

    a, b = await part(receiving, b"abc"), await part(receiving, b"de")
    assert reserved() == 5
    first = await begin(receiving, a, b)
    assert reserved() == 5
    second = await begin(receiving, a)
    assert reserved() == 8
    for final, content in ((first, b"abcde"), (second, b"abc")):
        done = await receiving.joiner.join(final.session_id)
        assert await receiving.bytes_of(done) == receiving.long(content)
    assert receiving.ledger.reserved == {}
    receiving.clock.forward(hours=2)
    assert (await receiving.sweeper.sweep()).expired == 2
    assert receiving.ledger.reserved == {}
    assert await receiving.leftovers() == []


async def test_a_file_as_large_as_the_quota_can_be_sent_in_parts(receiving):
    receiving.ledger.quota = 5 * receiving.unit
    a, b = await part(receiving, b"abc"), await part(receiving, b"de")
    final = await begin(receiving, a, b)
    assert (await receiving.joiner.join(final.session_id)).status is SessionStatus.COMPLETED


async def test_what_the_quota_refuses_leaves_parts_as_they_were(tmp_path, catalog):
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
    receiving.joiner._most_bytes = 5 * receiving.unit
    a = await part(receiving, b"abc")
    with pytest.raises(FileSizeError):
        await begin(receiving, a, a)


async def test_parts_may_end_before_they_are_joined(receiving):
    a, b = await part(receiving, b"abc"), await part(receiving, b"de")
    final = await begin(receiving, a, b)
    await receiving.engine.cancel(a.session_id)
    await receiving.engine.cancel(b.session_id)
    receiving.clock.forward(days=3)
    # Whatever is swept first: bytes that are to be joined stay.
    assert await receiving.sweeper._forget() == 0
    await receiving.sweeper._discard_orphans()
    assert (await receiving.sweeper.sweep()).joined == 1
    done = await receiving.engine.get(final.session_id)
    assert await receiving.bytes_of(done) == receiving.long(b"abcde")
    await receiving.sweeper.sweep()
    assert await receiving.leftovers() == []
    for one in (a, b):
        with pytest.raises(NoSuchSession):
            await receiving.engine.get(one.session_id)


async def test_the_sweeper_joins_what_a_crash_interrupted(on_local):
    a, b = await part(on_local, b"abc"), await part(on_local, b"de")
    final = await begin(on_local, a, b)
    # Copied half, then killed.
    path = on_local.stage._path(final.session_id)
    path.write_bytes(b"abc")
    assert (await on_local.sweeper.sweep()).joined == 1
    done = await on_local.engine.get(final.session_id)
    assert (done.status, await on_local.bytes_of(done)) == (SessionStatus.COMPLETED, b"abcde")
    assert sorted(await on_local.stage.session_ids()) == sorted([a.session_id, b.session_id])


async def test_bytes_behind_the_end_of_a_part_are_not_joined(on_local):
    """What was written and never acknowledged may lie there."""
    a, b = await part(on_local, b"abc"), await part(on_local, b"de")
    with on_local.stage._path(a.session_id).open("ab") as file:
        file.write(b"rest")
    done = await on_local.joiner.join((await begin(on_local, a, b)).session_id)
    assert await on_local.bytes_of(done) == b"abcde"


class Killed(BaseException):
    pass


async def killed(*_):
    raise Killed


async def test_a_crash_before_there_was_room_is_mended(receiving, monkeypatch):
    a = await part(receiving, b"abc")
    with monkeypatch.context() as patched:
        patched.setattr(receiving.stage, "reserve", killed)
        patched.setattr(receiving.finisher, "fail", killed)
        with pytest.raises(Killed):
            await begin(receiving, a)
    assert (await receiving.sweeper.sweep()).joined == 1
    assert receiving.ledger.reserved == {}
    [file_id] = receiving.ledger.files
    [done] = [one for one in await every(receiving) if one.file_id == file_id]
    assert await receiving.bytes_of(done) == receiving.long(b"abc")


async def test_a_part_whose_bytes_are_lost_fails_what_it_was_for(receiving):
    a, b = await part(receiving, b"abc"), await part(receiving, b"de")
    final = await begin(receiving, a, b)
    await receiving.stage.discard(b.session_id, b.file_id)
    failed = await receiving.joiner.join(final.session_id)
    assert failed.status is SessionStatus.FAILED
    assert failed.error
    assert receiving.ledger.reserved == {}


async def test_a_part_may_tell_its_length_at_the_end_without_bytes(receiving):
    a = await receiving.start(None, order=Order.SEQUENTIAL, details={"partial": ""})
    await receiving.append(a.session_id, 0, receiving.body(b"abcde"))
    told = await receiving.append(a.session_id, 5, receiving.body(), size_bytes=5)
    assert told.is_whole
    b = await part(receiving, b"f")
    done = await receiving.joiner.join((await begin(receiving, told, b, told)).session_id)
    assert await receiving.bytes_of(done) == receiving.long(b"abcdefabcde")


async def test_nothing_may_be_joined_to_nothing(receiving):
    empty = await receiving.start(0, order=Order.SEQUENTIAL, details={"partial": ""})
    a = await part(receiving, b"abc")
    for parts, content in (((empty,), b""), ((empty, a, empty), b"abc")):
        done = await receiving.joiner.join((await begin(receiving, *parts)).session_id)
        assert done.status is SessionStatus.COMPLETED
        assert await receiving.bytes_of(done) == receiving.long(content)


async def every(receiving):
    return await receiving.catalog.read(
        lambda tx: tx.sessions.in_status(list(SessionStatus), None, 100)
    )


async def test_where_the_kernel_can_not_copy_we_do(on_local, monkeypatch):
    def refused(*_):
        raise OSError(errno.EXDEV, "not here")

    monkeypatch.setattr(os, "copy_file_range", refused)
    data = os.urandom(3 << 20)
    a, b = await part(on_local, data), await part(on_local, b"de")
    final = await begin(on_local, a, b)
    done = await on_local.joiner.join(final.session_id)
    assert await on_local.bytes_of(done) == data + b"de"
