"""Who may ask a bot, when, and in which order."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.core.chat_requests import Asker, ChatPolicy, ChatRequest

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ASKER = Asker(user_id="1", place_id="2", guild_id="3", role_ids=frozenset({"4", "5"}))


def test_a_request_comes_back_as_it_was_and_bears_what_later_versions_add():
    request = ChatRequest(platform="discord", place_id="2", user_id="1", message_id="9", url="x")
    assert ChatRequest.from_json({**request.to_json(), "new": 1}) == request
    assert request.subject == "discord:1"


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (ChatPolicy(), None),
        (
            ChatPolicy(guilds=frozenset({"3"}), places=frozenset({"2"}), roles=frozenset({"5"})),
            None,
        ),
        (ChatPolicy(guilds=frozenset({"7"})), "server"),
        (ChatPolicy(places=frozenset({"7"})), "channel"),
        (ChatPolicy(roles=frozenset({"7"})), "role"),
    ],
)
def test_places_and_roles(policy, told):
    refusal = policy.refusal(ASKER, [], NOW)
    assert refusal is None if told is None else told in (refusal or "")


@pytest.mark.parametrize(
    ("ages_s", "told"),
    [([], None), ([61], None), ([59], "Wait 1 s"), ([70, 80], "2 times"), ([70, 90_000], None)],
)
def test_how_often(ages_s, told):
    policy = ChatPolicy(cooldown_s=60, most_a_day=2)
    refusal = policy.refusal(ASKER, [NOW - timedelta(seconds=age) for age in ages_s], NOW)
    assert refusal is None if told is None else told in (refusal or "")


def test_some_go_first():
    policy = ChatPolicy(priority_roles=frozenset({"5"}))
    assert policy.priority_of(ASKER.role_ids) > policy.priority_of({"4"}) == 0


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1)),
       st.times(), st.times())  # fmt: skip
def test_what_is_for_later_begins_within_a_day_in_the_quiet_hours(now, begin, end):
    begin, end = begin.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0)
    begins = ChatPolicy(off_peak=(begin, end)).begins(now)
    assert now <= begins <= now + timedelta(days=1)
    clock = begins.astimezone().time()
    if begin == end:
        return
    inside = begin <= clock < end if begin < end else clock >= begin or clock < end
    assert inside


def test_the_quiet_hours_may_lie_around_midnight():
    policy = ChatPolicy(off_peak=(time(22), time(6)))
    local = NOW.astimezone()
    assert policy.begins(local.replace(hour=23)) == local.replace(hour=23)
    assert policy.begins(local.replace(hour=5)) == local.replace(hour=5)
    assert policy.begins(local.replace(hour=12)) == local.replace(hour=22)
