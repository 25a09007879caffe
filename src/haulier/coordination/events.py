"""Events: what happens is told to everybody who listens for it, and kept for who comes back.

An event either lasts, and nobody who listens misses it, or it is the state of something, of which
only the newest is worth anything: a slow listener is given that one alone. Who can't keep up even
so, and who comes back after more than the history holds, is told `reset`, and looks for itself how
things stand.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections import OrderedDict, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from haulier.core.records import format_time, utc_now

RESET = "reset"
MOST_EVENTS = 100_000
KEPT_FOR = timedelta(hours=24)
MOST_PENDING = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What is to be told.

    Args:
        type: what happened, as `file.created`.
        data: what is told of it, as JSON takes it.
        topics: who listens for one of these is told.
        time: when it happened.
        about: what it is the state of; a lasting event about the same ends that state.
        lasts: whether it must not be missed.
    """

    type: str
    data: Mapping[str, Any]
    topics: frozenset[str]
    time: datetime = field(default_factory=utc_now)
    about: str | None = None
    lasts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """News that was told.

    Args:
        number: its place in the order of all events.
        event_id: names that place for clients.
        text: the message that they are sent: `{id, type, time, data}` as JSON.
        news: what was told, without its data.
    """

    number: int
    event_id: str
    text: str
    news: News


class Subscription(Protocol):
    """What one listener has not been given yet."""

    @property
    def is_over(self) -> bool:
        """Whether nothing will come any more: the bus was closed, or the listener too slow."""
        ...

    async def take(self, timeout_s: float) -> Event | None:
        """Return the next event, or None when there is none within `timeout_s` seconds."""
        ...

    def close(self) -> None:
        """Let nothing more come; whoever waits is woken."""
        ...


class EventBus(Protocol):
    """Tells news to those who listen."""

    def publish(self, news: News) -> None:
        """Tell `news`; called inside the event loop, and never waits for a listener."""
        ...

    def subscribe(
        self, topics: frozenset[str], last_event_id: str | None = None
    ) -> AbstractAsyncContextManager[Subscription]:
        """Listen for news on one of `topics` while the block runs.

        Args:
            topics: what to listen for.
            last_event_id: the last event that the listener knows: what came after it comes
                first, or `reset` when that is not known any more. None: only what comes now.
        """
        ...

    def close(self) -> None:
        """Let all listeners go; what comes later is told to nobody."""
        ...


class MemoryEventBus:
    """Events among the tasks of one process; they are forgotten with it.

    Args:
        most_events: how many of them are kept at most.
        kept_for: how long.
        most_pending: how many a listener may be behind before it is let go.
        now: the clock.
    """

    def __init__(
        self,
        *,
        most_events: int = MOST_EVENTS,
        kept_for: timedelta = KEPT_FOR,
        most_pending: int = MOST_PENDING,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        # Ids of an earlier process must not be taken for ours.
        self._epoch = secrets.token_hex(4)
        self._most_events = most_events
        self._kept_for = kept_for
        self._most_pending = most_pending
        self._now = now
        self._last = self._forgotten = 0
        self._history: deque[Event] = deque()
        self._states: dict[str, Event] = {}
        self._audience = Audience()

    def publish(self, news: News) -> None:
        """See `EventBus.publish`."""
        self._last += 1
        event = self._event(news)
        self._remember(event)
        for listener in self._audience.of(news.topics):
            listener.put(event)

    @asynccontextmanager
    async def subscribe(
        self, topics: frozenset[str], last_event_id: str | None = None
    ) -> AsyncIterator[Subscription]:
        """See `EventBus.subscribe`."""
        missed = [] if last_event_id is None else self._since(last_event_id, topics)
        listener = Listener(missed, self._most_pending, self._reset)
        with self._audience.joined_by(listener, topics):
            yield listener

    def close(self) -> None:
        """See `EventBus.close`."""
        self._audience.close()

    def _remember(self, event: Event) -> None:
        about = event.news.about
        if about is not None:
            self._states.pop(about, None)
        if not event.news.lasts:
            assert about is not None
            self._states[about] = event
            return
        self._history.append(event)
        self._forget_old()

    def _forget_old(self) -> None:
        too_old = self._now() - self._kept_for
        while self._history and (
            len(self._history) > self._most_events or self._history[0].news.time < too_old
        ):
            self._forgotten = self._history.popleft().number

    def _since(self, last_event_id: str, topics: frozenset[str]) -> list[Event]:
        """Return what came after that event, or a reset when it is not known any more."""
        self._forget_old()
        known = self._number_of(last_event_id)
        if known is None or not self._forgotten <= known <= self._last:
            return [self._reset()]
        missed = []
        # From the newest: who comes back soon missed little of a long history.
        for event in reversed(self._history):
            if event.number <= known:
                break
            missed.append(event)
        missed += [event for event in self._states.values() if event.number > known]
        missed = [event for event in missed if topics & event.news.topics]
        return sorted(missed, key=lambda event: event.number)

    def _number_of(self, event_id: str) -> int | None:
        found = re.fullmatch(rf"{self._epoch}-([0-9]{{1,18}})", event_id)
        return None if found is None else int(found[1])

    def _reset(self) -> Event:
        return self._event(News(type=RESET, data={}, topics=frozenset(), time=self._now()))

    def _event(self, news: News) -> Event:
        event_id = f"{self._epoch}-{self._last}"
        text = text_of(event_id, body_of(news))
        # Its data is in the text: a long history keeps it once.
        kept = replace(news, data={})
        return Event(number=self._last, event_id=event_id, text=text, news=kept)


def body_of(news: News) -> str:
    """Return the message that clients are sent, as JSON, without its id."""
    message = {"type": news.type, "time": format_time(news.time), "data": news.data}
    return json.dumps(message, separators=(",", ":"))


def text_of(event_id: str, body: str) -> str:
    """Return `body` with the id in it."""
    return f'{{"id":"{event_id}",{body[1:]}'


class Audience:
    """Who listens for which topics."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)
        self._is_closed = False

    def of(self, topics: Iterable[str]) -> set[Listener]:
        """Return those who listen for one of `topics`."""
        return {one for topic in topics for one in self._listeners.get(topic, ())}

    def everybody(self) -> set[Listener]:
        """Return all who listen."""
        return self.of(list(self._listeners))

    @contextmanager
    def joined_by(self, listener: Listener, topics: frozenset[str]) -> Iterator[None]:
        """Let `listener` listen for `topics` while the block runs."""
        if self._is_closed:
            listener.close()
        for topic in topics:
            self._listeners[topic].add(listener)
        try:
            yield
        finally:
            for topic in topics:
                self._listeners[topic].discard(listener)
                if not self._listeners[topic]:
                    del self._listeners[topic]

    def close(self) -> None:
        """Let all go, and whoever comes later."""
        self._is_closed = True
        for listener in self.everybody():
            listener.close()


class Listener:
    """See `Subscription`; bounded, since a state takes the place of the one before it.

    Args:
        missed: what comes first.
        most_pending: how many events it may be behind before it is let go.
        reset: makes the event that says so.
    """

    def __init__(self, missed: list[Event], most_pending: int, reset: Callable[[], Event]) -> None:
        self._missed = deque(missed)
        # In the order of their numbers: lasting ones by number, states by what they are about.
        self._pending: OrderedDict[int | str, Event] = OrderedDict()
        self._most_pending = most_pending
        self._reset = reset
        self._is_closed = False
        self._news = asyncio.Event()
        self.after = 0
        """The number of the last event that the listener knows; it and those before are not put."""

    @property
    def is_over(self) -> bool:
        """See `Subscription.is_over`."""
        return self._is_closed and not self._pending and not self._missed

    def put(self, event: Event) -> None:
        """Let `event` be taken after all others."""
        if self._is_closed or event.number <= self.after:
            return
        about = event.news.about
        if about is not None:
            self._pending.pop(about, None)
        if len(self._pending) >= self._most_pending:
            self.start_over()
            self._is_closed = True
        elif event.news.lasts or about is None:
            self._pending[event.number] = event
        else:
            self._pending[about] = event
        self._news.set()

    def start_over(self) -> None:
        """Something was missed: say so in the place of all that is pending."""
        self._missed = deque([self._reset()])
        self._pending.clear()
        self.after = 0
        self._news.set()

    def catch_up(self, missed: list[Event]) -> None:
        """Let `missed` be taken before all others, unless these begin with a reset by now."""
        if not self._missed:
            self._missed.extend(missed)

    def close(self) -> None:
        """See `Subscription.close`."""
        self._is_closed = True
        self._news.set()

    async def take(self, timeout_s: float) -> Event | None:
        """See `Subscription.take`."""
        if not self._missed and not self._pending and not self._is_closed:
            self._news.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._news.wait()
            except TimeoutError:
                return None
        if self._missed:
            return self._missed.popleft()
        if self._pending:
            return self._pending.popitem(last=False)[1]
        return None
