"""The picture of a chat in the guide is what the bot says."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from docs.tables import REPOSITORY

PICTURE = REPOSITORY / "docs" / "images" / "chat.png"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools"))
    import chat_picture

    return chat_picture


def kept():
    """Return what the picture says of itself."""
    with Image.open(PICTURE) as picture:
        return picture.text["Transcript"]


def steady(text):
    """Return a text without what differs from run to run."""
    return re.sub(r"/shared/\S+|\d+", "", text).splitlines()


def test_the_picture_is_in_the_guide_and_the_readme():
    for page in ("docs/guides/discord.md", "README.md"):
        assert "images/chat.png" in (REPOSITORY / page).read_text(encoding="utf-8")
    assert "Too large for this chat" in kept()
    assert "127.0.0.1" not in kept()


@pytest.mark.servers
@pytest.mark.processes
@pytest.mark.timeout(600)
async def test_the_picture_is_what_the_bot_says(tool, tmp_path, s3_server):
    said = await tool.conversation(tmp_path, s3_server)
    assert steady(tool.transcript(said)) == steady(kept()), "make picture"
