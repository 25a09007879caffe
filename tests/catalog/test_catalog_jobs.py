"""The outbox of jobs, on both databases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from haulier.catalog.catalog import Catalog
from haulier.core.jobs import Job, JobState, backoff, new_job

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = timedelta(seconds=30)
KINDS = ("scan", "digest")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


async def enqueue(catalog: Catalog, kind: str = "scan", **more) -> Job:
    job = new_job(kind, more.pop("now", NOON), **more)
    await catalog.transaction(lambda tx: tx.jobs.enqueue(job))
    return job


async def claim(catalog: Catalog, now: datetime = NOON, kinds=KINDS) -> Job | None:
    return await catalog.transaction(lambda tx: tx.jobs.claim(kinds, now, now + LEASE))


async def get(catalog: Catalog, job: Job) -> Job | None:
    return await catalog.read(lambda tx: tx.jobs.get(job.job_id))


async def test_a_job_comes_back_as_it_was_written(catalog):
    job = await enqueue(
        catalog,
        payload={"session_id": "s1", "path": "\udcff\0"},
        subject="f1",
        owner_id="u1",
        priority=-3,
        max_attempts=7,
    )
    assert await get(catalog, job) == job
    assert await catalog.read(lambda tx: tx.jobs.of_subject("f1")) == [job]
    assert await catalog.read(lambda tx: tx.jobs.get("none")) is None


async def test_a_job_exists_only_if_the_row_it_follows_does(catalog):
    def work(tx):
        tx.jobs.enqueue(new_job("scan", NOON))
        raise RuntimeError("the row was refused")

    with pytest.raises(RuntimeError):
        await catalog.transaction(work)
    assert await claim(catalog) is None


async def test_what_is_to_follow_a_commit_follows_only_that(catalog):
    rung = []

    def work(tx, *, refuse):
        tx.after_commit(lambda: rung.append(refuse))
        assert rung == []
        if refuse:
            raise RuntimeError("refused")

    with pytest.raises(RuntimeError):
        await catalog.transaction(lambda tx: work(tx, refuse=True))
    await catalog.transaction(lambda tx: work(tx, refuse=False))
    assert rung == [False]


async def test_the_most_urgent_goes_first_then_the_oldest(catalog):
    last = await enqueue(catalog, priority=-1)
    second = await enqueue(catalog, now=at(-1))
    third = await enqueue(catalog)
    first = await enqueue(catalog, priority=5)
    later = await enqueue(catalog, now=at(10), priority=9)
    other = await enqueue(catalog, "of another program", priority=9)
    claimed = [await claim(catalog) for _ in range(5)]
    wanted = [one.job_id for one in (first, second, third, last)]
    assert [one.job_id for one in claimed[:4]] == wanted
    assert claimed[4] is None
    assert await catalog.read(lambda tx: tx.jobs.oldest_due()) == NOON
    assert (await claim(catalog, at(10))).job_id == later.job_id
    assert (await get(catalog, other)).state is JobState.PENDING


async def test_each_job_goes_to_one_of_those_that_ask_at_once(catalog):
    jobs = [await enqueue(catalog) for _ in range(20)]
    claimed = await asyncio.gather(*(claim(catalog) for _ in range(30)))
    taken = sorted(one.job_id for one in claimed if one is not None)
    assert len(taken) == len(set(taken))
    while (one := await claim(catalog)) is not None:
        taken.append(one.job_id)
    assert sorted(taken) == sorted(one.job_id for one in jobs)


async def test_two_programs_at_once_share_the_jobs(catalog_url, catalog):
    jobs = [await enqueue(catalog) for _ in range(30)]
    async with await Catalog.open(catalog_url) as other:

        async def work(place):
            mine = []
            while (one := await claim(place)) is not None:
                assert await place.transaction(lambda tx, one=one: tx.jobs.complete(one, {}, NOON))
                mine.append(one.job_id)
            return mine

        shares = await asyncio.gather(work(catalog), work(other))
    assert sorted(shares[0] + shares[1]) == sorted(one.job_id for one in jobs)


async def test_a_claim_is_an_attempt_with_a_lease_and_a_larger_token(catalog):
    await enqueue(catalog)
    held = await claim(catalog)
    assert (held.state, held.attempts, held.token) == (JobState.RUNNING, 1, 1)
    assert held.lease_until == NOON + LEASE
    assert await claim(catalog) is None
    assert await catalog.transaction(lambda tx: tx.jobs.heartbeat(held, at(60)))
    assert await catalog.transaction(lambda tx: tx.jobs.reap(["scan"], at(31))) == []
    done = await catalog.transaction(lambda tx: tx.jobs.complete(held, {"sha256": "ab"}, at(1)))
    assert done
    after = await get(catalog, held)
    assert (after.state, after.result, after.lease_until) == (
        JobState.COMPLETED,
        {"sha256": "ab"},
        None,
    )


async def test_who_lost_a_job_changes_nothing_any_more(catalog):
    await enqueue(catalog)
    slow = await claim(catalog)
    (reaped,) = await catalog.transaction(lambda tx: tx.jobs.reap(["scan"], at(30)))
    assert (reaped.state, reaped.lease_until) == (JobState.PENDING, None)
    quick = await claim(catalog, at(31))
    assert (quick.job_id, quick.token, quick.attempts) == (slow.job_id, 2, 2)
    late = (
        lambda tx: tx.jobs.complete(slow, {"by": "slow"}, at(32)),
        lambda tx: tx.jobs.retry(slow, "slow", at(33), at(32)),
        lambda tx: tx.jobs.fail(slow, "slow", at(32)),
        lambda tx: tx.jobs.give_back(slow, at(32)),
        lambda tx: tx.jobs.heartbeat(slow, at(90)),
    )
    for change in late:
        assert not await catalog.transaction(change)
    assert await get(catalog, quick) == quick
    assert await catalog.transaction(lambda tx: tx.jobs.complete(quick, None, at(33)))
    assert not await catalog.transaction(lambda tx: tx.jobs.fail(quick, "again", at(34)))


async def test_what_failed_waits_before_it_is_tried_again(catalog):
    await enqueue(catalog)
    held = await claim(catalog)
    await catalog.transaction(lambda tx: tx.jobs.retry(held, "no answer\0", at(8), NOON))
    assert (await get(catalog, held)).last_error == "no answer\0"
    assert await claim(catalog, at(7)) is None
    again = await claim(catalog, at(8))
    assert again.attempts == 2
    assert await catalog.transaction(lambda tx: tx.jobs.fail(again, "x" * 9999, at(9)))
    after = await get(catalog, again)
    assert (after.state, len(after.last_error)) == (JobState.FAILED, 500)


def test_the_wait_doubles_up_to_an_hour():
    waits = [backoff(attempts).total_seconds() for attempts in (1, 2, 3, 11, 12, 1000)]
    assert waits == [2, 4, 8, 2048, 3600, 3600]


async def test_a_job_that_kills_its_workers_is_given_up(catalog):
    await enqueue(catalog, max_attempts=2)
    await claim(catalog)
    (first,) = await catalog.transaction(lambda tx: tx.jobs.reap(["scan"], at(30)))
    await claim(catalog, at(30))
    (second,) = await catalog.transaction(lambda tx: tx.jobs.reap(["scan"], at(60)))
    assert (first.state, second.state) == (JobState.PENDING, JobState.FAILED)
    assert "without a word" in second.last_error


async def test_a_job_given_back_was_not_tried(catalog):
    job = await enqueue(catalog)
    held = await claim(catalog)
    assert await catalog.transaction(lambda tx: tx.jobs.give_back(held, at(1)))
    again = await claim(catalog, at(1))
    assert (again.job_id, again.attempts, again.token) == (job.job_id, 1, 2)


async def test_what_is_about_a_file_that_is_gone_is_cancelled(catalog):
    running = await enqueue(catalog, subject="f1", priority=1)
    waiting = await enqueue(catalog, subject="f1")
    other = await enqueue(catalog, subject="f2")
    held = await claim(catalog)
    assert held.job_id == running.job_id
    cancelled = await catalog.transaction(lambda tx: tx.jobs.cancel_of_subject("f1", at(1)))
    assert [job.state for job in cancelled] == [JobState.CANCELLED]
    assert (await get(catalog, waiting)).state is JobState.CANCELLED
    assert (await get(catalog, running)).state is JobState.RUNNING
    assert (await get(catalog, other)).state is JobState.PENDING


async def test_old_jobs_are_forgotten_and_living_ones_are_not(catalog):
    for _ in range(3):
        await enqueue(catalog, now=at(-100))
    done, running = await claim(catalog), await claim(catalog)
    await catalog.transaction(lambda tx: tx.jobs.complete(done, None, at(1)))
    counts = await catalog.read(lambda tx: tx.jobs.count_by_state())
    assert counts == {
        JobState.PENDING: 1,
        JobState.RUNNING: 1,
        JobState.COMPLETED: 1,
        JobState.FAILED: 0,
        JobState.CANCELLED: 0,
    }
    assert await catalog.read(lambda tx: tx.jobs.oldest_due()) == at(-100)
    assert await catalog.transaction(lambda tx: tx.jobs.purge(at(1))) == 0
    assert await catalog.transaction(lambda tx: tx.jobs.purge(at(1000))) == 1
    assert await get(catalog, done) is None
    assert (await get(catalog, running)).state is JobState.RUNNING
