"""What people ask a bot for, and who may: plain records and rules, whatever the messenger."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, Self

from haulier.core.records import JsonRecord

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest(JsonRecord):
    """A link that somebody wants to see in a chat.

    Attributes:
        platform: `discord` or `max`.
        place_id: the chat.
        user_id: who asked.
        message_id: of the message that asked; with the user's it names the request's directory.
        status_id: of the bot's message that tells how far it is.
        upload: whether what was fetched goes into the chat.
        spoiler: whether it is covered until somebody wants to see it.
    """

    platform: str
    place_id: str
    user_id: str
    message_id: str
    url: str
    status_id: str | None = None
    upload: bool = True
    spoiler: bool = False

    @property
    def subject(self) -> str:
        """Names who asked: what is done for one waits while others have nothing."""
        return f"{self.platform}:{self.user_id}"

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        known = {one.name for one in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, and where: the server (guild), the channel, and the roles that they have there."""

    user_id: str
    place_id: str
    guild_id: str | None = None
    role_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPolicy:
    """Who may use the bot, and how often. An empty collection lets everybody.

    Attributes:
        guilds, places, roles: one of each must be the asker's.
        priority_roles: whose requests go before the others'.
        cooldown_s: seconds between two requests of one person.
        most_a_day: requests of one person in 24 hours.
        off_peak: the hours of the day in which requests for later are begun.
    """

    guilds: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    priority_roles: frozenset[str] = frozenset()
    cooldown_s: float = 0.0
    most_a_day: int = 50
    off_peak: tuple[time, time] = field(default=(time(1), time(7)))

    def refusal(self, asker: Asker, asked_at: Sequence[datetime], now: datetime) -> str | None:
        """Return why somebody may not ask now, as people are told; None when they may.

        Args:
            asker: who.
            asked_at: when they asked before.
            now: the time.
        """
        if self.guilds and asker.guild_id not in self.guilds:
            return "This bot does not serve this server; ask those who run it."
        if self.places and asker.place_id not in self.places:
            return "This bot does not serve this channel; ask in which one it does."
        if self.roles and not self.roles & asker.role_ids:
            return "You need a role that may use this bot; ask those who run it."
        recent = [moment for moment in asked_at if now - moment < _DAY]
        if len(recent) >= self.most_a_day:
            hours = (min(recent) + _DAY - now).total_seconds() / 3600
            return (
                f"You have asked {len(recent)} times in 24 hours, as often as one person may; ask "
                f"again in {math.ceil(hours)} h."
            )
        if recent:
            wait_s = self.cooldown_s - (now - max(recent)).total_seconds()
            if wait_s > 0:
                return f"Wait {wait_s:.0f} s before you ask again."
        return None

    def priority_of(self, roles: Collection[str]) -> int:
        """Return the priority of a request by somebody with these roles."""
        return 10 if self.priority_roles & frozenset(roles) else 0

    def begins(self, now: datetime) -> datetime:
        """Return when a request for later may begin: now, when these are the hours for it."""
        local = now.astimezone()
        begin, end = self.off_peak
        clock = local.time()
        inside = begin <= clock < end if begin <= end else clock >= begin or clock < end
        if inside:
            return now
        start = local.replace(hour=begin.hour, minute=begin.minute, second=0, microsecond=0)
        return start if start > local else start + _DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences(JsonRecord):
    """What one person likes.

    Attributes:
        preset: `fast`, `balanced` or `quality`, for what has to be made smaller.
        notify: be mentioned when it has ended.
        keep_original: be given a link to what had to be made smaller, where a bucket is set.
    """

    preset: str = "balanced"
    notify: bool = False
    keep_original: bool = False
