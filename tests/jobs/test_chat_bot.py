"""`$download` from the message to the files in the channel: real discord.py, yt-dlp and ffmpeg."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

import pytest

from haulier import Settings
from haulier.discord.bot import BIN
from haulier.errors import BadBotToken, ConfigurationError
from haulier.jobs.chat_bot import run_discord_bot
from haulier.journeys.delivery.rooms import PRIVATE
from haulier.testing.discord_server import DiscordServer
from haulier.testing.discord_state import MIB, USER_ID, Fault
from jobs.bots import Site, answers, bot, said, start, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


async def test_a_link_becomes_files_in_the_channel(
    server: DiscordServer, site: Site, clip: bytes, tmp_path: Path
) -> None:
    async with bot(server, tmp_path):
        await server.say(f"$download {site.url}/post")
        status = await until(lambda: said(server, "Uploaded 1 file"))
        assert status.content.endswith(f"<{site.url}/post>")
        [delivery] = server.state.deliveries
        assert [each.content for each in delivery.attachments] == [clip]
        assert delivery.attachments[0].filename.startswith("A_day")
        # One message tells all of it.
        assert [each for each in answers(server) if not each.attachments] == [status]
        assert any("Fetching" in text for text in status.edits)
        assert list((tmp_path / "chat" / "requests").iterdir()) == []


async def test_the_slash_command_does_the_same(
    server: DiscordServer, site: Site, clip: bytes, tmp_path: Path
) -> None:
    async with bot(server, tmp_path):
        assert [each["name"] for each in server.state.commands] == ["download"]
        await server.use_command("download", url=f"{site.url}/clip.mp4", spoiler=True)
        status = await until(lambda: said(server, "Uploaded 1 file"))
        [delivery] = server.state.deliveries
        assert delivery.attachments[0].filename == "SPOILER_clip.mp4"
        assert delivery.attachments[0].content == clip
        assert f"||<{site.url}/clip.mp4>||" in status.content


async def test_not_uploaded_it_is_told_what_came(
    server: DiscordServer, site: Site, tmp_path: Path
) -> None:
    async with bot(server, tmp_path):
        message_id = await server.say(f"$download <{site.url}/clip.mp4> upload=False")
        await until(lambda: said(server, r"Fetched 1 file by http; not uploaded(.|\n)*clip\.mp4"))
        assert server.state.deliveries == []
        assert (tmp_path / "chat" / "requests" / f"{USER_ID}_{message_id}" / "clip.mp4").exists()


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("http://192.168.0.1/x.mp4", "private"),
        ("http://169.254.169.254/latest", "private"),
        ("file:///etc/passwd", "only http and https"),
        ("{site}/gone", "gone"),
    ],
)
async def test_what_can_not_be_fetched_is_told_and_not_tried_again(
    server: DiscordServer, site: Site, tmp_path: Path, link: str, told: str
) -> None:
    async with bot(server, tmp_path):
        await server.say(f"$download {link.format(site=site.url)}")
        status = await until(lambda: said(server, "Failed: "))
        assert told in status.content
        assert "tried again" not in status.content
        assert str(tmp_path) not in status.content
        await until(lambda: all_marked(tmp_path / "chat" / "requests"))


def all_marked(requests: Path) -> bool:
    """Whether what is left of requests is removed when its time has come."""
    left = list(requests.iterdir()) if requests.exists() else []
    return all((folder / PRIVATE / "kept").exists() for folder in left)


async def test_of_a_long_list_it_is_told_that_only_the_first_came(
    server: DiscordServer, site: Site, clip: bytes, tmp_path: Path
) -> None:
    names = [f"/{number}.mp4" for number in range(2000)]
    site.files |= {name: clip + name.encode() for name in names}
    videos = "".join(f'<video src="{name}"></video>' for name in names)
    site.files["/list"] = f"<html><title>Trip</title>{videos}</html>".encode()
    async with bot(server, tmp_path, DOWNLOAD_MAX_FILES=2):
        await server.say(f"$download {site.url}/list")
        status = await until(lambda: said(server, "Uploaded 2 files"), server)
    assert "Of one link 2 files are taken; what follows was left out." in status.content


async def test_a_wrong_command_is_explained(server: DiscordServer, tmp_path: Path) -> None:
    async with bot(server, tmp_path):
        await server.say("$play something")  # perhaps another bot's
        for text, told in {
            "$download": r"Write it so: `\$download URL \[spoiler\] \[later\] \[upload=False\]`",
            "$download http://x y=z": "^'y=z' is not understood. Behind the link may stand spoiler",
            "$cancel": r"Write it so: `\$cancel NAME`",
            "$cancel nope": r"^No request of yours is called 'nope'\. See `\$queue`",
            "$downlaod http://x": r"Did you mean `\$download`\?",
            "$help": r"`\$queue` what is under way",
            "$help download": r"`\$download URL` a film",
        }.items():
            before = len(answers(server))
            await server.say(text)
            answer = await until(lambda before=before: answers(server)[before:], server)
            assert re.search(told, answer[0].content), answer[0].content


async def test_the_queue_is_shown_and_what_waits_or_runs_can_be_cancelled(
    server: DiscordServer, site: Site, tmp_path: Path
) -> None:
    site.held.clear()
    server.state.everyone_may = 0x1_8C00  # see, write, attach, read what was written
    async with bot(server, tmp_path, BOT_AT_ONCE=1):
        await server.say(f"$download {site.url}/clip.mp4")
        await until(lambda: site.asked)
        await server.say(f"$download {site.url}/post")
        waiting = await until(lambda: said(server, r"Queued as `\w+`: 1 before it"))
        await server.say("$queue")
        shown = await until(lambda: said(server, "under way"))
        first, second = re.findall(r"`(\w+)` (?:under way|waits)", shown.content)
        assert f"`$cancel {second}` stops it" in waiting.content
        assert f"`{second}` waits: <{site.url}/post> for <@{USER_ID}>" in shown.content
        await server.say(f"$cancel {second}", user_id=4003)
        await until(lambda: said(server, "No request of yours"))
        for name in (second, first):
            await server.say(f"$cancel {name}")
            await until(lambda name=name: said(server, f"Cancelled `{name}`"))
        await until(lambda: said(server, "^Cancelled\\.\n"))
        await server.say("$queue")
        await until(lambda: said(server, "Nothing waits"))
        assert server.state.deliveries == []
        assert list((tmp_path / "chat" / "requests").iterdir()) == []


async def test_who_asked_may_delete_it(server: DiscordServer, site: Site, tmp_path: Path) -> None:
    async with bot(server, tmp_path):
        await server.say(f"$download {site.url}/clip.mp4")
        status = await until(lambda: said(server, "Uploaded 1 file"))
        [delivery] = server.state.deliveries
        await asyncio.sleep(0.2)  # the job is noted as done just after the status
        await server.react(delivery.id, BIN, user_id=4003)
        await server.react(delivery.id, "\N{THUMBS UP SIGN}")
        await server.say("$queue")
        await until(lambda: said(server, "Nothing waits"))
        assert delivery.id in server.state.messages
        await server.react(delivery.id, BIN)
        await until(lambda: not {status.id, delivery.id} & set(server.state.messages))


async def test_limits_of_persons_and_places(
    server: DiscordServer, site: Site, tmp_path: Path
) -> None:
    async with bot(server, tmp_path, BOT_DAILY_REQUESTS=1):
        for _ in range(2):
            await server.say(f"$download {site.url}/clip.mp4")
        await until(lambda: said(server, "You have asked 1 times .* ask again in 24 h"))
    async with bot(server, tmp_path, DISCORD_CHANNELS="99"):
        await server.say(f"$download {site.url}/clip.mp4")
        await until(lambda: said(server, "does not serve this channel"))


async def test_preferences_are_kept(server: DiscordServer, site: Site, tmp_path: Path) -> None:
    async with bot(server, tmp_path):
        await server.say("$preferences preset=fast notify=yes original=yes")
        await until(lambda: said(server, "preset=fast notify=yes original=yes"))
        await server.say("$preferences preset=ugly")
        await until(lambda: said(server, "is not understood"))
    async with bot(server, tmp_path):
        await server.say(f"$download {site.url}/clip.mp4")
        await until(lambda: said(server, f"Uploaded(.|\n)*<@{USER_ID}>"))


async def test_ten_at_once_all_get_theirs(
    server: DiscordServer, site: Site, clip: bytes, tmp_path: Path
) -> None:
    for number in range(10):
        site.files[f"/{number}.mp4"] = clip + bytes([number])
    async with bot(server, tmp_path, BOT_AT_ONCE=4):
        for number in range(10):
            await server.say(f"$download {site.url}/{number}.mp4", user_id=5000 + number)
        await until(lambda: len(server.state.deliveries) == 10)
    sent = [each.content for one in server.state.deliveries for each in one.attachments]
    assert sorted(sent) == sorted(clip + bytes([number]) for number in range(10))


@pytest.mark.parametrize("when", ["fetching", "sending"])
async def test_killed_on_the_way_it_goes_on_and_nothing_is_sent_twice(
    server: DiscordServer, site: Site, clip: bytes, tmp_path: Path, when: str
) -> None:
    if when == "fetching":
        site.held.clear()
    else:
        server.state.faults.append(Fault("lose"))
    first = await start(server, tmp_path)
    await server.say(f"$download {site.url}/clip.mp4")
    await until(lambda: site.asked if when == "fetching" else server.state.deliveries)
    first.kill()
    await first.wait()
    site.held.set()
    server.state.faults.clear()
    server.state.forget_nonces()
    second = await start(server, tmp_path)
    try:
        await until(lambda: said(server, "Uploaded 1 file"))
    finally:
        second.terminate()
        await second.wait()
    [delivery] = server.state.deliveries
    assert [each.content for each in delivery.attachments] == [clip]


async def test_a_wrong_token_and_none(server: DiscordServer, tmp_path: Path) -> None:
    with pytest.raises(BadBotToken):
        await run_discord_bot(Settings.load(data=tmp_path, DISCORD_TOKEN="MTAwMQ.wrong.token"))
    with pytest.raises(ConfigurationError, match="DISCORD_TOKEN"):
        await run_discord_bot(Settings.load(data=tmp_path))


async def test_what_is_too_large_is_made_to_fit(
    server: DiscordServer, site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "noise.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=4", "-vf", "noise=alls=60:allf=t"]
    subprocess.run(["ffmpeg", "-v", "error", *source, "-qp", "12", path], check=True)
    site.files["/noise.mp4"] = path.read_bytes()
    assert path.stat().st_size > 2 * MIB
    server.state.limit_bytes = 2 * MIB
    async with bot(server, tmp_path / "data", DISCORD_LIMIT_MB=2):
        await server.say("$preferences preset=fast")
        await server.say(f"$download {site.url}/noise.mp4")
        status = await until(lambda: said(server, "Uploaded 1 file"), server)
    assert "compressed" in status.content
    [delivery] = server.state.deliveries
    assert len(delivery.attachments[0].content) < 2 * MIB
