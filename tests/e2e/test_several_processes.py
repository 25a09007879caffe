"""`haulier serve --workers N`: one address, several processes, one of which may die."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import httpx2
import pytest

from haulier.files.tokens import Tokens
from hosts import SECRET, shared_services
from running_server import HAULIER, environment

pytestmark = pytest.mark.servers


def children_of(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(one) for one in file.read().split()]


def until(condition, limit_s: float = 90):
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture(scope="module")
def site(tmp_path_factory, s3_server):
    with shared_services(tmp_path_factory.mktemp("site"), s3_server) as site:
        yield site


def add_user(site, name):
    host = site.host("tools")
    host.data.mkdir(exist_ok=True)
    told = {"env": {**environment(), **site.settings}, "check": True, "cwd": host.data}
    command = [*HAULIER, "user", "add", name, "--data", host.data]
    subprocess.run(command, **told, capture_output=True)
    command = [*HAULIER, "token", "create", name, "--data", host.data]
    done = subprocess.run(command, **told, capture_output=True, text=True)
    assert Tokens(SECRET)
    return {"Authorization": f"Bearer {done.stdout.strip()}"}


def answers(url):
    try:
        return httpx2.get(f"{url}/health/ready", timeout=60).status_code == 200
    except httpx2.TransportError:
        return False


def test_one_that_dies_is_started_again_and_all_stop_together(site):
    headers = add_user(site, "ann")
    server = site.host("several", "serve", "--port", "0", "--workers", "2")
    url = server.start().removeprefix("listening on ")
    try:
        first, second = children_of(server.process.pid)
        assert answers(url)
        ready = httpx2.get(f"{url}/health/ready", timeout=60).json()
        assert ready["checks"]["coordination"] == "ok"
        os.kill(first, signal.SIGKILL)
        until(lambda: is_gone(first) and len(children_of(server.process.pid)) == 2)
        assert second in children_of(server.process.pid)
        stored = httpx2.put(
            f"{url}/api/content/a.bin", content=b"abc", headers=headers, timeout=60
        ).json()
        for _ in range(6):
            got = httpx2.get(
                f"{url}/api/files/{stored['id']}/download", headers=headers, timeout=60
            )
            assert got.content == b"abc"
    finally:
        running = children_of(server.process.pid)
        assert server.stop() == 0
    assert all(is_gone(pid) for pid in running)


def test_they_end_when_the_first_process_is_killed(site):
    server = site.host("orphans", "serve", "--port", "0", "--workers", "2")
    server.start()
    running = children_of(server.process.pid)
    server.stop(signal.SIGKILL)
    until(lambda: all(is_gone(pid) for pid in running))


def test_what_they_lack_is_told(tmp_path):
    for settings, words in (
        ({}, "REDIS_URL and DATABASE_URL=postgresql"),
        ({"REDIS_URL": "redis://127.0.0.1:1"}, "Set DATABASE_URL=postgresql"),
    ):
        done = subprocess.run(
            [*HAULIER, "serve", "--workers", "2", "--data", tmp_path],
            capture_output=True, text=True, env={**environment(), **settings}, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 2
        assert words in done.stderr


def test_workers_say_what_they_lack(tmp_path):
    for settings, words in (
        ({}, "Set REDIS_URL"),
        ({"REDIS_URL": "redis://127.0.0.1:1"}, "postgresql"),
    ):
        done = subprocess.run(
            [*HAULIER, "worker", "--data", tmp_path],
            capture_output=True, text=True, env={**environment(), **settings}, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 2
        assert words in done.stderr
