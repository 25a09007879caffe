"""The sweeper: what expired, what a crash left, and files that belong to nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from haulier import errors
from haulier.core.records import utc_now
from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import Order, SessionStatus, WholeFile
from haulier.errors import SessionGone
from haulier.transfer.sessions.sweeping import Swept
from sessions_engine import body_of, build


async def test_a_session_expires_after_its_last_bytes(on_local):
    receiving = on_local
    session = await receiving.start(8, chunk_size=4)
    receiving.clock.forward(hours=23)
    await receiving.engine.put_chunk(session.session_id, 1, body_of(b"abcd"))
    receiving.clock.forward(hours=23)
    assert await receiving.sweeper.sweep() == Swept()
    receiving.clock.forward(hours=2)
    assert (await receiving.sweeper.sweep()).expired == 1
    assert receiving.ledger.reserved == {}
    assert await receiving.stage.session_ids() == []
    with pytest.raises(SessionGone, match="expired"):
        await receiving.engine.put_chunk(session.session_id, 2, body_of(b"efgh"))
    receiving.clock.forward(hours=25)
    assert (await receiving.sweeper.sweep()).forgotten == 1
    with pytest.raises(errors.FileNotFoundError):
        await receiving.engine.get(session.session_id)


async def test_a_completed_session_can_be_asked_about_for_a_day(on_local):
    receiving = on_local
    session = await receiving.start(4, order=Order.SEQUENTIAL)
    done = await receiving.engine.append(session.session_id, 0, body_of(b"abcd"))
    receiving.clock.forward(hours=23)
    assert await receiving.sweeper.sweep() == Swept()
    receiving.clock.forward(hours=2)
    assert (await receiving.sweeper.sweep()).forgotten == 1
    assert await receiving.bytes_of(done) == b"abcd"


@pytest.mark.parametrize("renamed", [False, True])
async def test_a_crash_while_finishing_is_mended(tmp_path, on_local, renamed):
    receiving = on_local
    session = await receiving.start(8, chunk_size=4)
    await receiving.engine.put_chunk(session.session_id, 1, body_of(b"abcd"))
    interrupted = replace(
        session, status=SessionStatus.FINISHING, file_id="0123456789abcdefghijklmnop"
    )

    async def crash():
        """The last chunk was recorded, then finishing came as far as this, then nothing."""
        extent_of = receiving.stage.writer(session, Span(4, 4))
        await extent_of.write(b"efgh")
        extent = (await extent_of.settle()).extent
        await extent_of.aclose()

        def record(tx):
            tx.sessions.add_chunk(session, 2, extent)
            tx.sessions.move(interrupted, {SessionStatus.RECEIVING})

        await receiving.catalog.transaction(record)
        if renamed:
            whole = WholeFile(size_bytes=8, crc64nvme=0, crc32=0)
            await receiving.stage.finish(interrupted, whole)

    await crash()
    after = build(tmp_path, receiving.catalog, ledger=receiving.ledger, clock=receiving.clock)
    assert (await after.sweeper.sweep()).finished == 1
    done = await after.engine.get(session.session_id)
    assert done.status is SessionStatus.COMPLETED
    assert await after.bytes_of(done) == b"abcdefgh"
    assert list(after.ledger.files) == [done.file_id]
    await after.stage.aclose()


async def crash_before_finishing(receiving, order):
    """All bytes of a session are recorded as safe, and then nothing; return its id."""
    session = await receiving.start(8, chunk_size=4, order=order)
    writer = receiving.stage.writer(session, Span(0, 4))
    await writer.write(b"abcd")
    first = (await writer.settle()).extent
    await writer.write(b"efgh")
    second = (await writer.settle()).extent
    await writer.aclose()

    def record(tx):
        if order is Order.SEQUENTIAL:
            tx.sessions.publish(session.appended(first).appended(second), 0, {})
        else:
            tx.sessions.add_chunk(session, 1, first)
            tx.sessions.add_chunk(session, 2, second)

    await receiving.catalog.transaction(record)
    return session.session_id


@pytest.mark.parametrize("order", Order)
async def test_a_crash_between_the_last_bytes_and_finishing_is_mended(on_local, order):
    session_id = await crash_before_finishing(on_local, order)
    assert (await on_local.sweeper.sweep()).finished == 1
    done = await on_local.engine.get(session_id)
    assert done.status is SessionStatus.COMPLETED
    assert await on_local.bytes_of(done) == b"abcdefgh"


async def test_a_client_that_hears_that_everything_came_finds_its_file(on_local):
    session_id = await crash_before_finishing(on_local, Order.SEQUENTIAL)
    assert (await on_local.engine.settled(session_id)).status is SessionStatus.COMPLETED


async def test_the_last_chunk_sent_again_completes_the_file(on_local):
    session_id = await crash_before_finishing(on_local, Order.CHUNKED)
    receipt = await on_local.engine.put_chunk(session_id, 2, body_of(b"efgh"))
    assert receipt.repeated
    assert receipt.session.status is SessionStatus.COMPLETED


async def test_a_whole_part_of_another_upload_is_left_alone(on_local):
    part = await on_local.start(4, order=Order.SEQUENTIAL, details={"partial": "1"})
    await on_local.engine.append(part.session_id, 0, body_of(b"abcd"))
    assert await on_local.sweeper.sweep() == Swept()
    assert (await on_local.engine.get(part.session_id)).status is SessionStatus.RECEIVING


async def test_what_can_not_be_verified_is_given_up_once_its_job_is(on_local):
    receiving = on_local
    wanted = "sha256:" + "0" * 64
    session = await receiving.start(8, chunk_size=4, wanted_checksum=wanted)
    await receiving.engine.put_chunk(session.session_id, 2, body_of(b"efgh"))
    await receiving.engine.put_chunk(session.session_id, 1, body_of(b"abcd"))
    now = receiving.clock()

    def give_up(tx):
        job = tx.jobs.claim({"verify"}, utc_now(), utc_now())
        assert tx.jobs.fail(job, "the disk can't be read", now)

    assert await receiving.sweeper.sweep() == Swept()
    await receiving.catalog.transaction(give_up)
    assert (await receiving.sweeper.sweep()).unverifiable == 1
    failed = await receiving.engine.get(session.session_id)
    assert (failed.status, failed.error) == (SessionStatus.FAILED, "the disk can't be read")
    assert receiving.ledger.reserved == {}
    assert not receiving.stage.path_of(failed.file_id).exists()


async def test_files_that_belong_to_nothing_are_removed_and_others_are_not(on_local):
    receiving = on_local
    session = await receiving.start(8, chunk_size=4)
    await receiving.stage.reserve(replace(session, session_id="f" * 32))
    assert (await receiving.sweeper.sweep()).orphans == 1
    assert await receiving.stage.session_ids() == [session.session_id]
