"""The runner: what is done, tried again, given up, given back, and taken from the dead."""

from __future__ import annotations

import asyncio
import secrets
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from catalogs import new_sqlite
from haulier.catalog.catalog import Catalog
from haulier.coordination.bells import MemoryBell
from haulier.core.jobs import Job, JobState, new_job
from haulier.core.records import utc_now
from haulier.errors import ScanFailed, UnreadableMedia
from haulier.jobs.kinds import Done, JobKind
from haulier.jobs.runner import Runner

ENDED = {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED}


@pytest.fixture
async def catalog(tmp_path):
    async with await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog:
        yield catalog


@asynccontextmanager
async def running(catalog, *kinds, **more):
    bell = MemoryBell()
    runner = Runner(catalog=catalog, kinds=kinds, bell=bell, **{"poll_s": 0.05, **more})
    task = asyncio.create_task(runner.run())
    try:
        yield bell
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def enqueue(catalog, kind="work", **more) -> Job:
    job = new_job(kind, utc_now(), **more)
    await catalog.transaction(lambda tx: tx.jobs.enqueue(job))
    return job


async def get(catalog, job) -> Job:
    return await catalog.read(lambda tx: tx.jobs.get(job.job_id))


async def until(catalog, job, states=ENDED) -> Job:
    while (current := await get(catalog, job)).state not in states:
        await asyncio.sleep(0.01)
    return current


async def test_a_job_is_done_and_says_what_it_came_to(catalog):
    async def double(job):
        return Done(result={"doubled": 2 * job.payload["number"]})

    job = await enqueue(catalog, payload={"number": 21})
    async with running(catalog, JobKind(name="work", run=double)):
        done = await until(catalog, job)
    assert (done.state, done.result, done.attempts) == (JobState.COMPLETED, {"doubled": 42}, 1)


async def test_jobs_about_one_thing_leave_room_for_those_about_others(catalog):
    gate = asyncio.Event()

    async def wait_if_slow(job):
        if job.subject == "slow":
            await gate.wait()
        return Done()

    slow = [await enqueue(catalog, subject="slow", priority=9) for _ in range(4)]
    quick = [await enqueue(catalog, subject=subject) for subject in ("quick", None)]
    kind = JobKind(name="work", run=wait_if_slow, at_once_of_subject=1)
    async with running(catalog, kind, at_once=2):
        for job in quick:
            assert (await until(catalog, job)).state is JobState.COMPLETED
        begun = [(await get(catalog, job)).attempts for job in slow]
        assert sum(begun) == 1
        gate.set()
        for job in slow:
            await until(catalog, job)


async def test_a_runner_leaves_the_dead_of_other_kinds_to_others(catalog):
    job = await enqueue(catalog, "of others")
    long_ago = utc_now() - timedelta(hours=1)
    await catalog.transaction(lambda tx: tx.jobs.claim(["of others"], utc_now(), long_ago))
    done = await enqueue(catalog)

    async def nothing(_):
        return Done()

    async with running(catalog, JobKind(name="work", run=nothing)):
        await until(catalog, done)
    assert (await get(catalog, job)).state is JobState.RUNNING


async def test_a_ring_wakes_it_and_several_run_at_once(catalog):
    together = asyncio.Barrier(3)

    async def meet(_):
        await together.wait()
        return Done()

    async with running(catalog, JobKind(name="work", run=meet), at_once=3, poll_s=3600) as bell:
        await asyncio.sleep(0.05)
        jobs = [await enqueue(catalog) for _ in range(3)]
        bell.ring()
        for job in jobs:
            assert (await until(catalog, job)).state is JobState.COMPLETED


async def test_of_a_greedy_kind_only_so_many_run_at_once(catalog):
    running_now, most, both = 0, 0, asyncio.Event()

    async def hash_(_):
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        await both.wait()
        running_now -= 1
        return Done()

    async def scan(_):
        both.set()
        return Done()

    kinds = (JobKind(name="hash", run=hash_, at_once=1), JobKind(name="scan", run=scan))
    greedy = [await enqueue(catalog, "hash", priority=9) for _ in range(4)]
    await enqueue(catalog, "scan")
    async with running(catalog, *kinds, at_once=3):
        for job in greedy:
            assert (await until(catalog, job)).state is JobState.COMPLETED
    assert most == 1


async def test_while_postgres_is_away_jobs_wait_and_none_is_done_twice(own_postgres):
    gone, begun = asyncio.Event(), asyncio.Barrier(3)
    runs = []

    async def make(job):
        runs.append(job.job_id)
        await begun.wait()
        await gone.wait()
        return Done()

    async def read(job):
        runs.append(job.job_id)
        if not gone.is_set():
            await begun.wait()
        await gone.wait()
        return Done(result={"users": await catalog.read(lambda tx: tx.users.count())})

    kinds = JobKind(name="make", run=make), JobKind(name="read", run=read)
    async with await Catalog.open(own_postgres.url) as catalog:
        made = await enqueue(catalog, "make", max_attempts=1)
        wanted = await enqueue(catalog, "read", max_attempts=1)
        async with running(catalog, *kinds, lease_s=60):
            await begun.wait()
            await asyncio.to_thread(own_postgres.crash)
            gone.set()
            await asyncio.to_thread(own_postgres.start)
            done = [await until(catalog, job) for job in (made, wanted)]
            later = await until(catalog, await enqueue(catalog, "read"))
    assert [job.state for job in (*done, later)] == [JobState.COMPLETED] * 3
    assert [job.attempts for job in (*done, later)] == [1, 1, 1]
    assert runs.count(made.job_id) == 1, "its work was done"
    assert runs.count(wanted.job_id) == 2, "it could not go on"


async def test_a_ring_between_the_look_and_the_wait_is_not_lost():
    bell = MemoryBell()
    before = bell.count
    await asyncio.to_thread(bell.ring)
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await bell.wait(before, timeout_s=3600)


async def test_what_it_found_is_written_with_its_completion(catalog):
    other = new_job("of another program", utc_now())

    async def find(_):
        return Done(record=lambda tx: tx.jobs.enqueue(other))

    job = await enqueue(catalog)
    async with running(catalog, JobKind(name="work", run=find)):
        await until(catalog, job)
    assert (await get(catalog, other)).state is JobState.PENDING


async def test_a_failed_attempt_waits_and_is_made_again(catalog):
    told = []

    async def fail(_):
        raise ScanFailed("clamd is away")

    ahead = timedelta()
    kind = JobKind(name="work", run=fail, failed=lambda tx, job, *words: told.append(words))
    job = await enqueue(catalog, max_attempts=2)
    async with running(catalog, kind, now=lambda: utc_now() + ahead):
        waiting = await until_attempted(catalog, job, 1)
        assert waiting.not_before - waiting.updated_at == timedelta(seconds=2)
        assert waiting.last_error == "clamd is away"
        ahead = timedelta(seconds=2)
        ended = await until(catalog, job)
    assert (ended.state, ended.attempts) == (JobState.FAILED, 2)
    assert told == [("clamd is away", False), ("clamd is away", True)]


async def until_attempted(catalog, job, attempts) -> Job:
    while True:
        current = await get(catalog, job)
        if current.attempts == attempts and current.state is JobState.PENDING:
            return current
        await asyncio.sleep(0.01)


async def test_what_is_hopeless_is_not_tried_again(catalog):
    async def fail(_):
        raise UnreadableMedia("clip.mp4 is cut short")

    job = await enqueue(catalog)
    async with running(catalog, JobKind(name="work", run=fail, hopeless=(UnreadableMedia,))):
        ended = await until(catalog, job)
    assert (ended.state, ended.attempts) == (JobState.FAILED, 1)
    assert ended.last_error == "clip.mp4 is cut short"


async def test_a_bug_costs_its_own_job_alone_and_tells_nothing_of_the_inside(catalog, caplog):
    async def work(job):
        if job.payload["bad"]:
            raise ZeroDivisionError("/srv/secret")
        return Done(record=lambda tx: tx.nothing if job.payload["odd"] else None)

    bad = await enqueue(catalog, payload={"bad": True}, max_attempts=1, priority=1)
    odd = await enqueue(catalog, payload={"bad": False, "odd": True})
    good = await enqueue(catalog, payload={"bad": False, "odd": False}, priority=-1)
    async with running(catalog, JobKind(name="work", run=work), at_once=1):
        assert (await until(catalog, good)).state is JobState.COMPLETED
    ended = await get(catalog, bad)
    assert ended.state is JobState.FAILED
    assert "/srv" not in ended.last_error
    assert "/srv/secret" in caplog.text
    # It could not be settled, and waits for its lease to end.
    assert (await get(catalog, odd)).state is JobState.RUNNING


async def test_a_stopped_runner_gives_its_jobs_back(catalog):
    began, ended = asyncio.Event(), []

    async def work(_):
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    job = await enqueue(catalog)
    async with running(catalog, JobKind(name="work", run=work)):
        await began.wait()
        assert (await get(catalog, job)).state is JobState.RUNNING
    given = await get(catalog, job)
    assert (given.state, given.attempts, given.lease_until) == (JobState.PENDING, 0, None)
    assert ended == ["cleaned up"]


async def test_a_long_job_keeps_its_lease_and_a_lost_one_is_stopped(catalog):
    began, stopped = asyncio.Event(), asyncio.Event()

    async def work(_):
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    job = await enqueue(catalog)
    async with running(catalog, JobKind(name="work", run=work), lease_s=2, at_once=1):
        await began.wait()
        first = await get(catalog, job)
        while (await get(catalog, job)).lease_until <= first.lease_until:
            await asyncio.sleep(0.01)
        assert (await get(catalog, job)).token == first.token
        # Another worker takes it, as it might after this one's host had slept.
        later = utc_now() + timedelta(hours=1)
        await catalog.transaction(lambda tx: tx.jobs.reap(["work"], later))
        other = await catalog.transaction(
            lambda tx: tx.jobs.claim({"work"}, later, later + timedelta(hours=1))
        )
        await stopped.wait()
        await asyncio.sleep(0.05)
        assert await get(catalog, job) == other


@pytest.mark.processes
async def test_a_job_of_a_killed_process_is_taken_again_at_once(catalog, tmp_path):
    job = await enqueue(catalog, "slow")
    program = Path(__file__).with_name("work_forever.py")
    process = subprocess.Popen(
        [sys.executable, program, tmp_path / "catalog.db"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert await asyncio.to_thread(process.stdout.readline) == f"{job.job_id} 1\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert (await get(catalog, job)).state is JobState.RUNNING

    async def work(job):
        return Done(result={"attempt": job.attempts})

    async with running(catalog, JobKind(name="slow", run=work), lease_s=3):
        done = await until(catalog, job)
    assert (done.state, done.result) == (JobState.COMPLETED, {"attempt": 2})


@pytest.mark.servers
async def test_two_servers_on_one_postgresql_do_each_job_once(postgres_url):
    name = f"jobs_{secrets.token_hex(8)}"
    done = []

    async def work(job):
        done.append(job.job_id)
        await asyncio.sleep(0)
        return Done()

    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        url = f"{postgres_url.rpartition('/')[0]}/{name}"
        try:
            async with await Catalog.open(url) as one, await Catalog.open(url) as other:
                jobs = [await enqueue(one) for _ in range(40)]
                kind = JobKind(name="work", run=work)
                async with running(one, kind), running(other, kind):
                    for job in jobs:
                        assert (await until(other, job)).state is JobState.COMPLETED
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert sorted(done) == sorted(job.job_id for job in jobs)


async def test_what_is_given_up_for_a_dead_worker_is_told(catalog):
    told = []
    job = await enqueue(catalog, max_attempts=1)
    past = utc_now() - timedelta(hours=1)
    await catalog.transaction(
        lambda tx: tx.jobs.claim({"work"}, utc_now(), past + timedelta(seconds=1))
    )

    async def work(_):
        raise AssertionError("it was begun as often as it may")

    kind = JobKind(name="work", run=work, failed=lambda tx, job, *words: told.append(words))
    async with running(catalog, kind):
        assert (await until(catalog, job)).state is JobState.FAILED
    assert told == [("the worker ended without a word", True)]


async def test_what_ended_long_ago_is_forgotten(catalog):
    async def work(_):
        return Done()

    job = await enqueue(catalog)
    async with running(catalog, JobKind(name="work", run=work), lease_s=0.1, kept_for=timedelta()):
        while await get(catalog, job) is not None:
            await asyncio.sleep(0.01)
