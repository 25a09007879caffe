"""What follows an upload is done once: by the embedded runner, and by workers that Celery tells.

A plug-in's steps, announced as any package announces them, tell when they are called, and wait or
fail when they are told to: so whoever does the job is killed in the middle of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from haulier.catalog.catalog import Catalog
from haulier.core.accounts import Role
from haulier.core.jobs import JobState
from haulier.files.accounts import Accounts
from haulier.files.tokens import Tokens
from hosts import SECRET, Program, shared_services
from recordings import wav

pytestmark = pytest.mark.servers

TIMEOUT_S = 120
STEPS = """
import asyncio, os
from pathlib import Path

from haulier.errors import StorageFull

HERE = Path(os.environ["STEPS_DIR"])


def tell(work, word):
    with (HERE / "log").open("a") as log:
        log.write(f"{work.recording.recording_id} {word} {os.getpid()}\\n")


async def counted(work):
    tell(work, "counted")
    return {}


async def gated(work):
    tell(work, "begun")
    while work.recording.mode == "gated" and not (HERE / "open").exists():
        await asyncio.sleep(0.05)
    tell(work, "ended")
    return {}


async def shaky(work):
    tell(work, "tried")
    if work.recording.mode == "shaky" and not (HERE / "room").exists():
        raise StorageFull("no room yet")
    return {}
"""
ENTRY_POINTS = """[haulier.recording_steps]
a_counted = recording_steps_of_tests:counted
b_gated = recording_steps_of_tests:gated
c_shaky = recording_steps_of_tests:shaky
"""


class Place:
    """A server, and whoever does its jobs: itself, or a worker."""

    def __init__(self, directory, server, worker, catalog_url):
        self.directory, self.server, self.worker = directory, server, worker
        self.catalog_url, self.url = catalog_url, ""

    def start(self):
        self.url = self.server.start().removeprefix("listening on ")
        if self.worker is not None:
            assert self.worker.start() == "ready for jobs"

    def stop(self):
        for one in (self.worker, self.server):
            if one is not None and one.process.poll() is None:
                one.stop()

    def kill(self):
        (self.worker or self.server).stop(signal.SIGKILL)

    def go_on(self):
        (self.directory / "open").touch()
        if self.worker is None:
            self.url = self.server.start().removeprefix("listening on ")
        else:
            assert self.worker.start() == "ready for jobs"

    def told(self, recording_id):
        log = self.directory / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line.split()[1] for line in lines if line.startswith(recording_id)]

    @asynccontextmanager
    async def user(self):
        """A client of ann's, who is made when there is none."""
        async with await Catalog.open(self.catalog_url) as catalog:
            accounts = Accounts(catalog)
            known = await accounts.count()
            user = await (accounts.get("ann") if known else accounts.add("ann", Role.USER))
        token = Tokens(SECRET).issue(user, timedelta(hours=1))
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(base_url=self.url, timeout=60, headers=headers) as http:
            yield http

    async def jobs_about(self, recording_id):
        async with await Catalog.open(self.catalog_url) as catalog:
            return await catalog.read(lambda tx: tx.jobs.of_subject(recording_id))


def plugged_in(directory: Path) -> dict[str, str]:
    """Install the steps for programs that are given these settings."""
    package = directory / "package"
    information = package / "recording_steps_of_tests-1.dist-info"
    information.mkdir(parents=True)
    (package / "recording_steps_of_tests.py").write_text(STEPS)
    (information / "METADATA").write_text("Name: recording_steps_of_tests\nVersion: 1\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    path = os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"PYTHONPATH": path, "STEPS_DIR": str(directory)}


@pytest.fixture(scope="module", params=["embedded", "celery"])
def place(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp(request.param)
    steps = plugged_in(directory)
    serve = ["serve", "--port", "0"]
    with ExitStack() as stack:
        if request.param == "embedded":
            settings = {"JWT_SECRET_KEY": SECRET, **steps}
            server, worker = Program(serve, directory / "data", settings), None
            catalog_url = str(directory / "data" / "catalog.db")
        else:
            s3 = request.getfixturevalue("s3_server")
            site = stack.enter_context(shared_services(directory, s3))
            # The one directory that hosts share.
            steps["AUDIO_STORAGE_DIR"] = str(directory / "recordings")
            server = site.host("server", *serve, **steps)
            worker = site.host("worker", "worker", **steps)
            catalog_url = site.postgres.url
        place = Place(directory, server, worker, catalog_url)
        stack.callback(place.stop)
        place.start()
        yield place


async def uploaded(http, mode):
    answer = await http.post("/upload/offline/save", params={"mode": mode}, content=wav(1))
    assert answer.status_code == 201, answer.text
    recording_id = answer.json()["recording_id"]
    answer = await http.post(f"/upload/sync/{recording_id}")
    assert answer.status_code == 200, answer.text
    return recording_id


async def until(condition):
    async with asyncio.timeout(TIMEOUT_S):
        while not await condition():
            await asyncio.sleep(0.1)


async def metadata_of(http, recording_id):
    listed = (await http.get("/upload/offline/recordings")).json()
    [found] = [one for one in listed if one["recording_id"] == recording_id]
    return found


async def test_killed_in_mid_job_nothing_is_lost_and_nothing_done_twice(place):
    async with place.user() as http:
        recording_id = await uploaded(http, "gated")

        async def is_begun():
            return "begun" in place.told(recording_id)

        await until(is_begun)
        await asyncio.to_thread(place.kill)
    [job] = await place.jobs_about(recording_id)
    assert (job.state, job.attempts) == (JobState.RUNNING, 1)
    await asyncio.to_thread(place.go_on)
    async with place.user() as http:

        async def is_completed():
            return (await metadata_of(http, recording_id))["status"] == "completed"

        await until(is_completed)
        found = await metadata_of(http, recording_id)
        files = (await http.get("/api/files", params={"folder": "recordings"})).json()["items"]
        assert [one["name"] for one in files].count(f"{recording_id}.wav") == 1
        assert (await http.get("/upload/offline/queue")).json() == []
    # What was done before the death is not done again, what was cut off is.
    assert place.told(recording_id) == ["counted", "begun", "begun", "ended", "tried"]
    [job] = await place.jobs_about(recording_id)
    assert (job.state, job.attempts, found["job_id"]) == (JobState.COMPLETED, 2, job.job_id)
    steps = job.result["steps"]
    assert {"probe", "loudness", "waveform", "opus", "transcript"} < set(steps)
    done = {name for name, one in steps.items() if one["state"] == "done"}
    assert done >= {"probe", "loudness", "waveform", "opus", "a_counted", "b_gated", "c_shaky"}
    [made] = place.directory.glob(f"**/derived/{recording_id}")
    assert json.loads((made / "steps.json").read_text()) == steps
    assert (made / "recording.opus").stat().st_size == steps["opus"]["result"]["bytes_after"]


async def test_what_fails_waits_and_is_tried_again(place):
    async with place.user() as http:
        recording_id = await uploaded(http, "shaky")
        waiting = []

        async def waits_after_a_failure():
            [job] = await place.jobs_about(recording_id)
            if job.state is JobState.PENDING and job.last_error is not None:
                waiting.append(job)
            return waiting

        await until(waits_after_a_failure)
        [job] = waiting
        assert job.last_error == "no room yet"
        assert job.not_before - job.updated_at >= timedelta(seconds=2)
        (place.directory / "room").touch()

        async def is_completed():
            return (await metadata_of(http, recording_id))["status"] == "completed"

        await until(is_completed)
    [job] = await place.jobs_about(recording_id)
    assert (job.state, job.last_error) == (JobState.COMPLETED, None)
    assert job.attempts >= 2
    # The step that failed alone is done again, as often as the job was begun.
    told = place.told(recording_id)
    assert told == ["counted", "begun", "ended", *["tried"] * job.attempts]
