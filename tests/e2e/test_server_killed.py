"""A hundred users upload while the server is killed again and again: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import hashlib
import random
import signal
import socket
from dataclasses import dataclass, field
from datetime import timedelta

import aiohttp

from haulier.catalog.catalog import Catalog
from haulier.core.accounts import Role
from haulier.files.accounts import Accounts
from haulier.files.secret import kept_secret
from haulier.files.tokens import Tokens
from running_server import start, stop

USERS = 100
KILLS = 4
PIECE_BYTES = 100_000
TUS = {"Tus-Resumable": "1.0.0"}
OCTETS = "application/offset+octet-stream"


@dataclass
class Uploader:
    """One user with one file, who goes on from what the server says until the file is there."""

    number: int
    token: str
    url: str
    acknowledgements: asyncio.Queue[int]
    location: str | None = None
    acknowledged: int = 0
    interruptions: int = 0
    data: bytes = field(init=False)

    def __post_init__(self) -> None:
        chance = random.Random(self.number)
        self.data = chance.randbytes(chance.randrange(1, 1_500_000))

    async def run(self, client: aiohttp.ClientSession) -> None:
        while self.acknowledged < len(self.data):
            try:
                await self._go_on(client)
            except aiohttp.ClientConnectionError:
                self.interruptions += 1
                await asyncio.sleep(0.1)

    async def _go_on(self, client: aiohttp.ClientSession) -> None:
        if self.location is None:
            size = {"Upload-Length": str(len(self.data))}
            async with client.post(f"{self.url}/tus/", headers=self._headers(size)) as answer:
                assert answer.status == 201, await answer.text()
                self.location = str(answer.url.join(aiohttp.client.URL(answer.headers["Location"])))
        async with client.head(self.location, headers=self._headers()) as answer:
            assert answer.status == 200
            offset = int(answer.headers["Upload-Offset"])
        assert offset >= self.acknowledged, "acknowledged bytes are gone"
        self.acknowledged = offset
        while self.acknowledged < len(self.data):
            piece = self.data[self.acknowledged : self.acknowledged + PIECE_BYTES]
            more = {"Upload-Offset": str(self.acknowledged), "Content-Type": OCTETS}
            headers = self._headers(more)
            async with client.patch(self.location, data=piece, headers=headers) as answer:
                assert answer.status == 204, await answer.text()
                self.acknowledged = int(answer.headers["Upload-Offset"])
            self.acknowledgements.put_nowait(self.number)

    async def fetch(self, client: aiohttp.ClientSession) -> bytes:
        async with client.get(f"{self.url}/api/files", headers=self._headers()) as answer:
            [stored] = (await answer.json())["items"]
        where = f"{self.url}/api/files/{stored['id']}/download"
        async with client.get(where, headers=self._headers()) as answer:
            assert answer.status == 200
            return await answer.read()

    def _headers(self, more: dict[str, str] | None = None) -> dict[str, str]:
        return {**TUS, "Authorization": f"Bearer {self.token}", **(more or {})}


async def make_tokens(data, count):
    """Return a token each of so many new users."""
    tokens = Tokens(kept_secret(data / "jwt-secret"))
    async with await Catalog.open(data / "catalog.db") as catalog:
        accounts = Accounts(catalog)
        users = [await accounts.add(f"user{n}", Role.USER) for n in range(count)]
    return [tokens.issue(user, timedelta(hours=1)) for user in users]


async def kill_again_and_again(server, data, port, acknowledgements, chance):
    """Kill the server after some acknowledgements each time; return the one that stays."""
    for _ in range(KILLS):
        for _ in range(chance.randrange(60, 160)):
            await acknowledgements.get()
        await asyncio.to_thread(stop, server, signal.SIGKILL)
        server = await asyncio.to_thread(lambda: start(data, port=port))
    return server


async def test_a_hundred_users_and_a_server_that_keeps_being_killed(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    tokens = await make_tokens(tmp_path, USERS)
    server = await asyncio.to_thread(lambda: start(tmp_path, port=port))
    acknowledgements: asyncio.Queue[int] = asyncio.Queue()
    users = [Uploader(n, token, server.url, acknowledgements) for n, token in enumerate(tokens)]
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            uploads = asyncio.gather(*(user.run(client) for user in users))
            killing = kill_again_and_again(
                server, tmp_path, port, acknowledgements, random.Random(7)
            )
            server, _ = await asyncio.gather(killing, uploads)
            assert sum(user.interruptions for user in users) >= KILLS, "no upload was interrupted"
            for user in users:
                got = hashlib.sha256(await user.fetch(client)).digest()
                assert got == hashlib.sha256(user.data).digest()
    finally:
        stop(server)
