"""The bot of MAX that keeps files, put together as the settings say."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import hmac
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from haulier.catalog.catalog import Catalog
from haulier.coordination.bells import MemoryBell
from haulier.core.jobs import JobState
from haulier.core.progress import ProgressBoard
from haulier.errors import ConfigurationError, HaulierError, OperationBusy
from haulier.jobs.max_desk import TYPES, MaxDesk
from haulier.jobs.max_work import PLATFORM, MaxWork
from haulier.jobs.runner import Runner
from haulier.journeys.archive.open import open_catalog, open_destination
from haulier.journeys.chat_shelf import ChatShelf
from haulier.journeys.sending import open_max_client, open_max_files
from haulier.max.bot import MaxBot
from haulier.max.client import MaxClient
from haulier.max.files import FileManager
from haulier.media.isolation import Workers
from haulier.settings import Settings
from haulier.settings_values import listed
from haulier.store.local_files import system_errors
from haulier.transfer.tokens import TokenStore

EVERYBODY = "*"
_LEASE_S = 10.0
_ENDS_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiving:
    """How the bot gets to know what happens: by polling, or where there is a `webhook`, its URL,
    by requests to `host` and `port`. `end_webhooks` removes those of earlier, to poll."""

    webhook: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    end_webhooks: bool = False


async def run_max_bot(
    settings: Settings,
    receiving: Receiving,
    *,
    to: str | None = None,
    on_ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve MAX until cancelled; what was begun goes on in the next run.

    Args:
        settings: of this process.
        receiving: polling, or a webhook.
        to: where files are kept, as `haulier upload --to` has it; where archives go when None.
        on_ready: told in words how the bot receives, once it does.

    Raises:
        ConfigurationError: a setting is missing or can't be; or a webhook is in the way of
            polling. BadBotToken: MAX does not know MAX_TOKEN. OperationBusy: it runs already.
        CatalogError, StoreError: the catalog or the store can't be opened.
    """
    if receiving.webhook is not None and not receiving.webhook.startswith("https://"):
        raise ConfigurationError(
            "MAX sends to https:// URLs alone", hint="Give --webhook https://…, on port 443."
        )
    may_use = users_of(settings)
    root = settings.general.data / "max"
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(open_max_client(settings))
        stack.enter_context(_held(root / f"bot-{client.bot_id}.lock"))
        catalog = await stack.enter_async_context(await open_catalog(settings))
        destination = await open_destination(settings, catalog, stack, to)
        workers = None
        if all(find_spec(name) for name in ("PIL", "av")):  # else MAX checks pixels and minutes
            workers = await stack.enter_async_context(Workers())
        bell, tokens = MemoryBell(), TokenStore(catalog)

        def files_of(board: ProgressBoard) -> FileManager:
            return open_max_files(settings, client, catalog, workers=workers, board=board)

        work = MaxWork(
            client=client,
            shelf=ChatShelf(
                catalog,
                destination,
                platform=PLATFORM,
                link_hours=settings.chat.upload_link_hours,
            ),
            tokens=tokens,
            managers=files_of,
            scratch=root / "bot",
            may_use=may_use,
        )
        await _forget_rooms(catalog, root / "bot")
        runner = Runner(
            catalog=catalog,
            kinds=work.kinds(settings.bot.bot_at_once),
            bell=bell,
            at_once=2 * settings.bot.bot_at_once,
            lease_s=_LEASE_S,
            poll_s=1,
        )
        bot = MaxBot(client)
        bot.on(*TYPES)(MaxDesk(catalog, bell, bot_id=client.bot_id, may_use=may_use).accept)
        assert settings.chat.max_token is not None
        secret = settings.chat.max_token.get_secret_value()
        receive = _Receiver(client, bot, receiving, secret, on_ready)
        await receive.prepare()
        tasks = [
            asyncio.create_task(receive.until_cancelled()), asyncio.create_task(runner.run())
        ]  # fmt: skip
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*done)
        finally:
            for task in tasks:
                task.cancel()
                await asyncio.wait({task})


def users_of(settings: Settings) -> Callable[[int], bool]:
    """Return what tells whether somebody may use the bot, by MAX_USERS."""
    named = frozenset(listed(settings.bot.max_users))
    return lambda user_id: EVERYBODY in named or str(user_id) in named


class _Receiver:
    """Gets updates to the bot, by polling or by a webhook."""

    def __init__(
        self,
        client: MaxClient,
        bot: MaxBot,
        receiving: Receiving,
        token: str,
        on_ready: Callable[[str], None],
    ) -> None:
        self._client = client
        self._bot = bot
        self._receiving = receiving
        self._token = token
        self._on_ready = on_ready

    async def prepare(self) -> None:
        """Make sure that MAX knows the bot, and that no webhook is in the way."""
        known = await self._client.subscriptions()
        if self._receiving.webhook is not None or not known:
            return
        if not self._receiving.end_webhooks:
            raise ConfigurationError(
                f"the bot has a webhook ({_shown(known[0])}): MAX sends what happens there",
                hint="Start it with --webhook URL, or with --end-webhooks to poll from now on.",
            )
        for url in known:
            await self._client.unsubscribe(url)

    async def until_cancelled(self) -> None:
        """Receive, and end in good order: what was taken in is told to MAX."""
        if self._receiving.webhook is not None:
            await self._serve(self._receiving.webhook)
            return
        polling = asyncio.create_task(self._bot.poll(types=TYPES))
        self._on_ready("polling")
        try:
            await asyncio.shield(polling)
        except asyncio.CancelledError:
            self._bot.stop()
            with suppress(TimeoutError, HaulierError):
                await asyncio.wait_for(polling, _ENDS_WITHIN_S)
            raise

    async def _serve(self, url: str) -> None:
        from aiohttp import web

        from haulier.max.webhook import Webhook

        # The same in each run, and known to nobody who has not got the token.
        secret = hmac.new(self._token.encode(), url.encode(), hashlib.sha256).hexdigest()
        async with Webhook(
            self._bot, secret=secret, path=urlsplit(url).path or "/", answers_late=False
        ) as hook:
            runner = web.AppRunner(hook.app, access_log=None, handle_signals=False)
            await runner.setup()
            try:
                with system_errors(f"{self._receiving.host}:{self._receiving.port}"):
                    site = web.TCPSite(runner, self._receiving.host, self._receiving.port)
                    await site.start()
                await self._client.subscribe(url, secret=secret, types=TYPES)
                host, port = runner.addresses[0][:2]
                self._on_ready(f"listening on http://{host}:{port}")
                await asyncio.Event().wait()
            finally:
                await runner.cleanup()


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Be the only one on this machine that runs a bot, while the block runs."""
    with system_errors(str(path)):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OperationBusy(
                "this bot runs already", hint="Stop it first: two would share its messages."
            ) from None
        yield
    finally:
        os.close(descriptor)


async def _forget_rooms(catalog: Catalog, root: Path) -> None:
    """Remove what messages left behind that are dealt with."""
    rooms = [one.name for one in root.iterdir()] if root.is_dir() else []
    for name in rooms:
        job = await catalog.read(lambda tx, name=name: tx.jobs.get(name))  # type: ignore[misc]  # a default binds it
        if job is None or job.state not in {JobState.PENDING, JobState.RUNNING}:
            await asyncio.to_thread(shutil.rmtree, root / name, ignore_errors=True)


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}"
