"""Answers that are found again by the message they answer, and what messages ask for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from haulier import errors
from haulier.max.client import MaxClient
from haulier.max.commands import Command, command_of
from haulier.max.files import FileManager
from haulier.max.models import Message
from haulier.max.outgoing import Outgoing
from haulier.max.replies import Replies, storable
from haulier.testing.max_server import MaxServer
from haulier.testing.max_state import MaxState

CHAT = -7


async def no_wait(_seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
def asked(server: MaxServer) -> Message:
    return Message.of(server.receive(CHAT, "/help")["message"])


@pytest.fixture
def replies_of(client: MaxClient, asked: Message) -> Any:
    return lambda **more: Replies(client, asked, sleep=no_wait, **more)


def texts(state: MaxState) -> list[str | None]:
    return [one["body"]["text"] for one in state.messages.values() if one["sender"]["is_bot"]]


async def test_one_message_is_edited_in_place(replies_of: Any, state: MaxState) -> None:
    replies = replies_of(interval_s=0)
    for text in ("one", "two", "two"):
        await replies.tell(text)
    await replies.say("three")
    await replies.say("three")
    assert texts(state) == ["three"]
    assert (state.count("POST", "/messages"), state.count("PUT", "/messages")) == (1, 2)


async def test_what_somebody_deleted_is_said_anew(replies_of: Any, state: MaxState) -> None:
    replies = replies_of()
    await replies.say("one")
    state.messages.popitem()
    await replies.say("two")
    assert texts(state) == ["two"]


async def test_another_run_edits_what_the_first_one_said(replies_of: Any, state: MaxState) -> None:
    await replies_of().say("one")
    await replies_of(again=True).say("two")
    assert texts(state) == ["two"]


async def test_another_run_that_finds_nothing_says_it(
    replies_of: Any, server: MaxServer, client: MaxClient, state: MaxState
) -> None:
    # What it said to others is no answer to this one, and neither is what people say.
    other = Message.of(server.receive(CHAT, "/list")["message"])
    await Replies(client, other).say("to another")
    await replies_of(again=True).say("one")
    assert texts(state) == ["to another", "one"]


@pytest.mark.parametrize("text", ["one", None])
async def test_a_lost_answer_is_looked_for(
    replies_of: Any, server: MaxServer, state: MaxState, text: str | None
) -> None:
    state.faults.lose_messages = 1
    if text is not None:
        await replies_of().say(text)
    else:
        media = server.put_media("file", b"x", "x.txt")
        sent = await replies_of().send_again(Outgoing.by_token("file", media.token))
        assert sent.attachments[0].token == media.token
    assert texts(state) == [text]


async def test_files_that_arrived_are_known(
    replies_of: Any, client: MaxClient, asked: Message, state: MaxState
) -> None:
    replies = replies_of()
    await replies.say("here it is")
    await FileManager(client).send_file(CHAT, b"x", name="x.txt", reply_to=asked.mid)
    again = replies_of(again=True)
    [found] = await again.sent_files()
    assert found.attachments[0].filename == "x.txt"
    await again.say("there it was")
    assert texts(state) == ["there it was", None]
    assert await replies_of().sent_files() == []


async def test_a_message_that_never_arrived_may_be_tried_again(
    replies_of: Any, state: MaxState
) -> None:
    state.faults.answers.append(("POST /messages", 500, b""))
    with pytest.raises(errors.Transient):
        await replies_of().say("one")
    assert texts(state) == []


async def test_a_chat_that_can_not_be_looked_into(replies_of: Any, state: MaxState) -> None:
    await replies_of().say("one")
    state.denied.add(CHAT)
    with pytest.raises(errors.MessageUncertain, match="can't be told"):
        await replies_of(again=True).say("one")
    assert texts(state) == ["one"]


async def test_too_many_messages_since(replies_of: Any, server: MaxServer, state: MaxState) -> None:
    first = server.receive(CHAT, "hello")["message"]
    for number in range(600):
        body = {**first["body"], "mid": f"m{number}"}
        later = first["timestamp"] + number
        state.messages[f"m{number}"] = {**first, "body": body, "timestamp": later}
    with pytest.raises(errors.MessageUncertain, match="too many"):
        await replies_of(again=True).say("one")


@pytest.mark.parametrize(
    ("said", "chat_type", "command"),
    [
        ("/list", "chat", Command(name="list")),
        ("/LIST@keeper_bot 2", "chat", Command(name="list", argument="2")),
        ("/start", "dialog", Command(name="help")),
        ("/search  old film ", "dialog", Command(name="find", argument="old film")),
        ("old film", "dialog", Command(name="find", argument="old film")),
        ("old film", "chat", None),
        ("  ", "dialog", None),
        (None, "dialog", None),
        ("/", "chat", Command(name="")),
    ],
)
def test_what_a_message_asks_for(said: str | None, chat_type: str, command: Command | None) -> None:
    assert command_of(Message(mid="m", text=said, chat_type=chat_type)) == command


def test_what_can_be_kept() -> None:
    attachments = [
        {"type": kind, "payload": {"token": "t"}}
        for kind in ("image", "sticker", "file", "inline_keyboard", "video", "audio", "location")
    ]
    message = Message.of({"body": {"mid": "m", "attachments": attachments}})
    assert [one.type for one in storable(message)] == ["image", "file", "video", "audio"]
