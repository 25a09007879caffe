"""How large a file a chat takes."""

import pytest

from haulier.core.chat_limits import MIB, discord_limit_bytes


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, 20 * MIB - 1024),
        ({"boost_tier": 1}, 20 * MIB - 1024),
        ({"boost_tier": 2}, 50 * MIB - 1024),
        ({"boost_tier": 3}, 100 * MIB - 1024),
        ({"attachment_size_limit": 52_428_800, "boost_tier": 3}, 50 * MIB - 1024),
        ({"attachment_size_limit": 500 * MIB}, 200 * MIB - 1024),
        ({"setting_mb": 8, "attachment_size_limit": 500 * MIB, "boost_tier": 3}, 8 * MIB),
    ],
)
def test_the_setting_then_the_interaction_then_the_guild(told, expected):
    assert discord_limit_bytes(**told) == expected
