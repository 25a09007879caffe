"""What bots are told becomes jobs, each once, also when the catalog can't take them at first."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from haulier.catalog.catalog import Catalog
from haulier.coordination.bells import MemoryBell
from haulier.core.jobs import Job, JobState
from haulier.jobs.max_desk import MaxDesk
from haulier.jobs.max_work import ANSWERING, KEEPING
from haulier.max.models import Update

ANN = 5


def told(mid: str, text: str | None, **more: Any) -> Update:
    message = {
        "sender": {"user_id": more.pop("user_id", ANN), "first_name": "Ann", "is_bot": False},
        "recipient": {"chat_id": 1, "chat_type": more.pop("chat_type", "dialog")},
        "timestamp": 1_700_000_000_000,
        "body": {"mid": mid, "text": text, "attachments": more.pop("attachments", [])},
    }
    return Update.of({"update_type": "message_created", "message": message, **more})


async def jobs(catalog: Catalog) -> list[Job]:
    return await catalog.read(
        lambda tx: [
            job
            for kind in (KEEPING, ANSWERING)
            for job in tx.jobs.of_kind(kind, list(JobState), 99)
        ]
    )


async def test_what_comes_while_the_catalog_fails_waits(tmp_path: Path) -> None:
    path, waited = tmp_path / "catalog.db", []

    def rename(old: str, new: str) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"ALTER TABLE {old} RENAME TO {new}")

    async def sleep(_seconds: float) -> None:
        waited.append(True)
        if len(waited) == 2:
            rename("jobs_away", "jobs")

    async with await Catalog.open(path) as catalog:
        desk = MaxDesk(catalog, MemoryBell(), bot_id="b", may_use=lambda _user: True, sleep=sleep)
        rename("jobs", "jobs_away")
        await desk.accept(told("m1", "/list"))
        assert len(waited) == 2
        assert [job.kind for job in await jobs(catalog)] == [ANSWERING]


async def test_each_message_that_concerns_the_bot_is_one_job(tmp_path: Path) -> None:
    files = [{"type": "file", "payload": {"token": "t"}}]
    async with await Catalog.open(tmp_path / "catalog.db") as catalog:
        bell = MemoryBell()
        desk = MaxDesk(catalog, bell, bot_id="b", may_use=lambda user_id: user_id == ANN)
        for _ in range(2):
            await desk.accept(told("m1", None, attachments=files))
            await desk.accept(told("m2", "/list", chat_type="chat", user_id=6))
        for ignored in (
            told("m3", "hello", chat_type="chat"),
            told("m4", None, chat_type="chat", user_id=6, attachments=files),
            told("", "/list"),
            Update.of({"update_type": "message_removed", "message_id": "m1"}),
            Update.of({"update_type": "bot_started", "chat_id": 1}),
        ):
            await desk.accept(ignored)
        found = await jobs(catalog)
        assert [(job.kind, job.payload["message"]["body"]["mid"]) for job in found] == [
            (KEEPING, "m1"), (ANSWERING, "m2"),
        ]  # fmt: skip
        assert {job.subject for job in found} == {"max:1"}
        assert bell.count == 2
