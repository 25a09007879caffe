"""A server whose roles own nothing in PostgreSQL: all of it works, and users are told apart there."""

from __future__ import annotations

import asyncio
import subprocess

import httpx2
import psycopg
import pytest
from psycopg import sql

from hosts import Program
from postgres_roles import secured_database
from recordings import wav
from running_server import HAULIER, environment

pytestmark = pytest.mark.servers

TIMEOUT_S = 90


class Site:
    def __init__(self, roles, data):
        self.roles, self.data = roles, data
        self.program = Program(["serve", "--port", "0"], data, roles.settings)
        self.url = self.program.start().removeprefix("listening on ")

    def run(self, *arguments, **settings):
        done = subprocess.run(
            [*HAULIER, *arguments, "--data", self.data], capture_output=True, text=True,
            env={**environment(), **self.roles.settings, **settings}, cwd=self.data,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def client(self, name):
        bearer = {"Authorization": f"Bearer {self.run('token', 'create', name)}"}
        return httpx2.AsyncClient(base_url=self.url, headers=bearer, timeout=60)

    def as_superuser(self, statement):
        url = self.roles.server_url.rpartition("/")[0] + f"/{self.roles.database}"
        with psycopg.connect(url, autocommit=True) as connection:
            names = {"user": sql.Identifier(self.roles.user)}
            return connection.execute(sql.SQL(statement).format(**names)).statusmessage


@pytest.fixture(scope="module")
def site(tmp_path_factory, postgres_url):
    with secured_database(postgres_url) as roles:
        site = Site(roles, tmp_path_factory.mktemp("site"))
        try:
            for name, role in (
                ("ann", "user"),
                ("bob", "user"),
                ("eve", "viewer"),
                ("root", "admin"),
            ):
                site.run("user", "add", name, "--role", role)
            yield site
        finally:
            site.program.stop()


@pytest.fixture
async def people(site):
    made = {name: await asyncio.to_thread(site.client, name) for name in ("ann", "bob", "root")}
    yield made
    for client in made.values():
        await client.aclose()


async def ok(answering, status=200):
    answer = await answering
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def names(client, **query):
    return sorted(
        one["name"] for one in (await ok(client.get("/api/files", params=query)))["items"]
    )


async def found(client, word):
    items = (await ok(client.get("/api/files/search", params={"q": word})))["items"]
    return [one["name"] for one in items]


async def test_files_are_kept_shared_granted_found_and_removed(site, people):
    ann, bob, root = people["ann"], people["bob"], people["root"]
    one = await ok(ann.put("/api/content/lantern.txt", content=b"keep the light"), 201)
    await ok(ann.put("/api/content/shoot/raw/lantern.bin", content=b"x" * 1000), 201)
    other = await ok(bob.put("/api/content/other.txt", content=b"not hers"), 201)
    assert await names(ann) == ["lantern.bin", "lantern.txt"]
    assert await names(bob) == ["other.txt"]
    assert len(await names(root)) >= 3
    assert sorted(await found(ann, "lantern")) == ["lantern.bin", "lantern.txt"]
    assert await found(bob, "lantern") == []
    assert (await bob.get(f"/api/files/{one['id']}")).status_code == 404
    assert (await ann.get(f"/api/files/{other['id']}/download")).status_code == 404

    grant = {"user": "bob", "permission": "write"}
    await ok(ann.put(f"/api/files/{one['id']}/permissions", json=grant))
    assert await found(bob, "lantern") == ["lantern.txt"]
    assert (await bob.get(f"/api/files/{one['id']}/download")).content == b"keep the light"
    tagged = await ok(bob.patch(f"/api/files/{one['id']}", json={"tags": {"by": "bob"}}))
    assert tagged["tags"] == {"by": "bob"}
    folders = (await ok(ann.get("/api/folders")))["items"]
    [shoot] = [each for each in folders if each["name"] == "shoot"]
    await ok(ann.put(f"/api/folders/{shoot['id']}/permissions", json=grant))
    assert "lantern.bin" in await names(bob, shared=True)
    begun = await ok(
        bob.post(
            "/api/files/upload/start",
            json={"name": "by-bob.bin", "size": 3, "folder_id": shoot["id"]},
        ),
        201,
    )
    chunk = {"X-Chunk-Number": "1", "Content-Type": "application/octet-stream"}
    sent = f"/api/files/upload/{begun['session_id']}/chunk"
    await ok(bob.post(sent, content=b"abc", headers=chunk), 201)
    assert "by-bob.bin" in await names(ann)

    share = await ok(ann.post(f"/api/files/{one['id']}/shares", json={}), 201)
    async with httpx2.AsyncClient() as anybody:
        answer = await anybody.get(f"{site.url}/s/{share['token']}/download")
        assert answer.content == b"keep the light"
    changes = await ok(bob.get("/api/files/changes"))
    assert one["id"] in {each["id"] for each in changes["items"] if each["file"]}
    await ok(ann.put("/api/content/lantern.txt", content=b"another light"), 200)
    assert len((await ok(ann.get(f"/api/files/{one['id']}/versions")))["items"]) == 2

    await ok(ann.delete(f"/api/files/{one['id']}"), 204)
    assert "lantern.txt" not in await names(bob, shared=True)
    assert [each["name"] for each in (await ok(ann.get("/api/trash")))["items"]] == ["lantern.txt"]
    assert (await ok(bob.get("/api/trash")))["items"] == []
    await ok(root.get("/api/files/admin/metrics"))


async def test_recordings_and_their_jobs(people):
    ann, bob = people["ann"], people["bob"]
    saved = await ok(ann.post("/upload/offline/save", content=wav(1)), 201)
    job_id = (await ok(ann.post(f"/upload/sync/{saved['recording_id']}")))["job_id"]
    async with asyncio.timeout(TIMEOUT_S):
        while (await ok(ann.get(f"/api/jobs/{job_id}")))["status"] != "completed":
            await asyncio.sleep(0.1)
    assert (await bob.get(f"/api/jobs/{job_id}")).status_code == 404


async def test_what_users_read_is_read_by_their_role(site, people):
    """Were it read by the other role, taking the right away would change nothing."""
    ann, root = people["ann"], people["root"]
    await ok(ann.put("/api/content/mine.txt", content=b"mine"), 201)
    site.as_superuser("REVOKE SELECT ON stored_files FROM {user}")
    try:
        assert (await ann.get("/api/files")).status_code == 500
        assert (await ann.get("/api/files/search", params={"q": "mine"})).status_code == 500
        assert "mine.txt" in await names(root)
    finally:
        site.as_superuser("GRANT SELECT ON stored_files TO {user}")
    assert "mine.txt" in await names(ann)


def test_the_commands_work_as_well(site, tmp_path):
    owner = {"DATABASE_URL": site.roles.url(site.roles.owner)}
    site.run("db", "upgrade", **owner)
    site.run("db", "secure", "--service", site.roles.service, "--user", site.roles.user, **owner)
    site.run("backup", str(tmp_path / "copy"))
    site.run("backup", str(tmp_path / "copy"), "--verify")
    assert "ann" in site.run("user", "list")
