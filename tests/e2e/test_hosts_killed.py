"""A hundred users, three servers and two workers behind nginx; whatever can die does, again and again.

Nothing acknowledged is lost, no feed of events has a gap that its listener is not told of, no job
is lost and none is done to double effect.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import aiohttp
import pytest

from haulier.catalog.catalog import Catalog
from haulier.core.accounts import Role
from haulier.core.jobs import JobState
from haulier.core.sessions.session import SessionStatus
from haulier.files.accounts import Accounts
from haulier.files.tokens import Tokens
from hosts import SECRET, Site, running_site

pytestmark = pytest.mark.servers
USERS = 100
LISTENERS = 10
TUS = {"Tus-Resumable": "1.0.0"}
OCTETS = "application/offset+octet-stream"
# What a client may be told while something is away, or another request still holds on.
PASSING = {409, 423, 429, 502, 503, 504}
AWAY = (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError)


@dataclass
class Uploader:
    """A user with one file after the other, who goes on from what the server says until it is there."""

    number: int
    token: str
    url: str
    acknowledged: Callable[[], None]
    turn: int = 0
    in_chunks: bool = False
    location: str | None = None
    offset: int = 0
    received: set[int] = field(default_factory=set)
    file_id: str | None = None
    interruptions: int = 0
    data: bytes = field(init=False)

    def __post_init__(self) -> None:
        chance = random.Random(f"{self.number} {self.turn}")
        self.data = chance.randbytes(chance.randrange(1, 400_000))
        self.piece = max(1, len(self.data) // 3 + 1)
        self.in_chunks = self.number % 4 == 0
        self.name = f"{self.turn}.bin"
        self.size, self.sha256 = len(self.data), hashlib.sha256(self.data).hexdigest()

    async def run(self, client: aiohttp.ClientSession) -> None:
        while self.file_id is None:
            try:
                await (self._chunk if self.in_chunks else self._patch)(client)
                await self._look(client)
            except AWAY:
                self.interruptions += 1
                await asyncio.sleep(0.2)
        self.data = b""

    async def ask(self, client, method, where, wanted, **more):
        """Return the answer's headers and body; raise one of AWAY for what passes."""
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        async with client.request(method, self.url + where, headers=headers, **more) as answer:
            body = await answer.read()
            if answer.status in PASSING:
                raise aiohttp.ClientError(f"{answer.status}")
            assert answer.status in wanted, (method, where, answer.status, body[:300])
            return answer.headers, body

    async def _patch(self, client) -> None:
        if self.location is None:
            named = f"filename {base64.b64encode(self.name.encode()).decode()}"
            told = {**TUS, "Upload-Length": str(self.size), "Upload-Metadata": named}
            headers, _ = await self.ask(client, "POST", "/tus/", {201}, headers=told)
            self.location = "/tus/" + headers["Location"].rpartition("/")[2]
        headers, _ = await self.ask(client, "HEAD", self.location, {200}, headers=TUS)
        offset = int(headers["Upload-Offset"])
        assert offset >= self.offset, "acknowledged bytes are gone"
        self.offset = offset
        while self.offset < len(self.data):
            piece = self.data[self.offset : self.offset + self.piece]
            more = {**TUS, "Upload-Offset": str(self.offset), "Content-Type": OCTETS}
            headers, _ = await self.ask(
                client, "PATCH", self.location, {204}, data=piece, headers=more
            )
            self.offset = int(headers["Upload-Offset"])
            self.acknowledged()

    async def _chunk(self, client) -> None:
        if self.location is None:
            told = {"name": self.name, "size": self.size, "checksum": f"sha256:{self.sha256}"}
            _, body = await self.ask(client, "POST", "/api/files/upload/start", {201}, json=told)
            self.location = f"/api/files/upload/{json.loads(body)['session_id']}"
        _, body = await self.ask(client, "GET", self.location, {200})
        found = json.loads(body)
        safe = {n for first, last in found["received"] for n in range(first, last + 1)}
        assert safe >= self.received, "acknowledged chunks are gone"
        for first, last in found["missing"]:
            for number in range(first, last + 1):
                at = (number - 1) * found["chunk_size"]
                piece = self.data[at : at + found["chunk_size"]]
                more = {"X-Chunk-Number": str(number)}
                await self.ask(
                    client, "POST", f"{self.location}/chunk", {200, 201, 202},
                    data=piece, headers=more,
                )  # fmt: skip
                self.received.add(number)
                self.acknowledged()

    async def _look(self, client) -> None:
        """Wait until the file is there: it may have to be verified first."""
        _, body = await self.ask(client, "GET", "/api/files", {200}, params={"limit": "500"})
        items = [one for one in json.loads(body)["items"] if one["name"] == self.name]
        assert len(items) <= 1, "one upload became two files"
        if not items:
            raise aiohttp.ClientError("not there yet")
        self.file_id = items[0]["id"]

    async def fetch(self, client) -> bytes:
        while True:
            try:
                where = f"/api/files/{self.file_id}/download"
                return (await self.ask(client, "GET", where, {200}))[1]
            except AWAY:
                await asyncio.sleep(0.2)


@dataclass
class Listener:
    """Follows a user's events; where it is told of a gap it asks the changes feed."""

    user: Uploader
    known: set[str] = field(default_factory=set)
    resets: int = 0
    breaks: int = 0
    last_id: str | None = None
    cursor: str | None = None

    async def run(self, client: aiohttp.ClientSession) -> None:
        while True:
            try:
                # Before the first connection nothing was promised.
                if self.last_id is None:
                    await self.ask_changes(client)
                await self._listen(client)
            except AWAY:
                self.breaks += 1
            await asyncio.sleep(0.2)

    async def _listen(self, client) -> None:
        more = {} if self.last_id is None else {"last_event_id": self.last_id}
        headers = {"Authorization": f"Bearer {self.user.token}"}
        async with client.ws_connect(f"{self.user.url}/ws", params=more, headers=headers) as socket:
            if self.last_id is None:
                await self.ask_changes(client)
            async for message in socket:
                event = json.loads(message.data)
                if event["type"] == "reset":
                    self.resets += 1
                    await self.ask_changes(client)
                elif event["type"] == "file.created":
                    self.known.add(event["data"]["file_id"])
                # Only now: what is not dealt with is asked for again.
                self.last_id = event["id"]

    async def ask_changes(self, client) -> None:
        while True:
            params = {} if self.cursor is None else {"since": self.cursor}
            _, body = await self.user.ask(client, "GET", "/api/files/changes", {200}, params=params)
            page = json.loads(body)
            self.known.update(change["id"] for change in page["items"])
            self.cursor = page["next_cursor"]
            if not page["more"]:
                return


async def make_users(url: str, count: int) -> list[str]:
    tokens = Tokens(SECRET)
    async with await Catalog.open(url) as catalog:
        accounts = Accounts(catalog)
        users = [await accounts.add(f"user{n}", Role.USER) for n in range(count)]
    return [tokens.issue(user, timedelta(hours=2)) for user in users]


class Chaos:
    """Ends one thing after the other, and begins it again, as acknowledgements come in."""

    def __init__(self, site: Site, chance: random.Random, rounds: int) -> None:
        self.site, self.chance, self.rounds = site, chance, rounds
        self.acknowledgements: asyncio.Queue[None] = asyncio.Queue()
        self.story: list[str] = []

    async def run(self) -> None:
        for _ in range(self.rounds):
            faults = [self.server, self.worker, self.redis, self.postgres]
            self.chance.shuffle(faults)
            for fault in faults:
                for _ in range(self.chance.randrange(8, 20)):
                    await self.acknowledgements.get()
                self.story.append(fault.__name__)
                await fault()

    async def server(self) -> None:
        await self._again(self.chance.choice(self.site.servers))

    async def worker(self) -> None:
        await self._again(self.chance.choice(self.site.workers))

    async def _again(self, program) -> None:
        await asyncio.to_thread(program.stop, signal.SIGKILL)
        await asyncio.to_thread(program.start)

    async def redis(self) -> None:
        await asyncio.to_thread(self.site.redis.stop, signal.SIGKILL)
        await asyncio.to_thread(self.site.redis.start)

    async def postgres(self) -> None:
        await asyncio.to_thread(self.site.postgres.crash)
        await asyncio.to_thread(self.site.postgres.start)


async def all_jobs_done(site: Site, files: int):
    """Wait until every job has ended; fails when one was lost."""
    async with asyncio.timeout(120 + files), await Catalog.open(site.postgres.url) as catalog:
        while True:
            states = await catalog.read(lambda tx: tx.jobs.count_by_state())
            if not states[JobState.PENDING] and not states[JobState.RUNNING]:
                assert not states[JobState.FAILED]
                return
            await asyncio.sleep(0.2)


async def go_through(site: Site, users: int, rounds: int) -> None:
    tokens = await make_users(site.postgres.url, users)
    chaos = Chaos(site, random.Random(21), rounds)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as client:
        ending = asyncio.create_task(chaos.run())
        acknowledged = lambda: chaos.acknowledgements.put_nowait(None)  # noqa: E731

        async def send_on(number: int, token: str) -> list[Uploader]:
            sent: list[Uploader] = []
            while not sent or not ending.done():
                sent.append(Uploader(number, token, site.url, acknowledged, len(sent)))
                await sent[-1].run(client)
            return sent

        listeners = [
            Listener(Uploader(n, token, site.url, acknowledged))
            for n, token in enumerate(tokens[:LISTENERS])
        ]
        listening = [asyncio.create_task(one.run(client)) for one in listeners]
        uploads = await asyncio.gather(*(send_on(n, token) for n, token in enumerate(tokens)))
        await ending
        assert sorted(set(chaos.story)) == ["postgres", "redis", "server", "worker"]
        files = [upload for sent in uploads for upload in sent]
        interruptions = sum(upload.interruptions for upload in files)
        assert interruptions, "nothing was interrupted"

        for upload in files:
            assert hashlib.sha256(await upload.fetch(client)).hexdigest() == upload.sha256
        await all_jobs_done(site, len(files))
        async with asyncio.timeout(60):
            for listener, sent in zip(listeners, uploads, strict=False):
                while not {upload.file_id for upload in sent} <= listener.known:
                    await asyncio.sleep(0.1)
        for one in listening:
            one.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
    print(
        f"files: {len(files)}, interruptions: {interruptions}, faults: {chaos.story}, "
        f"resets: {sum(one.resets for one in listeners)}, "
        f"connections of listeners broken: {sum(one.breaks for one in listeners)}"
    )
    await nothing_was_doubled(site, uploads)


async def nothing_was_doubled(site: Site, uploads: list[list[Uploader]]) -> None:
    async with await Catalog.open(site.postgres.url) as catalog:
        receiving = {SessionStatus.RECEIVING}
        begun = await catalog.read(lambda tx: tx.sessions.in_status(receiving, None, 10_000))
        for number, sent in enumerate(uploads):
            user = await catalog.read(lambda tx, number=number: tx.users.by_name(f"user{number}"))
            assert user.used_bytes == sum(upload.size for upload in sent)
            # Of those whose begin was answered to nobody: they end in a day.
            left = [one.size_bytes for one in begun if one.owner_id == user.user_id]
            assert user.reserved_bytes == sum(left)
            for upload in sent:
                stored, jobs = await catalog.read(
                    lambda tx, file_id=upload.file_id: (
                        tx.stored.get(file_id),
                        tx.jobs.of_subject(file_id),
                    )
                )
                assert (stored.version, stored.sha256) == (1, upload.sha256)
                kinds = [job.kind for job in jobs]
                assert len(kinds) == len(set(kinds))
                assert all(job.state is JobState.COMPLETED for job in jobs)


@pytest.mark.timeout(600)
async def test_a_hundred_users_while_everything_is_killed_once(tmp_path, s3_server):
    await _with_site(tmp_path, s3_server, rounds=1)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_a_hundred_users_while_everything_is_killed_ten_times(tmp_path, s3_server):
    await _with_site(tmp_path, s3_server, rounds=10)


async def _with_site(directory, s3_server, *, rounds):
    making = running_site(directory, s3_server, servers=3, workers=2)
    site = await asyncio.to_thread(making.__enter__)
    try:
        await go_through(site, USERS, rounds)
    finally:
        await asyncio.to_thread(making.__exit__, None, None, None)
