"""Several real processes on one catalog."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from samples_catalog import NOON, operation

from haulier.catalog.catalog import Catalog
from haulier.catalog.engines import is_sqlite, parse_url
from haulier.catalog.filters import FileFilter, OperationFilter
from haulier.catalog.journal import JournalStage, UploadJournal
from haulier.catalog.schema import upgrade

WORKER = Path(__file__).with_name("catalog_worker.py")


@contextmanager
def workers(count, task, url, *arguments):
    """Processes that have the catalog open and wait for a line before they begin."""
    started = [
        subprocess.Popen(
            [sys.executable, WORKER, task, url, *(a.format(n=n) for a in arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for n in range(count)
    ]  # fmt: skip
    try:
        for process in started:
            assert process.stdout.readline() == "ready\n"
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def begin(processes):
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()


async def recorded(catalog):
    """The names of all operations and of all files."""
    operations = await catalog.list_operations(OperationFilter(limit=5000))
    files = await catalog.list_files(FileFilter(limit=5000))
    return (
        sorted(item.target_name for item in operations.items),
        sorted(item.name for item in files.items),
    )


def finish(processes):
    outputs = []
    readers = [
        threading.Thread(target=lambda p=process: outputs.append(p.stdout.read()))
        for process in processes
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert [process.wait() for process in processes] == [0] * len(processes)
    return outputs


async def test_two_processes_write_at_once_and_nothing_is_lost(no_catalog_url):
    upgrade(no_catalog_url)
    with workers(2, "write", no_catalog_url, "writer{n}", "500") as processes:
        begin(processes)
        outputs = await asyncio.to_thread(finish, processes)
    acknowledged = sorted(line for output in outputs for line in output.splitlines())
    assert len(acknowledged) == 1000
    async with await Catalog.open(no_catalog_url, create=False) as catalog:
        assert await recorded(catalog) == (acknowledged, acknowledged)


async def test_a_killed_writer_leaves_what_it_committed(no_catalog_url):
    upgrade(no_catalog_url)
    with workers(1, "write", no_catalog_url, "writer", "100000") as (process,):
        begin([process])
        acknowledged = [process.stdout.readline().strip() for _ in range(50)]
        process.kill()
        acknowledged += process.stdout.read().splitlines(keepends=True)
    # A line cut short was announced, so it was committed; at most one more was not announced.
    names = sorted(line.strip() for line in acknowledged if "-" in line)
    async with await Catalog.open(no_catalog_url, create=False) as catalog:
        operations, files = await recorded(catalog)
        assert operations == files
        assert set(names) <= set(operations)
        assert len(names) <= len(operations) <= len(names) + 1
    parsed = parse_url(no_catalog_url)
    if is_sqlite(parsed):
        connection = sqlite3.connect(parsed.database)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


async def test_of_many_processes_one_takes_the_lease(no_catalog_url):
    upgrade(no_catalog_url)
    async with await Catalog.open(no_catalog_url) as catalog:
        await catalog.transaction(_start_upload)
    with workers(4, "claim", no_catalog_url, operation().operation_id) as processes:
        begin(processes)
        outputs = await asyncio.to_thread(finish, processes)
    assert sorted(output.strip() for output in outputs) == ["False"] * 3 + ["True"]


async def test_of_many_tasks_one_takes_the_lease(catalog):
    await catalog.transaction(_start_upload)
    stale_before = NOON - timedelta(minutes=1)

    def claim(owner):
        return catalog.transaction(
            lambda tx: tx.claim_upload(operation().operation_id, owner, NOON, stale_before)
        )

    outcomes = await asyncio.gather(*(claim(f"owner{n}") for n in range(20)))
    assert outcomes.count(True) == 1


async def test_many_processes_make_one_catalog(no_catalog_url):
    with workers(4, "open", no_catalog_url) as processes:
        begin(processes)
        await asyncio.to_thread(finish, processes)
    async with await Catalog.open(no_catalog_url, create=False) as catalog:
        assert await recorded(catalog) == ([], [])


async def test_a_cancelled_caller_does_not_cut_a_transaction(no_catalog_url):
    begun, go_on = threading.Event(), threading.Event()

    def work(tx):
        begun.set()
        assert go_on.wait(90)
        tx.put_operation(operation())

    async with await Catalog.open(no_catalog_url) as catalog:
        task = asyncio.create_task(catalog.transaction(work))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
    async with await Catalog.open(no_catalog_url) as catalog:
        assert await catalog.get_operation(operation().operation_id) == operation()


async def test_opening_it_twice_keeps_the_locks_of_the_first(tmp_path):
    # Closing any handle of the file drops this process's locks on it. Then another process
    # takes itself for the last one and removes the log under our hands.
    path = tmp_path / "catalog.db"
    other = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM files'); c.close()"
    async with await Catalog.open(path) as first:
        await first.transaction(lambda tx: tx.put_operation(operation()))
        async with await Catalog.open(path):
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", other, path)
            assert await process.wait() == 0
            assert path.with_name("catalog.db-wal").exists()


def _start_upload(tx):
    tx.put_operation(operation())
    tx.put_upload(
        UploadJournal(
            operation_id=operation().operation_id, stage=JournalStage.PLANNED,
            destination="s3://media", key="x", tar_size=1, part_bytes=1, created_at=NOON,
        )
    )  # fmt: skip
