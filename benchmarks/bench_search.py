"""How long a search takes among a million stored files, beside plain full text by rank.

    python benchmarks/bench_search.py [--files 1000000] [--runs 100] [--only sqlite|postgres]
                                      [--postgres postgresql://USER@HOST/EMPTY_DATABASE]
                                      [--sqlite FILE] [--built]

Without --postgres a server is started and removed again, without --sqlite a file; --built asks what
an earlier run filled. Words are as common as in languages (the
n-th has a share of 1/n). Each search is what `GET /api/files/search` does: the first page of 100
files, rows read into records, and how many there are in all. The peer is what one writes first: the
same names and folders in a plain FTS5 table or tsvector with a GIN index, joined to the files,
`ORDER BY rank LIMIT 100`, no total. CPU is that of client and server.
"""

import argparse
import asyncio
import itertools
import math
import random
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from haulier.catalog.catalog import Catalog
from haulier.catalog.engines import is_sqlite, parse_url, postgres_engine, sqlite_writer
from haulier.catalog.schema import upgrade
from haulier.catalog.search_tables import as_fts5, as_tsvector, index_file_words
from haulier.catalog.types import to_microseconds
from haulier.core.accounts import Role, ScanState, StoredFile, User
from haulier.core.file_search import FileSearch, FileSort
from haulier.core.file_words import marks_of_file, words_of_file
from haulier.core.grants import Grant, Level
from haulier.core.mime import FileKind
from haulier.core.words import fold
from haulier.files.finding import find_files

GOAL_MS = 50
BATCH = 10_000
OWNERS = 50
START = datetime(2022, 1, 1, tzinfo=UTC)
EVERY = timedelta(seconds=120)
TYPES = [("jpg", "image/jpeg")] * 6 + [("mp4", "video/mp4")] * 2 + [("pdf", "application/pdf"),
                                                                     ("txt", "text/plain")]  # fmt: skip
COLUMNS = [
    "file_id", "owner_id", "name", "folder", "size_bytes", "mime_type", "crc64nvme", "crc32",
    "version", "tags", "created_at", "modified_at", "scan_state", "content_id", "revision",
]  # fmt: skip


def some_id(number):
    return f"{number:026d}"


def person(number, role=Role.USER):
    return User(user_id=some_id(number), name=f"user{number}", role=role, created_at=START)


ADMIN, FEW = person(1, Role.ADMIN), person(2)


def vocabulary():
    choose = random.Random(7)
    syllables = [a + b for a in "bcdfghjklmnprstvwz" for b in "aeiou"]
    words = ("".join(choose.choices(syllables, k=choose.randint(2, 4))) for _ in range(40_000))
    return list(dict.fromkeys(words))


WORDS = vocabulary()


def all_files(count):
    """Yield the files, oldest first; of `FEW` are fifty, and fifty others are granted to it."""
    choose = random.Random(8)
    shares = list(itertools.accumulate(1 / number for number in range(1, len(WORDS) + 1)))
    for number in range(count):
        ending, mime_type = choose.choice(TYPES)
        a, b, c = choose.choices(WORDS, cum_weights=shares, k=3)
        name = [f"IMG_{number:07}", f"{a} {b}", f"{a.title()}{b.title()}{number % 1000}",
                f"{a}-{b}_{c}"][number % 4]  # fmt: skip
        if number % (count // 10) == 777:
            name = f"grandmother birthday {number}"
        at = START + number * EVERY
        yield StoredFile(
            file_id=some_id(number),
            owner_id=(FEW if number % (count // 50) == 5 else person(3 + number % OWNERS)).user_id,
            name=f"{name}.{ending}",
            folder=f"{at.year}/{WORDS[number // 500 % 3000]}",
            size_bytes=int(choose.lognormvariate(14, 2)),
            mime_type=mime_type,
            tags={"project": WORDS[number // 1000 % 200]} if number % 3 else {},
            crc64nvme=f"{number:016x}",
            crc32=f"{number:08x}",
            content_id=some_id(number),
            created_at=at,
            modified_at=at,
            scan_state=ScanState.CLEAN,
        )


def row_of(stored, time_of):
    """What a file's row holds, as `COLUMNS`."""
    tags = "".join(f'"{key}":"{value}"' for key, value in stored.tags.items())
    return (
        stored.file_id, stored.owner_id, stored.name, stored.folder, stored.size_bytes,
        stored.mime_type, stored.crc64nvme, stored.crc32, 1, f"{{{tags}}}",
        time_of(stored.created_at), time_of(stored.modified_at), stored.scan_state.value,
        stored.content_id, 0,
    )  # fmt: skip


def batches(count):
    files = enumerate(all_files(count), 1)
    while some := list(itertools.islice(files, BATCH)):
        yield some


def fill_sqlite(connection, count):
    raw = connection.connection.driver_connection
    files = (
        f"INSERT INTO stored_files ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
    )
    for some in batches(count):
        raw.executemany(files, [row_of(one, to_microseconds) for _, one in some])
        raw.executemany(
            "INSERT INTO file_search VALUES (?, ?, ?, ?, ?, ?)",
            [(number, one.file_id, fold(one.name), one.size_bytes, to_microseconds(one.created_at),
              to_microseconds(one.modified_at)) for number, one in some],
        )  # fmt: skip
        raw.executemany(
            "INSERT INTO file_words (rowid, words) VALUES (?, ?)",
            [(number, as_fts5(words_of_file(one), marks_of_file(one))) for number, one in some],
        )
    connection.execute(text("CREATE VIRTUAL TABLE plain USING fts5 (words, content = '')"))
    connection.execute(
        text(
            "INSERT INTO plain (rowid, words) SELECT number, replace(name, '_', ' ') || ' ' || folder"
            " FROM file_search JOIN stored_files USING (file_id)"
        )
    )


def fill_postgres(connection, count):
    cursor = connection.connection.driver_connection.cursor()
    connection.execute(text("DROP INDEX ix_file_words"))
    tables = {
        f"stored_files ({', '.join(COLUMNS)})": lambda _, one: row_of(one, datetime.isoformat),
        "file_search": lambda number, one: (
            number, one.file_id, fold(one.name), one.size_bytes, one.created_at, one.modified_at
        ),
        "file_words": lambda number, one: (
            number, as_tsvector(words_of_file(one), marks_of_file(one))
        ),
    }  # fmt: skip
    for some in batches(count):
        for table, row in tables.items():
            with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for number, one in some:
                    copy.write_row(row(number, one))
    index_file_words(connection)
    connection.execute(
        text(
            "CREATE TABLE plain AS SELECT number, to_tsvector('simple',"
            " translate(name, '_.-', '   ') || ' ' || replace(folder, '/', ' ')) AS words"
            " FROM file_search JOIN stored_files USING (file_id)"
        )
    )
    connection.execute(text("CREATE INDEX ix_plain ON plain USING gin (words)"))
    connection.execute(text("CREATE INDEX ix_plain_number ON plain (number)"))


async def build(url, count):
    people = [ADMIN, FEW, *(person(3 + number) for number in range(OWNERS))]
    granted = [
        Grant(resource_id=some_id(number * (count // 50) + 6), is_folder=False, level=Level.READ,
              grantee=FEW.user_id, granted_by=ADMIN.user_id, created_at=START)
        for number in range(50)
    ]  # fmt: skip
    async with await Catalog.open(url.render_as_string(hide_password=False)) as catalog:
        await catalog.transaction(lambda tx: [tx.users.put(one) for one in people])
        await catalog.transaction(lambda tx: [tx.grants.put(one) for one in granted])
    engine = sqlite_writer(url) if is_sqlite(url) else postgres_engine(url)
    with engine.begin() as connection:
        (fill_sqlite if is_sqlite(url) else fill_postgres)(connection, count)
    if not is_sqlite(url):
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()


def questions():
    """Return what is asked: who, what, by which order, and what the peer is asked instead."""
    year = {"created_from": START, "created_to": START + timedelta(days=400)}
    large = {"mime_types": ("video/mp4",), "least_bytes": 1 << 20, **year}
    filters = ("AND mime_type = 'video/mp4' AND s.size_bytes >= 1048576"
               " AND s.created_at >= :first AND s.created_at < :last")  # fmt: skip
    of_few = f"AND owner_id = '{FEW.user_id}'"
    common, prefix = WORDS[0], WORDS[0][:3]
    return {
        "rare": (ADMIN, FileSearch(text="grandmother"), "grandmother", ""),
        "rare, two words": (ADMIN, FileSearch(text=f"{WORDS[300]} {WORDS[900]}"),
                            (WORDS[300], WORDS[900]), ""),
        "none": (ADMIN, FileSearch(text="nothing"), "nothing", ""),
        "common": (ADMIN, FileSearch(text="img"), "img", ""),
        "common, two words": (ADMIN, FileSearch(text=f"img {common}"), ("img", common), ""),
        "common phrase": (ADMIN, FileSearch(text=f'"{common} {WORDS[1]}"'), (common, WORDS[1]), ""),
        "neither rare nor common": (ADMIN, FileSearch(text=WORDS[60]), WORDS[60], ""),
        "prefix, common": (ADMIN, FileSearch(text=f"{prefix}*"), f"{prefix}*", ""),
        "prefix, common, 5 letters": (ADMIN, FileSearch(text=f"{(common * 2)[:5]}*"), None, ""),
        "prefix, rare": (ADMIN, FileSearch(text="grand*"), "grand*", ""),
        "filtered": (ADMIN, FileSearch(text="img", **large), "img", filters),
        "filters alone": (ADMIN, FileSearch(**large), None, ""),
        "filtered, 7 days": (
            ADMIN, FileSearch(text="img", created_from=START + timedelta(days=500),
                              created_to=START + timedelta(days=507)), None, ""),
        "kind and folder": (ADMIN, FileSearch(kinds=(FileKind.VIDEO,), folder="2023"), None, ""),
        "all but": (ADMIN, FileSearch(text="-img"), None, ""),
        "of 100 files: common": (FEW, FileSearch(text="jpg"), "jpg", of_few),
        "of 100 files: all": (FEW, FileSearch(), None, ""),
        "common, by relevance": (ADMIN, FileSearch(text=common), common, ""),
        "common, by name": (ADMIN, FileSearch(text=common), None, ""),
        "rare, by size": (ADMIN, FileSearch(text="grandmother"), None, ""),
    }  # fmt: skip


def sort_of(name):
    return FileSort(name.partition("by ")[2] or "created")


def peer_statement(url, words, filters):
    given = (words,) if isinstance(words, str) else words
    if is_sqlite(url):
        query = " ".join(f'"{one[:-1]}"*' if one.endswith("*") else f'"{one}"' for one in given)
        return (
            ("SELECT s.* FROM plain JOIN file_search f ON f.number = plain.rowid"
            " JOIN stored_files s USING (file_id) WHERE plain MATCH :query"
            f" {filters} ORDER BY rank LIMIT 100"), query,
        )  # fmt: skip
    query = " & ".join(f"'{one[:-1]}':*" if one.endswith("*") else f"'{one}'" for one in given)
    return (
        ("SELECT s.* FROM plain JOIN file_search f ON f.number = plain.number"
        " JOIN stored_files s USING (file_id) WHERE plain.words @@ CAST(:query AS tsquery)"
        f" {filters} ORDER BY ts_rank(plain.words, CAST(:query AS tsquery)) DESC LIMIT 100"), query,
    )  # fmt: skip


async def find_backends(catalog, url):
    if is_sqlite(url) or url.host not in {"127.0.0.1", "localhost"}:
        return set()
    ask = text("SELECT pg_backend_pid()")
    seen = [
        await catalog.read(lambda tx: tx._connection.scalar(ask))  # noqa: SLF001 - only here
        for _ in range(10)
    ]
    return set(seen)


def cpu_ms(backends):
    """The CPU time so far of this process and `backends` (Linux), whoever else keeps it busy."""
    ran_ns = [int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in backends]
    return time.process_time() * 1000 + sum(ran_ns) / 1e6


async def timed(call, runs, backends):
    """Return the median and the 99th percentile of the time, and of the CPU time."""
    wall, cpu = [], []
    for _ in range(runs):
        begun, begun_cpu = time.perf_counter(), cpu_ms(backends)
        await call()
        wall.append((time.perf_counter() - begun) * 1000)
        cpu.append(cpu_ms(backends) - begun_cpu)
    last = math.ceil(runs * 0.99) - 1
    return statistics.median(wall), sorted(wall)[last], statistics.median(cpu), sorted(cpu)[last]


async def measure(place, count, runs, *, built=False):
    url = parse_url(place)
    begun = time.perf_counter()
    if not built:
        upgrade(place)
        await build(url, count)
    print(f"{url.get_backend_name()}: {count} files, built in {time.perf_counter() - begun:.0f} s")
    print(
        "  search | found | p50 ms | p99 ms | CPU p50 ms | CPU p99 ms | peer p50 ms | peer CPU ms | ratio of CPU"
    )
    over = 0
    moments = {"first": START, "last": START + timedelta(days=400)}
    if is_sqlite(url):
        moments = {name: to_microseconds(moment) for name, moment in moments.items()}
    async with await Catalog.open(url.render_as_string(hide_password=False)) as catalog:
        backends = await find_backends(catalog, url)
        for name, (user, search, words, filters) in questions().items():

            def ask(tx, user=user, search=search, name=name):
                sort = sort_of(name)
                return find_files(tx, user, search, sort=sort, descending=sort is not FileSort.NAME)

            found = await catalog.read(ask)
            p50, p99, cpu, cpu_p99 = await timed(lambda ask=ask: catalog.read(ask), runs, backends)
            over += p99 > GOAL_MS
            peer = peer_cpu = ratio = "-"
            if words is not None:
                statement, query = peer_statement(url, words, filters)
                values = {"query": query, **(moments if filters.count(":") else {})}

                def ask_peer(tx, statement=statement, values=values):
                    return tx._connection.execute(text(statement), values).all()  # noqa: SLF001

                took, _, of_peer, _ = await timed(
                    lambda ask_peer=ask_peer: catalog.read(ask_peer), max(runs // 10, 3), backends
                )
                peer, peer_cpu, ratio = f"{took:.1f}", f"{of_peer:.1f}", f"{of_peer / cpu:.1f}"
            total = f"{'~' if found.is_estimate else ''}{found.total}"
            mark = "  over the goal" if p99 > GOAL_MS else ""
            print(f"  {name} | {total} | {p50:.1f} | {p99:.1f} | {cpu:.1f} | {cpu_p99:.1f} | {peer} | {peer_cpu} | {ratio}{mark}",
                  flush=True)  # fmt: skip
    print(f"  over {GOAL_MS} ms: {over}\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--files", type=int, default=1_000_000)
    arguments.add_argument("--runs", type=int, default=100)
    arguments.add_argument("--only", choices=["sqlite", "postgres"])
    arguments.add_argument("--postgres", metavar="URL")
    arguments.add_argument("--sqlite", metavar="FILE", type=Path)
    arguments.add_argument("--built", action="store_true")
    options = arguments.parse_args()
    count, runs, built = options.files, options.runs, options.built
    if options.only != "postgres":
        with tempfile.TemporaryDirectory(prefix="haulier-bench-") as directory:
            path = options.sqlite or Path(directory, "catalog.db")
            asyncio.run(measure(path, count, runs, built=built))
            print(f"  {path.stat().st_size >> 20} MiB\n")
    if options.only == "sqlite":
        return
    if options.postgres:
        asyncio.run(measure(options.postgres, count, runs, built=built))
        return
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from postgres import start_postgres, stop_postgres

    directory = Path(tempfile.mkdtemp(prefix="haulier-bench-"))
    try:
        url, process = start_postgres(directory)
        try:
            asyncio.run(measure(url, count, runs))
        finally:
            stop_postgres(process)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
