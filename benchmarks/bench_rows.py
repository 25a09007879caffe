"""What row-level security costs in PostgreSQL: `python benchmarks/bench_rows.py`.

The same reads of a catalog of 200,000 files by a superuser, for whom no policy holds; by the second
role, which sees all rows; and by the role of users, in the name of one who owns half of them and of
one to whom a folder is granted.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psycopg

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from haulier.catalog.catalog import Catalog
from haulier.coordination.events import MemoryEventBus
from haulier.core.accounts import Role
from haulier.core.grants import Grant, Level
from haulier.core.records import utc_now
from haulier.files.access import acting_for, level_of
from haulier.files.accounts import Accounts
from haulier.files.events import FileEvents
from haulier.files.library import Library
from postgres import start_postgres, stop_postgres
from postgres_roles import secured_database

FILES = 200_000
ROUNDS = 200


def fill(url: str, owners: list[str]) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO stored_files (file_id, owner_id, name, folder, size_bytes, crc64nvme, crc32,"
            " version, tags, created_at, modified_at, scan_state, content_id, revision)"
            " SELECT lpad(n::text, 26, '0'), (%s::text[])[1 + n %% 2], 'clip ' || n || '.mov',"
            " 'shoot' || n %% 100, n, '0', '0', 1, '{}', now(), now(), 'clean',"
            " lpad(n::text, 26, '0'), 1 FROM generate_series(1, %s) AS n",
            [owners, FILES],
        )
        connection.execute(
            "INSERT INTO folders SELECT 'f' || lpad(n::text, 25, '0'), %s, 'shoot' || n, now()"
            " FROM generate_series(0, 98, 2) AS n",
            [owners[0]],
        )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


async def timed(work) -> float:
    for _ in range(20):
        await work()
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await work()
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


async def measure(roles, superuser_url: str) -> None:
    service = roles.url(roles.service)
    async with (
        await Catalog.open(superuser_url) as free,
        await Catalog.open(service, user_url=roles.url(roles.user)) as bound,
    ):
        accounts = Accounts(bound)
        ann, bob, eve = [await accounts.add(name, Role.USER) for name in ("ann", "bob", "eve")]
        fill(superuser_url, [ann.user_id, bob.user_id])
        granted = await bound.read(lambda tx: tx.folders.at(ann.user_id, "shoot2"))
        await bound.transaction(
            lambda tx: tx.grants.put(
                Grant(resource_id=granted.folder_id, grantee=eve.user_id, is_folder=True,
                      level=Level.READ, granted_by=ann.user_id, created_at=utc_now())
            )
        )  # fmt: skip
        for user, file_id in ((ann, f"{2:026}"), (eve, f"{102:026}")):
            reads = {
                "one file": lambda tx, user=user, one=file_id: level_of(
                    tx, user, tx.stored.get(one)
                ),
                "folder": lambda tx: tx.stored.by_owner(ann.user_id, None, 100, folder="shoot2"),
                "50 by id": lambda tx: tx.stored.get_many(
                    [f"{2 + 100 * n:026}" for n in range(50)]
                ),
            }
            for name, read in reads.items():
                acting = acting_for(user)
                row = [
                    await timed(lambda read=read: free.read(read)),
                    await timed(lambda read=read: bound.read(read)),
                    await timed(lambda read=read, acting=acting: bound.read(read, acting=acting)),
                ]
                print(f"{user.name:5} {name:10}", *(f"{one:10.2f} ms" for one in row))
            row = []
            for catalog in (free, bound):
                library = Library(catalog, FileEvents(MemoryEventBus()))
                row.append(await timed(lambda one=library, user=user: one.list(user, None, 100)))
            print(f"{user.name:5} {'list 100':10} {row[0]:10.2f} ms {'':13} {row[1]:10.2f} ms")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="haulier-bench-") as scratch:
        url, process = start_postgres(Path(scratch), fsync="off")
        try:
            with secured_database(url) as roles:
                print(f"{FILES} files; medians of {ROUNDS}")
                print(f"{'':16} {'superuser':>13} {'second role':>13} {'in their name':>13}")
                asyncio.run(measure(roles, url.rpartition("/")[0] + f"/{roles.database}"))
        finally:
            stop_postgres(process)


if __name__ == "__main__":
    main()
