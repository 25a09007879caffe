"""Backups of a server that works, and servers made of them: every byte is compared."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import subprocess
import sys

import httpx2
import pytest

from catalogs import empty_postgres, second_postgres  # noqa: F401 - pytest finds fixtures by name
from people import add_user
from running_server import environment, haulier, served, start, stop

pytestmark = pytest.mark.processes


@pytest.fixture
def data(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    add_user(data, "ann", "user", quota="1G")
    return data


async def ok(data, *arguments, **settings):
    done = await asyncio.to_thread(haulier, data, *arguments, **settings)
    assert done.returncode == 0, done.stderr
    return done.stderr


KILLED = """
import os, signal, sys
from importlib import import_module
from haulier.cli.main import main

module = import_module("haulier.journeys.backup." + sys.argv[1])
copy_file, left = module.copy_file, [5]

def copy(source, target):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return copy_file(source, target)

module.copy_file = copy
sys.argv = ["haulier", *sys.argv[2:]]
main()
"""


def killed(data, module, *arguments):
    """Run a command that is killed when it is about to copy its fifth file."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, module, *arguments, "--data", data], env=environment()
    )
    assert done.returncode == -signal.SIGKILL


async def put(http, name, content):
    answer = await http.put(f"/api/content/{name}", content=content)
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


async def shown(http):
    """Names and SHA-256 of all files, from their bytes."""
    found, cursor = {}, None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = (await http.get("/api/files", params={"limit": 100, **more})).json()
        for one in page["items"]:
            answer = await http.get(f"/api/files/{one['id']}/download")
            assert answer.status_code == 200, answer.text
            found[one["name"]] = hashlib.sha256(answer.content).hexdigest()
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def files_of(backup):
    return {path.name for path in (backup / "data" / "files").rglob("*") if path.is_file()}


class Load:
    """Uploads, versions and removals for good, as fast as they go."""

    def __init__(self, http):
        self.http = http
        self.chance = random.Random(5)
        self.written: dict[str, set[str]] = {}
        self.rounds = 0
        self.is_over = False

    async def run(self):
        while not self.is_over:
            name = f"{self.chance.randrange(40)}.bin"
            content = self.chance.randbytes(self.chance.randrange(1, 200_000))
            # Written down before: a backup may hold it before the answer is here.
            self.written.setdefault(name, set()).add(hashlib.sha256(content).hexdigest())
            made = await put(self.http, name, content)
            if self.chance.random() < 0.4:
                await self.http.delete(f"/api/files/{made['id']}")
                await self.http.delete(f"/api/trash/{made['id']}")
            self.rounds += 1

    async def until(self, rounds):
        while self.rounds < rounds:
            await asyncio.sleep(0.01)


async def test_a_backup_under_load_holds_every_byte_that_it_speaks_of(data, tmp_path):
    target, again = tmp_path / "backup", tmp_path / "again"
    async with served(data, signal.SIGKILL) as http:
        load = Load(http)
        working = asyncio.create_task(load.run())
        await load.until(20)
        await ok(data, "backup", target)
        await load.until(load.rounds + 20)
        # Brought up to date, with the server at work.
        await ok(data, "backup", target)
        load.is_over = True
        await working
    await ok(data, "backup", target, "--verify")
    said = await ok(again, "restore-server", target)
    assert "files and versions as they were at" in said
    async with served(again) as http:
        found = await shown(http)
        assert found
        for name, sha256 in found.items():
            assert sha256 in load.written[name]
        # It works on as the old one did: with the same tokens, and quota that adds up.
        me = (await http.get("/auth/me")).json()
        stored = sum(path.stat().st_size for path in (again / "files").rglob("*") if path.is_file())
        assert me["used"] == stored
        await put(http, "new.bin", b"new")


async def test_again_only_what_is_new_is_copied_and_what_is_gone_is_removed(data, tmp_path):
    target = tmp_path / "backup"
    async with served(data) as http:
        first = await put(http, "a.bin", b"a" * 100_000)
        assert "100 KB copied" not in await ok(data, "backup", target)
        kept = os.stat(next((target / "data" / "files").rglob(first["id"]))).st_mtime_ns
        second = await put(http, "b.bin", b"b" * 1000)
        await http.delete(f"/api/files/{second['id']}")
        await put(http, "c.bin", b"c" * 1000)
        await ok(data, "backup", target)
        assert len(files_of(target)) == 3
        assert os.stat(next((target / "data" / "files").rglob(first["id"]))).st_mtime_ns == kept
        await http.delete(f"/api/trash/{second['id']}")
        await ok(data, "backup", target)
        assert len(files_of(target)) == 2
    assert len([one for one in target.iterdir() if one.name.startswith("catalog-")]) == 1


async def test_a_killed_backup_leaves_the_one_before(data, tmp_path):
    target, again = tmp_path / "backup", tmp_path / "again"
    async with served(data) as http:
        await put(http, "a.bin", b"before")
        await ok(data, "backup", target)
        for number in range(10):
            await put(http, f"{number}.bin", os.urandom(1000))
        await asyncio.to_thread(killed, data, "making", "backup", target)
        assert len(files_of(target)) > 1
        await ok(data, "backup", target, "--verify")
        await ok(again, "restore-server", target)
        # And the next one takes its place.
        await ok(data, "backup", target)
        await ok(data, "backup", target, "--verify")
        whole = await shown(http)
    async with served(again) as http:
        assert set(await shown(http)) == {"a.bin"}
    third = tmp_path / "third"
    await ok(third, "restore-server", target)
    async with served(third) as http:
        assert await shown(http) == whole


async def test_a_killed_restore_is_no_server_and_can_be_done_again(data, tmp_path):
    target, again = tmp_path / "backup", tmp_path / "again"
    (again / "lost+found").mkdir(parents=True)
    async with served(data) as http:
        for number in range(10):
            await put(http, f"{number}.bin", os.urandom(1000))
        whole = await shown(http)
        await ok(data, "backup", target)
    await asyncio.to_thread(killed, again, "restoring", "restore-server", target)
    refused = haulier(again, "serve", "--port", "0")
    assert refused.returncode == 2
    assert "did not end" in refused.stderr
    await ok(again, "restore-server", target)
    async with served(again) as http:
        assert await shown(http) == whole


async def test_uploads_under_way_end_and_their_quota_is_given_back(data, tmp_path):
    target, again = tmp_path / "backup", tmp_path / "again"
    async with served(data) as http:
        start_it = {"name": "a", "size": 8, "chunk_size": 4}
        place = (await http.post("/api/files/upload/start", json=start_it)).json()["session_id"]
        headers = {"X-Chunk-Number": "1", "Content-Type": "application/octet-stream"}
        await http.post(f"/api/files/upload/{place}/chunk", content=b"abcd", headers=headers)
        await ok(data, "backup", target)
    await ok(again, "restore-server", target)
    async with served(again) as http:
        told = (await http.get(f"/api/files/upload/{place}")).json()
        assert told["status"] == "failed"
        assert (await http.get("/auth/me")).json()["reserved"] == 0


async def test_damage_and_loss_are_told(data, tmp_path):
    target, again = tmp_path / "backup", tmp_path / "again"
    async with served(data) as http:
        one = await put(http, "one.bin", b"1" * 1000)
        two = await put(http, "two.bin", b"2" * 1000)
        await ok(data, "backup", target)
        inside = next((target / "data" / "files").rglob(one["id"]))
        inside.write_bytes(b"1" * 999 + b"x")
        verified = haulier(data, "backup", target, "--verify")
        assert verified.returncode == 1
        assert one["id"] in verified.stderr
        assert two["id"] not in verified.stderr
        restored = haulier(again, "restore-server", target)
        assert restored.returncode == 1
        assert "damaged" in restored.stderr
        # Of a file that the server itself has lost, the rest is still taken.
        next((data / "files").rglob(two["id"])).unlink()
        third = tmp_path / "third"
        lost = haulier(data, "backup", third)
        assert lost.returncode == 1
        assert "two.bin" in lost.stderr
        assert one["id"] in files_of(third)


def test_where_it_may_not_go_is_told(data, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    for arguments, words in (
        (("backup", tmp_path / "other"), "something other"),
        (("backup", data / "inside"), "lies in the data directory"),
        (("restore-server", tmp_path / "other"), "no finished backup"),
        (("backup", tmp_path / "other", "--verify"), "no finished backup"),
    ):
        done = haulier(data, *arguments)
        assert done.returncode in {1, 2}
        assert words in done.stderr, done.stderr
    target = tmp_path / "backup"
    assert haulier(data, "backup", target).returncode == 0
    full = haulier(data, "restore-server", target)
    assert full.returncode == 2
    assert "not empty" in full.stderr


async def test_two_servers_on_one_directory_are_refused(data):
    async with served(data, signal.SIGKILL):
        second = await asyncio.to_thread(haulier, data, "serve", "--port", "0")
        assert second.returncode == 1
        assert "works on" in second.stderr
        # Commands beside the server work on.
        await ok(data, "user", "add", "bob")
    async with served(data):
        pass


def test_an_older_program_on_a_newer_directory_is_refused(data):
    (data / "data-version").write_text("99\n")
    refused = haulier(data, "serve", "--port", "0")
    assert refused.returncode == 2
    assert "upgrade haulier" in refused.stderr


@pytest.mark.servers
async def test_of_files_in_a_bucket_it_holds_what_is_not_there(data, tmp_path, s3_server):
    target, again = tmp_path / "backup", tmp_path / "again"
    bucket = {
        "AWS_S3_BUCKET": s3_server.make_bucket(),
        "AWS_ENDPOINT_URL": s3_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3_server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_access_key,
    }
    async with served(data, **bucket) as http:
        await put(http, "a.bin", b"keep the light")
        whole = await shown(http)
        await ok(data, "backup", target, **bucket)
    assert not (target / "data" / "files").exists()
    said = await ok(again, "restore-server", target, **bucket)
    assert bucket["AWS_S3_BUCKET"] in said
    async with served(again, **bucket) as http:
        assert await shown(http) == whole


@pytest.mark.servers
async def test_of_postgres_too(data, tmp_path, request):
    target, again = tmp_path / "backup", tmp_path / "again"
    settings = {"DATABASE_URL": request.getfixturevalue("empty_postgres")}
    other_settings = {"DATABASE_URL": request.getfixturevalue("second_postgres")}
    await ok(data, "db", "upgrade", **settings)
    await ok(data, "user", "add", "ann", **settings)
    token = haulier(data, "token", "create", "ann", **settings).stdout.strip()
    server = await asyncio.to_thread(lambda: start(data, **settings))
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=60) as http:
            load = Load(http)
            working = asyncio.create_task(load.run())
            await load.until(10)
            await ok(data, "backup", target, **settings)
            load.is_over = True
            await working
    finally:
        await asyncio.to_thread(stop, server)
    await ok(data, "backup", target, "--verify", **settings)
    await ok(again, "restore-server", target, **other_settings)
    server = await asyncio.to_thread(lambda: start(again, **other_settings))
    try:
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=60) as http:
            found = await shown(http)
            assert found
            assert all(sha256 in load.written[name] for name, sha256 in found.items())
            await put(http, "new.bin", b"new")
    finally:
        await asyncio.to_thread(stop, server)
