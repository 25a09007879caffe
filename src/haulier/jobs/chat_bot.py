"""A bot put together as the settings say, with the runner that does what it is asked for."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from datetime import time
from typing import TYPE_CHECKING

from haulier.coordination.bells import MemoryBell
from haulier.core.chat_requests import ChatPolicy, Preferences
from haulier.core.units import parse_limit
from haulier.errors import BadBotToken, ConfigurationError, HaulierError, MissingExtra
from haulier.jobs.chat_desk import ChatDesk
from haulier.jobs.chat_work import ChatWork
from haulier.jobs.runner import Runner
from haulier.journeys.archive.open import open_catalog
from haulier.journeys.delivery.manager import UploadManager
from haulier.journeys.delivery.preferences import PreferenceBook
from haulier.settings import Settings
from haulier.settings_chats import BotSettings
from haulier.settings_values import listed
from haulier.transfer.site_tools import SiteLimits
from haulier.transfer.sites import SiteDownloader

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulier.discord.bot import DeliveryBot

_LEASE_S = 30.0
_LINKS_INTERVAL_S = 600.0
_log = logging.getLogger(__name__)


async def run_discord_bot(
    settings: Settings, *, on_ready: Callable[[DeliveryBot], None] = lambda _: None
) -> None:
    """Serve Discord until cancelled; what was begun goes on in the next run.

    Args:
        settings: of this process.
        on_ready: told once the bot is signed in.

    Raises:
        ConfigurationError: DISCORD_TOKEN is missing. BadBotToken: Discord does not know it.
        MissingExtra: discord.py is not installed. CatalogError: the catalog can't be opened.
    """
    token = settings.chat.discord_token
    if token is None:
        raise ConfigurationError(
            "DISCORD_TOKEN is not set", hint="Set it to the bot's token, from Discord's portal."
        )
    try:
        import discord
        from haulier.discord.bot import PLATFORM, DeliveryBot
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "the bot needs discord.py",
            hint="Install it with `pip install 'haulier[discord,sites]'`.",
        ) from error
    root = settings.general.data / "chat"
    book = PreferenceBook(root / "preferences")
    async with await open_catalog(settings) as catalog, AsyncExitStack() as stack:
        bell = MemoryBell()
        desk = ChatDesk(catalog, bell, policy_of(settings.bot))
        bot = DeliveryBot(desk, book)
        stack.push_async_callback(bot.close)
        manager = await stack.enter_async_context(UploadManager(settings=settings, catalog=catalog))

        def managers(liked: Preferences) -> UploadManager:
            return UploadManager(
                settings=settings,
                catalog=catalog,
                preset=liked.preset,
                keep_originals=liked.keep_original,
            )

        work = ChatWork(
            desk=desk,
            catalog=catalog,
            root=root / "requests",
            sites=sites_of(settings.bot),
            managers=managers,
            preferences=book.load,
            contexts={PLATFORM: bot.place_of},
            processors={PLATFORM: manager.processor(PLATFORM)},
        )
        runner = Runner(
            catalog=catalog,
            kinds=[work.kind(settings.bot.bot_at_once)],
            bell=bell,
            at_once=settings.bot.bot_at_once,
            lease_s=_LEASE_S,
        )

        async def serve() -> None:
            try:
                await bot.start(token.get_secret_value())
            except discord.LoginFailure as error:
                raise BadBotToken("Discord does not know this token") from error

        async def tell() -> None:
            await bot.wait_until_ready()
            on_ready(bot)

        serving = asyncio.create_task(serve())
        working = asyncio.create_task(runner.run())
        others = [asyncio.create_task(tell()), asyncio.create_task(_remove_ended_links(manager))]
        try:
            await asyncio.wait({serving, working}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*(task for task in (serving, working) if task.done()))
        finally:
            for task in (*others, working, serving):
                task.cancel()
            await asyncio.gather(serving, working, *others, return_exceptions=True)


async def _remove_ended_links(manager: UploadManager) -> None:
    """Remove what links led to, soon after they end."""
    while True:
        try:
            await manager.remove_ended_links()
        except HaulierError:
            _log.exception("links that have ended could not be looked for")
        await asyncio.sleep(_LINKS_INTERVAL_S)


def policy_of(bot: BotSettings) -> ChatPolicy:
    """Return who may ask, as the settings say."""
    begin, end = (time.fromisoformat(one) for one in bot.bot_off_peak.split("-"))
    return ChatPolicy(
        guilds=frozenset(listed(bot.discord_guilds)),
        places=frozenset(listed(bot.discord_channels)),
        roles=frozenset(listed(bot.discord_roles)),
        priority_roles=frozenset(listed(bot.discord_priority_roles)),
        cooldown_s=bot.bot_cooldown_seconds,
        most_a_day=bot.bot_daily_requests,
        off_peak=(begin, end),
    )


def sites_of(bot: BotSettings) -> SiteDownloader:
    """Return what fetches links, as the settings say."""
    limits = SiteLimits(
        max_bytes=bot.download_max_mb << 20,
        max_files=bot.download_max_files,
        max_duration_s=bot.download_max_minutes * 60,
        timeout_s=bot.download_timeout_minutes * 60,
    )
    rate = bot.download_limit_rate
    return SiteDownloader(
        limits,
        allow=listed(bot.download_allow),
        cookies=bot.download_cookies_file,
        limit_rate=None if rate is None else parse_limit(rate),
    )
