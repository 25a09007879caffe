"""The event bus: nothing that lasts is missed, states are coalesced, slow listeners hurt nobody."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulier.coordination.events import MemoryEventBus, News
from redis_server import new_prefix, redis_bus

ANN, BOB = frozenset({"ann"}), frozenset({"bob"})


def lasting(kind="file.created", topics=ANN, about=None, **data):
    return News(type=kind, data=data, topics=topics, about=about)


def state(about, topics=ANN, **data):
    return News(type="upload.progress", data=data, topics=topics, about=about, lasts=False)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
async def make_bus(request):
    """Makes a bus of this process, or one in Redis."""
    async with AsyncExitStack() as stack:

        async def make(**more):
            if request.param == "memory":
                return MemoryEventBus(**more)
            server = request.getfixturevalue("redis_server")
            return await stack.enter_async_context(redis_bus(server.url, new_prefix(), **more))

        yield make


async def told(bus):
    """Wait until everything that was published has been told."""
    async with bus.subscribe(frozenset({"fence"})) as fence:
        bus.publish(state("fence", topics=frozenset({"fence"})))
        assert await fence.take(60) is not None


async def pending(bus, subscription):
    """Return all that can be taken once everything was told, as clients are sent it."""
    await told(bus)
    found = []
    while (event := await subscription.take(0)) is not None:
        found.append(json.loads(event.text))
    return found


async def test_a_message_has_an_id_a_type_a_time_and_data(make_bus):
    bus = await make_bus()
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    async with bus.subscribe(ANN) as listening:
        bus.publish(News(type="file.created", data={"name": "ä"}, topics=ANN, time=moment))
        (message,) = await pending(bus, listening)
    assert message.pop("id")
    assert message == {
        "type": "file.created",
        "time": "2026-03-01T00:00:00Z",
        "data": {"name": "ä"},
    }


async def test_who_listens_for_other_topics_is_told_nothing(make_bus):
    bus = await make_bus()
    async with bus.subscribe(ANN) as ann, bus.subscribe(BOB) as bob:
        bus.publish(lasting(topics=BOB))
        bus.publish(lasting(topics=ANN | BOB))
        assert len(await pending(bus, ann)) == 1
        assert len(await pending(bus, bob)) == 2


async def test_who_listens_for_several_topics_is_told_once(make_bus):
    bus = await make_bus()
    async with bus.subscribe(ANN | BOB) as both:
        bus.publish(lasting(topics=ANN | BOB))
        assert len(await pending(bus, both)) == 1


async def test_of_a_state_only_the_newest_is_told_and_nothing_after_its_end(make_bus):
    bus = await make_bus()
    async with bus.subscribe(ANN) as listening:
        bus.publish(state("one", bytes=1))
        bus.publish(state("two", bytes=1))
        bus.publish(lasting(n=1))
        bus.publish(state("one", bytes=2))
        bus.publish(lasting("upload.completed", about="two"))
        told = [(m["type"], m["data"]) for m in await pending(bus, listening)]
    assert told == [
        ("file.created", {"n": 1}),
        ("upload.progress", {"bytes": 2}),
        ("upload.completed", {}),
    ]


async def test_who_comes_back_is_told_what_came_meanwhile(make_bus):
    bus = await make_bus()
    async with bus.subscribe(ANN) as listening:
        bus.publish(lasting(n=1))
        (first,) = await pending(bus, listening)
    bus.publish(lasting(n=2))
    bus.publish(lasting(topics=BOB, n=3))
    bus.publish(state("one", n=4))
    bus.publish(state("one", n=5))
    bus.publish(lasting(n=6))
    await told(bus)
    async with bus.subscribe(ANN, first["id"]) as again:
        bus.publish(lasting(n=7))
        assert [m["data"]["n"] for m in await pending(bus, again)] == [2, 5, 6, 7]


async def test_who_comes_back_is_told_no_state_that_is_known_or_has_ended(make_bus):
    bus = await make_bus()
    async with bus.subscribe(ANN) as listening:
        bus.publish(lasting())
        bus.publish(state("one"))
        first, known = await pending(bus, listening)
    async with bus.subscribe(ANN, known["id"]) as again:
        assert await pending(bus, again) == []
    bus.publish(lasting("upload.completed", about="one"))
    await told(bus)
    async with bus.subscribe(ANN, first["id"]) as later:
        assert [m["type"] for m in await pending(bus, later)] == ["upload.completed"]


async def test_who_comes_for_the_first_time_is_told_nothing_old(make_bus):
    bus = await make_bus()
    bus.publish(lasting())
    await told(bus)
    async with bus.subscribe(ANN) as listening:
        assert await pending(bus, listening) == []


@pytest.mark.parametrize(
    "known", ["", "x", "-", "1-2-3", "feedbeef-1", "EPOCH-²", "EPOCH-2", "EPOCH-" + "9" * 5000]
)
async def test_an_id_that_is_none_of_ours_is_answered_by_a_reset(known, make_bus):
    bus = await make_bus()
    bus.publish(lasting())
    await told(bus)
    known = known.replace("EPOCH-2", "EPOCH-99").replace("EPOCH", bus._epoch)
    async with bus.subscribe(ANN, known) as listening:
        assert [m["type"] for m in await pending(bus, listening)] == ["reset"]
        bus.publish(lasting(n=1))
        assert [m["type"] for m in await pending(bus, listening)] == ["file.created"]


async def test_the_id_of_a_reset_can_be_resumed_from(make_bus):
    bus = await make_bus()
    bus.publish(lasting())
    await told(bus)
    async with bus.subscribe(ANN, "other-1") as listening:
        (reset,) = await pending(bus, listening)
    bus.publish(lasting(n=1))
    await told(bus)
    async with bus.subscribe(ANN, reset["id"]) as again:
        assert [m["data"] for m in await pending(bus, again)] == [{"n": 1}]


async def test_history_ends_with_so_many_events(make_bus):
    bus = await make_bus(most_events=3)
    async with bus.subscribe(ANN) as listening:
        for n in range(5):
            bus.publish(lasting(n=n))
            await told(bus)
        ids = [m["id"] for m in await pending(bus, listening)]
    async with bus.subscribe(ANN, ids[1]) as just, bus.subscribe(ANN, ids[0]) as too_late:
        assert [m["data"]["n"] for m in await pending(bus, just)] == [2, 3, 4]
        assert [m["type"] for m in await pending(bus, too_late)] == ["reset"]


async def test_history_ends_with_a_day(make_bus):
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    bus = await make_bus(now=lambda: moment)
    async with bus.subscribe(ANN) as listening:
        for _ in range(2):
            bus.publish(News(type="file.created", data={}, topics=ANN, time=moment))
            moment += timedelta(hours=13)
        first, second = await pending(bus, listening)
    async with bus.subscribe(ANN, first["id"]) as just:
        assert [m["id"] for m in await pending(bus, just)] == [second["id"]]
    moment += timedelta(hours=13)
    async with bus.subscribe(ANN, first["id"]) as too_late:
        assert [m["type"] for m in await pending(bus, too_late)] == ["reset"]


async def test_a_listener_that_is_too_slow_is_reset_and_let_go_alone(make_bus):
    bus = await make_bus(most_pending=3)
    async with bus.subscribe(ANN) as slow, bus.subscribe(ANN) as quick:
        told = []
        for n in range(6):
            bus.publish(lasting(n=n))
            told += await pending(bus, quick)
        assert [m["data"]["n"] for m in told] == list(range(6))
        assert not quick.is_over
        assert not slow.is_over
        (reset,) = await pending(bus, slow)
        assert reset["type"] == "reset"
        assert slow.is_over
    async with bus.subscribe(ANN, told[0]["id"]) as again:
        assert [m["data"]["n"] for m in await pending(bus, again)] == [1, 2, 3, 4, 5]


async def test_states_alone_never_make_a_listener_too_slow(make_bus):
    bus = await make_bus(most_pending=3)
    async with bus.subscribe(ANN) as slow:
        for n in range(100):
            bus.publish(state("one", n=n))
            bus.publish(state("two", n=n))
        assert [m["data"]["n"] for m in await pending(bus, slow)] == [99, 99]


async def test_a_long_history_is_no_reason_to_be_too_slow(make_bus):
    bus = await make_bus(most_pending=3)
    async with bus.subscribe(ANN) as listening:
        bus.publish(lasting())
        (first,) = await pending(bus, listening)
    for n in range(50):
        bus.publish(lasting(n=n))
    await told(bus)
    async with bus.subscribe(ANN, first["id"]) as again:
        bus.publish(lasting(n=50))
        assert [m["data"]["n"] for m in await pending(bus, again)] == list(range(51))


async def test_one_that_waits_is_woken(make_bus):
    bus = await make_bus()
    async with bus.subscribe(ANN) as listening:
        waiting = asyncio.create_task(listening.take(60))
        await asyncio.sleep(0)
        bus.publish(lasting(n=1))
        assert '"n":1' in (await waiting).text


async def test_closing_lets_everybody_go(make_bus):
    bus = await make_bus()
    async with bus.subscribe(ANN) as first:
        waiting = asyncio.create_task(first.take(60))
        await asyncio.sleep(0)
        bus.close()
        assert await waiting is None
        assert first.is_over
        async with bus.subscribe(ANN) as late:
            assert await late.take(60) is None
            assert late.is_over


async def test_who_left_is_forgotten(make_bus):
    bus = await make_bus()
    async with bus.subscribe(ANN):
        pass
    assert not bus._audience.everybody()


# What may happen: news for ann or bob, of a thing's state, or that it ended; ann reads, or breaks
# off and comes back with the last id that she was given.
steps = st.lists(
    st.one_of(
        st.tuples(st.just("lasting"), st.sampled_from(["ann", "bob"])),
        st.tuples(st.just("state"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("end"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("read"), st.integers(1, 5)),
        st.tuples(st.just("return"), st.none()),
    ),
    max_size=60,
)


@settings(max_examples=100)
@given(steps)
def test_whatever_happens_ann_misses_nothing_or_is_told_so(steps):
    asyncio.run(follow(steps))


async def follow(steps):
    bus = MemoryEventBus(most_events=8, most_pending=4)
    expected, told = [], []  # the lasting events that ann has to be told, by their numbers
    newest = {}  # the states of which she was not told the newest
    last_id = f"{bus._epoch}-0"

    async def come_back(stack):
        await stack.aclose()
        return await stack.enter_async_context(bus.subscribe(ANN, last_id))

    def publish(what, of):
        number = bus._last + 1
        if what == "state":
            data = {"n": number, "about": of}
            bus.publish(News(type="state", data=data, topics=ANN, about=of, lasts=False))
            newest[of] = number
            return
        topics = frozenset({of}) if what == "lasting" else ANN
        bus.publish(lasting(topics=topics, about=of if what == "end" else None, n=number))
        if topics == ANN:
            expected.append(number)
        if what == "end":
            newest.pop(of, None)

    def hear(event):
        nonlocal last_id
        message = json.loads(event.text)
        kind, data, last_id = message["type"], message["data"], message["id"]
        if kind == "reset":
            # She looks how things stand, which is at least as new as its id.
            seen = int(last_id.partition("-")[2])
            expected[:] = [one for one in expected if one > seen]
            for about in [about for about, one in newest.items() if one <= seen]:
                del newest[about]
            told.clear()
        elif kind == "state":
            if newest.get(data["about"]) == data["n"]:
                del newest[data["about"]]
        else:
            told.append(data["n"])
            assert told == expected[: len(told)]

    async with AsyncExitStack() as stack:
        listening = await come_back(stack)
        for what, of in steps:
            if what == "read":
                for _ in range(of):
                    if (event := await listening.take(0)) is not None:
                        hear(event)
            elif what != "return":
                publish(what, of)
            if what == "return" or listening.is_over:
                listening = await come_back(stack)
        while (event := await listening.take(0)) is not None:
            hear(event)
            if listening.is_over:
                listening = await come_back(stack)
    assert told == expected
    assert newest == {}
