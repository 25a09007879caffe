"""Jobs that Celery tells workers of; the job's row stays the truth, whatever becomes of the broker."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import signal
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest

from haulier.catalog.catalog import Catalog
from haulier.core.accounts import Role
from haulier.core.jobs import JobState
from haulier.files.accounts import Accounts
from haulier.files.tokens import Tokens
from hosts import SECRET, shared_services

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def services(tmp_path_factory, s3_server):
    with shared_services(tmp_path_factory.mktemp("site"), s3_server) as services:
        yield services


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def site(request, services):
    """A server and a worker on hosts of their own, and what tells the one of the other's jobs."""
    broker = services.redis
    if request.param == "rabbitmq":
        broker = request.getfixturevalue("rabbitmq_server")
    told = {"CELERY_BROKER_URL": broker.url}
    server = services.host(f"server-{request.param}", "serve", "--port", "0", **told)
    worker = services.host(f"worker-{request.param}", "worker", **told)
    with ExitStack() as stack:
        stack.callback(server.stop)
        url = server.start().removeprefix("listening on ")
        stack.callback(worker.stop)
        assert worker.start() == "ready for jobs"
        yield replace(services, broker=broker, workers=[worker], url=url)


async def put(site, name, data):
    async with await Catalog.open(site.postgres.url) as catalog:
        accounts = Accounts(catalog)
        user = await (
            accounts.get("ann") if await accounts.count() else accounts.add("ann", Role.USER)
        )
    token = Tokens(SECRET).issue(user, timedelta(hours=1))
    async with httpx2.AsyncClient(timeout=60, headers={"Authorization": f"Bearer {token}"}) as http:
        where = f"{site.url}/api/content/{site.workers[0].data.name}/{name}"
        answer = await http.put(where, content=data)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]


async def begin_again(program):
    await asyncio.to_thread(program.stop, signal.SIGKILL)
    await asyncio.to_thread(program.start)


async def jobs_about(site, file_id):
    async with await Catalog.open(site.postgres.url) as catalog:
        return await catalog.read(lambda tx: tx.jobs.of_subject(file_id))


async def done(site, file_id):
    async with asyncio.timeout(90):
        while True:
            jobs = await jobs_about(site, file_id)
            if jobs and all(job.state is JobState.COMPLETED for job in jobs):
                return jobs
            await asyncio.sleep(0.1)


async def test_a_worker_does_what_the_server_enqueues(site):
    data = b"to be hashed elsewhere" * 1000
    file_id = await put(site, "a.bin", data)
    [digest] = await done(site, file_id)
    assert digest.result == {"sha256": hashlib.sha256(data).hexdigest()}
    assert digest.attempts == 1


async def test_what_the_broker_may_have_forgotten_is_found(site):
    [worker] = site.workers
    worker.process.send_signal(signal.SIGSTOP)
    try:
        file_id = await put(site, "b.bin", b"told to a broker that forgets it")
        await begin_again(site.broker)
        [waiting] = await jobs_about(site, file_id)
        assert waiting.state is JobState.PENDING
    finally:
        worker.process.send_signal(signal.SIGCONT)
    await done(site, file_id)


async def test_what_a_killed_worker_had_begun_is_done_by_another(site):
    [worker] = site.workers
    await asyncio.to_thread(worker.stop, signal.SIGKILL)
    file_id = await put(site, "c.bin", b"nobody is there to do it")
    async with await Catalog.open(site.postgres.url) as catalog:
        # As the dead one left it: begun, and its lease not renewed.
        [job] = await catalog.read(lambda tx: tx.jobs.of_subject(file_id))
        soon = job.created_at + timedelta(seconds=1)
        claimed = await catalog.transaction(
            lambda tx: tx.jobs.claim({job.kind}, job.created_at, soon, job_id=job.job_id)
        )
        assert claimed.state is JobState.RUNNING
    assert await asyncio.to_thread(worker.start) == "ready for jobs"
    [digest] = await done(site, file_id)
    assert digest.attempts == 2
    assert not await _complete(site, claimed)


async def _complete(site, job):
    """Complete a job as the worker would that lost it."""
    async with await Catalog.open(site.postgres.url) as catalog:
        return await catalog.transaction(lambda tx: tx.jobs.complete(job, {}, job.created_at))


async def test_nothing_is_lost_or_doubled_while_worker_and_broker_are_killed(site):
    [worker] = site.workers
    contents = {f"many-{number}.bin": secrets.token_bytes(1000) for number in range(12)}
    ids, ending = {}, None
    for name, data in contents.items():
        ids[name] = await put(site, name, data)
        if ending is None:
            ending = asyncio.gather(begin_again(worker), begin_again(site.broker))
    await ending
    later = await put(site, "later.bin", b"")
    for name, data in contents.items():
        [digest] = await done(site, ids[name])
        assert digest.result == {"sha256": hashlib.sha256(data).hexdigest()}
        assert digest.attempts <= 2, "only what the dead one had begun is begun again"
    [digest] = await done(site, later)
    assert digest.attempts == 1


def test_a_worker_stops_when_it_is_told_to(site):
    [worker] = site.workers
    assert worker.stop() == 0
    assert worker.start() == "ready for jobs"
