"""The clock is set while files are on their way: nothing that is acknowledged is lost by it."""

from __future__ import annotations

import pytest

from haulier.core.checksums import crc64nvme
from haulier.core.sessions.session import Order, SessionStatus
from haulier.errors import SessionGone
from sessions_engine import body_of


@pytest.mark.parametrize("days", [-400, 400])
@pytest.mark.parametrize("order", Order)
async def test_an_upload_goes_on_after_the_clock_was_set(on_local, order, days):
    session = await on_local.start(10, order=order, chunk_size=5)

    async def send(number, piece):
        if order is Order.CHUNKED:
            return (
                await on_local.engine.put_chunk(session.session_id, number, body_of(piece))
            ).session
        return await on_local.engine.append(session.session_id, 5 * (number - 1), body_of(piece))

    await send(1, b"abcde")
    on_local.clock.forward(days=days)
    done = await send(2, b"fghij")
    assert done.status is SessionStatus.COMPLETED
    assert await on_local.bytes_of(done) == b"abcdefghij"
    await on_local.sweeper.sweep()
    assert on_local.ledger.files[done.file_id][2] == crc64nvme(b"abcdefghij")
    assert await on_local.bytes_of(done) == b"abcdefghij"


async def test_what_comes_in_while_the_clock_is_set_forward_is_not_swept(on_local):
    session = await on_local.start(10, order=Order.SEQUENTIAL)

    async def body():
        yield b"abcde"
        on_local.clock.forward(days=400)
        assert (await on_local.sweeper.sweep()).expired == 0
        yield b"fghij"

    done = await on_local.engine.append(session.session_id, 0, body())
    assert await on_local.bytes_of(done) == b"abcdefghij"


async def test_a_clock_that_was_set_back_makes_no_life_shorter(on_local):
    session = await on_local.start(10, order=Order.SEQUENTIAL)
    first = await on_local.engine.append(session.session_id, 0, body_of(b"abc"))
    on_local.clock.forward(days=-2)
    second = await on_local.engine.append(session.session_id, 3, body_of(b"de"))
    assert second.expires_at == first.expires_at
    assert (await on_local.sweeper.sweep()).expired == 0
    # And once the clock is past it, it ends as ever.
    on_local.clock.forward(days=4)
    assert (await on_local.sweeper.sweep()).expired == 1
    with pytest.raises(SessionGone):
        await on_local.engine.append(session.session_id, 5, body_of(b"f"))


async def test_parts_are_joined_whatever_the_clock_says(on_local):
    new = await on_local.start(3, order=Order.SEQUENTIAL, details={"partial": ""})
    part = await on_local.engine.append(new.session_id, 0, body_of(b"abc"))
    final = await on_local.joiner.begin(
        (part.session_id,), owner_id="u1", name="clip.mp4", mime_type=None, details={}
    )
    on_local.clock.forward(days=400)
    assert (await on_local.sweeper.sweep()).joined == 1
    done = await on_local.engine.get(final.session_id)
    assert await on_local.bytes_of(done) == b"abc"
