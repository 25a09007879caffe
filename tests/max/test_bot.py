"""Bots: who is called with what, when it counts as dealt with, and how it ends."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from haulier import errors
from haulier.max.bot import MaxBot
from haulier.max.client import MaxClient
from haulier.max.models import Update
from haulier.max.webhook import Webhook
from haulier.testing.max_server import MaxServer
from haulier.testing.max_state import MaxState

SECRET = "webhook-secret"


async def no_wait(_seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
def bot(client: MaxClient) -> MaxBot:
    return MaxBot(client, sleep=no_wait)


async def test_handlers_get_what_they_asked_for(server: MaxServer, bot: MaxBot) -> None:
    called: list[tuple[str, str | None]] = []

    def note(name: str) -> Any:
        async def handler(update: Update) -> None:
            called.append((name, update.message.text if update.message else update.type))

        return handler

    bot.on_message()(note("any"))
    bot.on_message(text="stop it")(note("exact"))
    bot.on_message(command="start")(note("command"))
    bot.on_message(attachments=True)(note("with files"))
    bot.on_message(attachments=False, chat_id=-7)(note("chat"))
    bot.on("bot_started")(note("started"))

    @bot.on()
    async def last(update: Update) -> None:
        if update.type == "bot_stopped":
            bot.stop()

    server.receive(1, "/start now")
    server.receive(1, "/starting")
    server.receive(-7, "stop it")
    server.receive(1, None, [server.attachment(server.put_media("audio", b"x"))])
    server.push({"update_type": "bot_started", "timestamp": 1, "chat_id": 1})
    server.push({"update_type": "bot_stopped", "timestamp": 2, "chat_id": 1})
    await bot.poll()
    assert sorted(called, key=str) == sorted(
        [
            ("any", "/start now"), ("command", "/start now"), ("any", "/starting"),
            ("any", "stop it"), ("exact", "stop it"), ("chat", "stop it"),
            ("any", None), ("with files", None), ("started", "bot_started"),
        ],
        key=str,
    )  # fmt: skip


async def test_a_stop_commits_what_was_dealt_with(
    server: MaxServer, bot: MaxBot, state: MaxState
) -> None:
    seen: list[str | None] = []

    @bot.on_message()
    async def handle(update: Update) -> None:
        assert update.message is not None
        if update.message.text == "two":
            bot.stop()
            await asyncio.sleep(0.05)
        seen.append(update.message.text)

    server.receive(1, "one")
    server.receive(1, "two")
    marker = await bot.poll()
    assert (seen, marker, state.committed) == (["one", "two"], 2, 2)
    server.receive(1, "three")
    bot.on_message(text="three")(lambda _: _stop(bot))
    await bot.poll()
    assert seen == ["one", "two", "three"], "nothing comes twice"


async def _stop(bot: MaxBot) -> None:
    bot.stop()


async def test_a_stop_while_nothing_happens_is_quick(bot: MaxBot, state: MaxState) -> None:
    polling = asyncio.create_task(bot.poll(timeout_s=90))
    while not state.count("GET", "/updates"):
        await asyncio.sleep(0.01)
    bot.stop()
    async with asyncio.timeout(60):
        assert await polling is None


async def test_what_was_not_dealt_with_comes_again(
    server: MaxServer, bot: MaxBot, client: MaxClient, state: MaxState
) -> None:
    started = asyncio.Event()

    @bot.on_message()
    async def handle(_update: Update) -> None:
        started.set()
        await asyncio.Event().wait()

    server.receive(1, "one")
    polling = asyncio.create_task(bot.poll())
    await started.wait()
    polling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await polling
    assert state.committed == 0
    assert len((await client.get_updates(timeout_s=0)).updates) == 1


async def test_a_failing_handler_stops_nothing(
    server: MaxServer, bot: MaxBot, caplog: pytest.LogCaptureFixture
) -> None:
    @bot.on_message()
    async def broken(_update: Update) -> None:
        raise KeyError("oops")

    bot.on_message(text="end")(lambda _: _stop(bot))
    server.receive(1, "one")
    server.receive(1, "end")
    assert await bot.poll() == 2
    assert "broken" in caplog.text


async def test_chats_do_not_wait_for_each_other_and_keep_their_order(
    server: MaxServer, bot: MaxBot
) -> None:
    order: list[str | None] = []
    other = asyncio.Event()

    @bot.on_message()
    async def handle(update: Update) -> None:
        assert update.message is not None
        if update.message.text == "slow":
            await other.wait()
        order.append(update.message.text)
        if update.message.chat_id == -7:
            other.set()
        if update.message.text == "behind":
            bot.stop()

    for chat_id, text in ((1, "slow"), (1, "behind"), (-7, "quick")):
        server.receive(chat_id, text)
    async with asyncio.timeout(60):
        await bot.poll()
    assert order == ["quick", "slow", "behind"]


async def test_failures_of_max_are_waited_out(
    server: MaxServer, bot: MaxBot, state: MaxState
) -> None:
    state.faults.answers.extend([("GET /updates", 503, b"")] * 9)
    bot.on_message()(lambda _: _stop(bot))
    server.receive(1, "one")
    assert await bot.poll() == 1


async def test_a_wrong_token_ends_it(server: MaxServer) -> None:
    async with MaxClient("wrong", api_url=server.url) as client:
        with pytest.raises(errors.BadBotToken):
            await MaxBot(client).poll()
    server.state.leaks.clear()


# --- webhooks


@pytest.fixture
async def hook(bot: MaxBot) -> AsyncIterator[str]:
    async with Webhook(bot, secret=SECRET, path="/hook", answer_within_s=0.2) as webhook:
        runner = web.AppRunner(webhook.app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        await runner.cleanup()


async def test_a_webhook_takes_what_has_the_secret(
    server: MaxServer, bot: MaxBot, hook: str
) -> None:
    got: list[str] = []

    @bot.on()
    async def handle(update: Update) -> None:
        got.append(update.type)

    update = server.receive(1, "one")
    assert await server.deliver(hook, update, SECRET) == 200
    assert await server.deliver(hook, {"update_type": "new_kind"}, SECRET) == 200
    assert await server.deliver(hook, update, "wrong-secret") == 403
    assert await server.deliver(hook, update, "ключ".encode().decode("latin-1")) == 403
    assert await server.deliver(hook, update) == 403
    assert await server.deliver(hook, [], SECRET) == 400  # type: ignore[arg-type]  # no object
    assert got == ["message_created", "new_kind"]


@pytest.mark.parametrize(("answers_late", "status"), [(True, 200), (False, 503)])
async def test_a_slow_handler_is_answered_for_and_ends(
    server: MaxServer, client: MaxClient, answers_late: bool, status: int
) -> None:
    bot, ended = MaxBot(client), []

    @bot.on()
    async def handle(_update: Update) -> None:
        await asyncio.sleep(0.5)
        ended.append(True)

    async with Webhook(
        bot, secret=SECRET, answer_within_s=0.05, answers_late=answers_late
    ) as webhook:
        runner = web.AppRunner(webhook.app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        assert await server.deliver(url, {"update_type": "x"}, SECRET) == status
        assert ended == []
        await runner.cleanup()
    assert ended == [True]


def test_a_webhook_without_a_secret_is_refused(bot: MaxBot) -> None:
    with pytest.raises(errors.UsageError):
        Webhook(bot, secret="")
