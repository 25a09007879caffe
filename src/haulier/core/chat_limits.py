"""How large a file may be that a chat takes."""

from __future__ import annotations

MIB = 1 << 20
DISCORD_DEFAULT_BYTES = 20 * MIB
_DISCORD_TIER_BYTES = {2: 50 * MIB, 3: 100 * MIB}
# Discord has announced 500 MiB to subscribers and refused what was above 200.
_DISCORD_MOST_BYTES = 200 * MIB
# A file of exactly the limit is refused.
_SPARE_BYTES = 1024


def discord_limit_bytes(
    *,
    setting_mb: int | None = None,
    attachment_size_limit: int | None = None,
    boost_tier: int = 0,
) -> int:
    """Return the largest file in bytes that a channel of Discord takes.

    Args:
        setting_mb: what was set by hand, in units of 1,048,576 bytes; it counts as it is.
        attachment_size_limit: bytes, as an interaction tells them.
        boost_tier: of the guild, 0 to 3; asked where there is no interaction.
    """
    if setting_mb is not None:
        return setting_mb * MIB
    told = attachment_size_limit or _DISCORD_TIER_BYTES.get(boost_tier, DISCORD_DEFAULT_BYTES)
    return min(told, _DISCORD_MOST_BYTES) - _SPARE_BYTES
