"""Events among the processes of several hosts, kept in Redis for who comes back.

Two streams share one count: what lasts, and the newest states. Each process tells what happens in
it and reads all. Whatever may have been missed is said (`reset`): that Redis was restarted or
forgot, that a process died with something untold, that one was cut off for so long that it had to
drop something. An event may come twice after a connection broke, with another id.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from haulier.coordination import redis_event_scripts as scripts
from haulier.coordination.events import (
    KEPT_FOR,
    MOST_EVENTS,
    MOST_PENDING,
    RESET,
    Audience,
    Event,
    Listener,
    News,
    Subscription,
    body_of,
    text_of,
)
from haulier.coordination.redis_link import RedisLink, again_and_again, redis_errors
from haulier.core.records import utc_now
from haulier.errors import CoordinationError

if TYPE_CHECKING:
    from redis.asyncio import Redis

_LIFE_S = 12.0
_BEATS_PER_LIFE = 6
_READ_FOR_MS = 2000
_MOST_AT_ONCE = 200
_PAGE = 1000
_MOST_ENDED = 10_000
_MOST_UNTOLD = 10_000  # while Redis is away
_TIME_TO_LEAVE_S = 3
_KEYS = ("lasting", "states", "last", "forgotten", "epoch", "tellers")


class RedisEventBus:
    """See `EventBus`; `run` has to be running, and `leave` to be called at the end.

    Args:
        link: to Redis.
        most_events: how many lasting events are kept at most.
        kept_for: how long.
        most_pending: how many a listener may be behind before it is let go.
        life_s: after how many seconds of silence a process counts as dead.
        now: the clock.
    """

    def __init__(
        self,
        link: RedisLink,
        *,
        most_events: int = MOST_EVENTS,
        kept_for: timedelta = KEPT_FOR,
        most_pending: int = MOST_PENDING,
        life_s: float = _LIFE_S,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._link = link
        self._keys = {name: link.key(f"events:{name}") for name in _KEYS}
        self._process = secrets.token_hex(8)
        self._most_events = most_events
        self._kept_for = kept_for
        self._most_pending = most_pending
        self._life_s = life_s
        self._now = now
        self._audience = Audience()
        self._epoch = ""  # as long as it is the same, Redis has forgotten nothing
        self._position = 0  # the last event that was given to listeners
        self._is_stale = False
        self._ready = asyncio.Event()
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._untold: OrderedDict[int | str, News] = OrderedDict()
        self._under_way: list[News] = []
        self._published = 0
        self._dropped = False
        self._more = asyncio.Event()
        self._all_told = asyncio.Event()
        self._all_told.set()

    async def run(self) -> None:
        """Tell and hear, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for work in (self._read, self._tell, self._beat):
                tasks.create_task(again_and_again(work, what="the event bus"))

    async def ready(self, timeout_s: float) -> bool:
        """Wait until it hears what happens; return whether it does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        return self._ready.is_set()

    def publish(self, news: News) -> None:
        """See `EventBus.publish`."""
        self._published += 1
        if news.about is not None:
            self._untold.pop(news.about, None)
        if news.lasts or news.about is None:
            self._untold[self._published] = news
        else:
            self._untold[news.about] = news
        if len(self._untold) > _MOST_UNTOLD:
            self._untold.popitem(last=False)
            self._dropped = True
        self._all_told.clear()
        self._more.set()

    @asynccontextmanager
    async def subscribe(
        self, topics: frozenset[str], last_event_id: str | None = None
    ) -> AsyncIterator[Subscription]:
        """See `EventBus.subscribe`."""
        listener = Listener([], self._most_pending, self._reset)
        with self._audience.joined_by(listener, topics):
            if last_event_id is not None:
                await self._bring_up(listener, topics, last_event_id, self._position)
            yield listener

    def close(self) -> None:
        """See `EventBus.close`."""
        self._audience.close()

    async def leave(self) -> None:
        """Tell what is untold, for some seconds; then nobody has to count this process as dead."""
        with suppress(TimeoutError, CoordinationError):
            async with asyncio.timeout(_TIME_TO_LEAVE_S):
                await self._all_told.wait()
                with redis_errors():
                    await self._link.client.zrem(self._keys["tellers"], self._process)

    # Telling

    async def _tell(self) -> None:
        while True:
            if not (self._untold or self._under_way or self._dropped):
                self._more.clear()
                self._all_told.set()
                await self._more.wait()
            if self._dropped:
                await self._send([News(type=RESET, data={}, topics=frozenset())])
                self._dropped = False
            while self._untold and len(self._under_way) < _MOST_AT_ONCE:
                self._under_way.append(self._untold.popitem(last=False)[1])
            await self._send(self._under_way)
            self._under_way = []

    async def _send(self, several: Iterable[News]) -> None:
        keys = [self._keys[name] for name in ("lasting", "states", "last", "forgotten")]
        with redis_errors():
            async with self._link.client.pipeline(transaction=False) as pipe:
                for news in several:
                    fields: list[str | int] = [
                        "" if news.type == RESET else body_of(news),
                        "\n".join(sorted(news.topics)),
                        news.about or "",
                        round(news.time.timestamp() * 1000),
                    ]
                    pipe.eval(
                        scripts.TELL, len(keys), *keys, int(news.lasts), self._most_events, *fields
                    )
                await pipe.execute()

    # Hearing

    async def _read(self) -> None:
        async with self._link.reading() as client:
            await self._start(client)
            lasting, states = self._keys["lasting"], self._keys["states"]
            while not self._is_stale:
                since = f"{self._position}-0"
                with redis_errors():
                    found: Any = await client.xread(
                        {lasting: since, states: since}, block=_READ_FOR_MS
                    )
                # All that is there comes at once, so that nothing comes late behind a later number.
                entries = [
                    (_number_of(entry_id), name == lasting, fields)
                    for name, several in found or ()
                    for entry_id, fields in several
                ]
                for number, lasts, fields in sorted(entries, key=lambda entry: entry[0]):
                    outrun = int(fields["before"]) > self._position
                    self._position = number
                    if outrun or not fields["body"]:
                        self._tell_of_gap()
                    else:
                        self._pass_on(number, lasts, fields)

    async def _start(self, client: Redis) -> None:
        """Take up where it was left, or say that this can't be done."""
        epoch, last, forgotten = await self._standing(client)
        missed = epoch != self._epoch or not forgotten <= self._position <= last
        self._epoch, self._is_stale = epoch, False
        if missed:
            self._position = last
            self._tell_of_gap()
        self._ready.set()

    def _tell_of_gap(self) -> None:
        for listener in self._audience.everybody():
            listener.start_over()

    async def _beat(self) -> None:
        """Show that this process lives, and notice when Redis forgot what it knew."""
        while True:
            epoch, last, _ = await self._standing(self._link.client)
            if epoch != self._epoch or last < self._position:
                self._is_stale = True
            await asyncio.sleep(self._life_s / _BEATS_PER_LIFE)

    async def _standing(self, client: Redis) -> tuple[str, int, int]:
        """Return the epoch, the number of the last event, and that of the last forgotten one."""
        oldest = self._now() - self._kept_for
        keys = [self._keys[name] for name in ("tellers", "lasting", "last", "forgotten", "epoch")]
        given: list[str | int] = [
            self._process,
            round(self._life_s * 1000),
            round(oldest.timestamp() * 1000),
            secrets.token_hex(4),
        ]
        with redis_errors():
            about_server = await client.info("server")
            found = await client.eval(scripts.STAND, len(keys), *keys, *given)
        return f"{str(about_server['run_id'])[:8]}{found[0]}", int(found[1]), int(found[2])

    def _pass_on(self, number: int, lasts: bool, fields: dict[str, str]) -> None:
        about = fields["about"]
        if lasts and about:
            self._ended[about] = None
            if len(self._ended) > _MOST_ENDED:
                self._ended.popitem(last=False)
        elif about in self._ended:
            return
        listeners = self._audience.of(fields["topics"].split("\n"))
        if not listeners:
            return
        event = self._event(number, lasts, fields)
        for listener in listeners:
            listener.put(event)

    # Coming back

    async def _bring_up(
        self, listener: Listener, topics: frozenset[str], last_event_id: str, until: int
    ) -> None:
        known = self._known(last_event_id)
        if known is None:
            listener.start_over()
            return
        listener.after = known
        try:
            missed = await self._since(known, until, topics)
            # Asked afterwards: it may have been forgotten while it was read.
            epoch, last, forgotten = await self._standing(self._link.client)
            if epoch != self._epoch or not forgotten <= known <= last:
                listener.start_over()
            else:
                listener.catch_up(missed)
        except CoordinationError:
            listener.start_over()

    async def _since(self, known: int, until: int, topics: frozenset[str]) -> list[Event]:
        missed: list[Event] = []
        states: dict[str, Event] = {}
        async for number, fields in self._history(self._keys["states"], known, until):
            states[fields["about"]] = self._event(number, False, fields)
        async for number, fields in self._history(self._keys["lasting"], known, until):
            if not fields["body"]:
                return [self._reset()]
            about = fields["about"]
            if about in states and states[about].number < number:
                del states[about]
            missed.append(self._event(number, True, fields))
        missed += [state for about, state in states.items() if about not in self._ended]
        missed = [event for event in missed if topics & event.news.topics]
        return sorted(missed, key=lambda event: event.number)

    async def _history(
        self, stream: str, known: int, until: int
    ) -> AsyncIterator[tuple[int, dict[str, str]]]:
        while known < until:
            with redis_errors():
                page: Any = await self._link.client.xrange(
                    stream, f"{known + 1}-0", f"{until}-0", count=_PAGE
                )
            for entry_id, fields in page:
                known = _number_of(entry_id)
                yield known, fields
            if len(page) < _PAGE:
                return

    def _known(self, event_id: str) -> int | None:
        found = re.fullmatch(rf"{re.escape(self._epoch)}-([0-9]{{1,18}})", event_id, re.ASCII)
        return None if found is None else int(found[1])

    def _event(self, number: int, lasts: bool, fields: dict[str, str]) -> Event:
        news = News(
            type="",
            data={},
            topics=frozenset(fields["topics"].split("\n")),
            about=fields["about"] or None,
            lasts=lasts,
        )
        event_id = f"{self._epoch}-{number}"
        text = text_of(event_id, fields["body"])
        return Event(number=number, event_id=event_id, text=text, news=news)

    def _reset(self) -> Event:
        news = News(type=RESET, data={}, topics=frozenset(), time=self._now())
        event_id = f"{self._epoch}-{self._position}"
        text = text_of(event_id, body_of(news))
        return Event(number=self._position, event_id=event_id, text=text, news=news)


def _number_of(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])
