"""send: files into a channel of the Discord double."""

from __future__ import annotations

import asyncio
import io
import threading

import pytest
from PIL import Image

from haulier.testing.discord_server import DiscordServer

# discord.py has no setting for where Discord is.
REDIRECT = "from discord.http import Route\nRoute.BASE = {base!r}\n"


@pytest.fixture
def channel(haulier, tmp_path):
    """A Discord double in a thread of its own; `haulier` speaks with it."""
    loop, server = asyncio.new_event_loop(), DiscordServer()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    (tmp_path / "site").mkdir()
    redirect = REDIRECT.format(base=f"{server.url}/api/v10")
    (tmp_path / "site" / "sitecustomize.py").write_text(redirect)
    haulier.env["PYTHONPATH"] = f"{tmp_path / 'site'}:{haulier.env['PYTHONPATH']}"
    haulier.env["DISCORD_TOKEN"] = server.token
    yield server
    asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def files(haulier):
    """Three pictures and a letter."""
    for name in "abc":
        picture = io.BytesIO()
        Image.new("RGB", (30, 20)).save(picture, "PNG")
        (haulier.here / f"{name}.png").write_bytes(picture.getvalue())
    (haulier.here / "letter.txt").write_text("hello\n")
    return ["a.png", "b.png", "letter.txt", "c.png"]


def test_media_arrive_and_the_rest_is_refused(haulier, channel, files):
    to = f"discord:{channel.channel_id}"
    printed = haulier("send", "--to", to, "--text", "look", *files, code=1)
    [sent] = channel.state.deliveries
    assert sent.content == "look"
    assert [each.filename for each in sent.attachments] == ["a.png", "b.png", "c.png"]
    size = (haulier.here / "a.png").stat().st_size
    assert printed.out.splitlines() == [
        f"{name}  {size} B  image  {to}/{sent.id}" for name in ("a.png", "b.png", "c.png")
    ]
    assert "letter.txt is neither video, sound nor image" in printed.err


def test_what_is_too_large_is_refused_or_made_smaller(haulier, channel):
    noise = Image.effect_noise((1600, 1600), 90)
    noise.save(haulier.here / "large.png")
    assert (haulier.here / "large.png").stat().st_size > 1 << 20
    haulier.env["DISCORD_LIMIT_MB"] = "1"
    to = f"discord:{channel.channel_id}"
    printed = haulier("send", "--to", to, "large.png", code=1)
    assert "--over-limit compress" in printed.err
    haulier("send", "--to", to, "--over-limit", "compress", "large.png")
    [sent] = channel.state.deliveries
    assert len(sent.attachments[0].content) < 1 << 20


@pytest.mark.parametrize(
    ("to", "said"), [("discord:here", "is no channel's id"), ("discord:", "is no chat")]
)
def test_what_is_no_channel(haulier, channel, files, to, said):
    assert said in haulier("send", "--to", to, "a.png", code=2).err


def test_without_or_with_a_wrong_token(haulier, channel, files):
    to = f"discord:{channel.channel_id}"
    haulier.env["DISCORD_TOKEN"] = "wrong"
    assert "token" in haulier("send", "--to", to, "a.png", code=1).err
    del haulier.env["DISCORD_TOKEN"]
    assert "DISCORD_TOKEN is not set" in haulier("send", "--to", to, "a.png", code=2).err
