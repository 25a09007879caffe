"""send: files into a chat of the MAX double."""

from __future__ import annotations

import asyncio
import io
import threading

import pytest
from PIL import Image

from haulier.testing.max_server import MaxServer


@pytest.fixture
def chat(haulier):
    """A MAX double in a thread of its own; `haulier` knows where it is."""
    loop, server = asyncio.new_event_loop(), MaxServer()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    haulier.env |= {"MAX_TOKEN": server.token, "MAX_API_URL": server.url}
    yield server
    asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def files(haulier):
    """A picture and a letter."""
    picture = io.BytesIO()
    Image.new("RGB", (30, 20)).save(picture, "PNG")
    (haulier.here / "photo.png").write_bytes(picture.getvalue())
    (haulier.here / "letter.txt").write_text("hello\n")
    return ["photo.png", "letter.txt"]


def test_files_arrive_in_the_chat(haulier, chat, files):
    printed = haulier("send", "--to", "max:-7", "--text", "look", *files)
    first, second = chat.state.messages
    size = (haulier.here / "photo.png").stat().st_size
    assert printed.out.splitlines() == [
        f"photo.png  {size} B  image  max:-7/{first}",
        f"letter.txt  6 B  file  max:-7/{second}",
    ]
    assert "photo.png  finished" in printed.err
    texts = [message["body"]["text"] for message in chat.state.messages.values()]
    assert texts == ["look", None]
    [media] = [one for one in chat.state.media.values() if one.type == "file"]
    assert (media.name, media.content) == ("letter.txt", b"hello\n")
    assert chat.state.leaks == []


def test_programs_get_a_record_for_each_file(haulier, chat, files):
    sent, gone = haulier.json("send", "--to", "max:user:5", "letter.txt", "gone.txt", code=1)
    assert (sent["operation_type"], sent["status"]) == ("send", "success")
    assert sent["result_path"] == f"max:user:5/{sent['metadata']['message_id']}"
    assert (sent["metadata"]["type"], sent["metadata"]["size"]) == ("file", 6)
    assert sent["metadata"]["checksum"].startswith("crc64nvme:")
    assert (gone["status"], gone["metadata"]["error"]["code"]) == ("failed", "target-missing")
    kept = haulier.json("history")
    assert {one["operation_id"] for one in kept} == {sent["operation_id"], gone["operation_id"]}
    assert chat.token not in str(kept)


def test_what_max_has_already_is_not_uploaded_again(haulier, chat, files):
    sent = [haulier.json("send", "--to", to, "letter.txt") for to in ("max:-7", "max:1")]
    told = [one["metadata"] for [one] in sent]
    assert [one["reused"] for one in told] == [False, True]
    assert [one["checksum"] is None for one in told] == [False, True]
    assert chat.state.count("POST", "/uploads") == 1
    assert len(chat.state.messages) == 2
    chat.state.media.clear()  # forgotten: it is uploaded once more
    haulier("send", "--to", "max:1", "letter.txt")
    assert chat.state.count("POST", "/uploads") == 2


def test_pictures_go_as_files_where_that_is_wanted(haulier, chat, files):
    haulier("send", "--to", "max:1", "--as-file", "photo.png")
    [message] = chat.state.messages.values()
    assert [one["type"] for one in message["body"]["attachments"]] == ["file"]


def test_a_chat_that_refuses_is_told(haulier, chat, files):
    printed = haulier("send", "--to", "max:404", "letter.txt", code=1)
    assert "chat.not.found" in printed.err
    assert "Check the id" in printed.err


def test_what_makes_no_sense_is_told(haulier, chat, files):
    for to in ("discord:5", "max:", "max:x", "s3://bucket"):
        haulier("send", "--to", to, "letter.txt", code=2)
    haulier("send", "--to", "max:1", "--over-limit", "split", "letter.txt", code=2)
    printed = haulier("send", "--to", "max:1", "letter.txt", code=2, env={"MAX_TOKEN": ""})
    assert "MAX_TOKEN" in printed.err
    assert chat.state.seen == []
