"""Every listing is compared with what plain Python picks from the same records."""

import dataclasses
import fnmatch
import itertools
import random
import re
from datetime import timedelta

import pytest
from samples_catalog import NOON, file, file_id, operation, upload
from sqlalchemy import insert, text

from haulier.catalog import conditions, search
from haulier.catalog.blocks import find_blocks
from haulier.catalog.conditions import first_id
from haulier.catalog.filters import FileFilter, OperationFilter
from haulier.catalog.tables import files
from haulier.core.records import FileStatus, OperationStatus, new_file_id, utc_now
from haulier.errors import UsageError

NAMES = [
    "IMG_1.jpg", "IMG_2.jpg", "img_1.jpg", "IMGx3.jpg", "a[1].txt", "a1.txt", "100%.txt", "100x.txt",
    "back\\slash.txt", "caf\udce9 holiday.mp4", "café holiday.mp4", "new\nline.mp4", "\U0010ffff", "",
    "*", "\ud7ff\ue000",
]  # fmt: skip
GLOBS = [
    *NAMES, "*", "?", "IMG*", "IMG_*", "IMG_?.jpg", "*.txt", "*holiday*", "caf\udce9*", "*\udce9*",
    "a[1]*", "a[*", "100%*", "*%.txt", "*_1.jpg", "back\\*", "*\\s*", "*g_1.*", "\U0010ffff*", "??", "nothing*",
    "*nothing*", "new\n*", "*w\nl*", "\ud7ff*", "I*g",
]  # fmt: skip
PATHS = ["/m", "/m/", "/m/a", "/m/a/b", "/m/ab", "/m-a", "/n", "/m/\udce9", "/m/" + "d" * 300]


def matches_glob(name, pattern):
    escaped = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    return re.fullmatch(escaped, name, re.DOTALL) is not None


def under(path, top):
    return path == top or path.startswith(top.rstrip("/") + "/")


def matches_file(record, wanted):
    recorded = NOON + timedelta(seconds=int(record.tags["n"]))
    tests = {
        "name": lambda v: matches_glob(record.name, v),
        "path": lambda v: under(record.path, v),
        "since": lambda v: recorded >= v,
        "until": lambda v: recorded < v,
        "tag": lambda v: v[0] in record.tags and v[1] in (None, record.tags[v[0]]),
    }
    return all(
        tests.get(name, lambda v, name=name: getattr(record, name) == v)(value)
        for name, value in wanted.items()
    )


def make_files():
    statuses, locations = list(FileStatus), ["local", "s3", "completed"]
    made = []
    for n in range(200):
        tags = {"n": str(n), "even" if n % 2 == 0 else "odd": "yes", "third": str(n % 3)}
        if n % 40 == 0:
            tags["long"] = "v" * 250 + str(n)
        made.append(
            file(
                n,
                name=NAMES[n % len(NAMES)],
                path=PATHS[n % len(PATHS)] + ("" if n % 4 else f"/{n}"),
                status=statuses[n % len(statuses)],
                location=locations[n // 3 % 3],
                is_directory=n % 7 == 0,
                tags=tags,
            )
        )
    return made


FACETS = [
    {}, {"location": "s3"}, {"status": FileStatus.FAILED}, {"is_directory": True},
    {"location": "local", "status": FileStatus.COMPLETED, "is_directory": False},
    {"since": NOON + timedelta(seconds=50), "until": NOON + timedelta(seconds=150)},
    {"location": "nowhere"},
]  # fmt: skip
OTHERS = [
    {}, {"checksum": f"sha256:{17:064x}"}, {"tag": ("even", None)}, {"tag": ("third", "1")},
    {"tag": ("none", None)}, {"tag": ("even", "no")}, {"tag": ("long", "v" * 250 + "40")},
    *({"name": pattern} for pattern in GLOBS), *({"path": path} for path in PATHS),
    {"path": "/m/" + "d" * 300 + "/"}, {"path": "/m/" + "d" * 299},
    {"path": "/"}, {"name": "*.txt", "path": "/m"}, {"name": "*holiday*", "tag": ("odd", None)},
    {"name": "IMG_1.jpg", "tag": ("third", "0")}, {"path": "/m/a", "tag": ("even", "yes")},
]  # fmt: skip


def some_of_each(facets, others, run, runs):
    """Yield pairs of both; over all `runs` each pair comes."""
    share = -(-len(facets) // runs)
    for number, one in enumerate(others):
        for step in range(share):
            yield facets[(number + run * share + step) % len(facets)], one


def put_in_blocks(tx, batches):
    """Record each of `batches` in a block of its own."""
    connection = tx._connection
    for batch in batches:
        tx.put_files(batch)
        last = connection.scalar(text("SELECT max(number) FROM files"))
        last = last // 2048 * 2048 + 2047
        if connection.dialect.name == "postgresql":
            sequence = "pg_get_serial_sequence('files', 'number')"
            connection.execute(text(f"SELECT setval({sequence}, {last})"))
            continue
        # SQLite counts on from the greatest number that is there.
        connection.execute(text("DELETE FROM files WHERE id = '-'"))
        connection.execute(
            insert(files).values(
                number=last, id="-", name="", path="", path_head="", location="", size=0,
                is_directory=False, status="",
            )
        )  # fmt: skip
    connection.execute(text("DELETE FROM files WHERE id = '-'"))


# Of the blocks none, some or all are looked through before the indexes are asked, and what they
# find counts as rare or common.
@pytest.mark.parametrize(
    ("run", "at_first", "at_once", "rare"),
    [(0, 0, 1, 0), (1, 0, 64, 2000), (2, 2, 2, 50), (3, 8, 64, 0), (4, 50, 64, 2000)],
)
async def test_files_are_filtered_like_plain_python_does(
    catalog, monkeypatch, run, at_first, at_once, rare
):
    monkeypatch.setattr(search, "BLOCKS_AT_FIRST", at_first)
    monkeypatch.setattr(search, "_BLOCKS_AT_ONCE", at_once)
    monkeypatch.setattr(conditions, "RARE", rare)
    records = make_files()
    newest_first = sorted(records, key=lambda record: record.id, reverse=True)
    # Not in the order of their ids, so that blocks overlap.
    shuffled = random.Random(5).sample(records, len(records))
    batches = [shuffled[start : start + 20] for start in range(0, len(shuffled), 20)]
    await catalog.transaction(lambda tx: put_in_blocks(tx, batches))

    def compare(tx):
        for facets, others in some_of_each(FACETS, OTHERS, run, 5):
            wanted = facets | others
            expected = [r.id for r in newest_first if matches_file(r, wanted)]
            page = tx.list_files(FileFilter(**wanted, limit=20))
            assert [r.id for r in page.items] == expected[:20], wanted
            assert (page.next_cursor is not None) == (len(expected) > 20), wanted

    await catalog.read(compare)


async def test_pages_of_files_follow_each_other(catalog):
    records = make_files()
    await catalog.transaction(lambda tx: tx.put_files(records))
    for wanted in ({}, {"name": "*.txt"}, {"tag": ("even", "yes")}, {"location": "s3"}):
        found, cursor = [], None
        while True:
            page = await catalog.list_files(FileFilter(**wanted, limit=7, cursor=cursor))
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
            assert len(page.items) == 7
        expected = [r for r in records if matches_file(r, wanted)]
        assert found == sorted(expected, key=lambda record: record.id, reverse=True)


async def test_a_renamed_file_is_found_by_its_new_name_only(catalog, monkeypatch):
    old = file(0, name="before holiday", path="/before/holiday")
    new = file(0, name="after journey", path="/after/journey")
    await catalog.transaction(lambda tx: tx.put_file(old))
    await catalog.transaction(lambda tx: tx.put_file(new))
    for at_first in (0, 8):  # in the index of names; in the block
        monkeypatch.setattr(search, "BLOCKS_AT_FIRST", at_first)
        for pattern, expected in (("*holiday*", []), ("*journey*", [new]), ("after*", [new])):
            assert (await catalog.list_files(FileFilter(name=pattern))).items == expected
        for path, expected in (("/before", []), ("/after", [new])):
            assert (await catalog.list_files(FileFilter(path=path))).items == expected


async def test_blocks_without_what_is_searched_for_are_left_out(catalog):
    records = [file(n, name=f"IMG_{n}.jpg", path=f"/old/{n}") for n in range(20)]
    records += [file(n, name=f"clip {n}.mp4", path=f"/new/{n}") for n in range(20, 40)]

    def check(tx):
        def count(**wanted):
            values = {"name": None, "path": None, "bounds": [], **wanted}
            return len(find_blocks(tx._connection, **values))

        assert count() == count(name="*") == count(path="/") == 2
        assert count(name="IMG_*") == count(name="*MG_?.j*") == count(name="*g") == 1
        assert count(name="*lip*", path="/new/") == count(path="/old") == count(path="/old/7") == 1
        assert count(name="*lip*", path="/old") == count(name="*q?") == count(name="lip*") == 0
        assert count(path="/ol") == count(path="old") == count(name="*clip") == 0
        assert count(name="*MG*", bounds=[files.c.id > records[19].id]) == 0

    await catalog.transaction(lambda tx: put_in_blocks(tx, [records[:20], records[20:]]))
    await catalog.read(check)


async def test_a_changed_status_is_seen_through_tags(catalog):
    await catalog.transaction(lambda tx: tx.put_file(file(0, status=FileStatus.PENDING)))
    await catalog.transaction(lambda tx: tx.put_file(file(0, status=FileStatus.COMPLETED)))
    for status, count in ((FileStatus.PENDING, 0), (FileStatus.COMPLETED, 1)):
        page = await catalog.list_files(FileFilter(tag=("n", "0"), status=status))
        assert len(page.items) == count


def test_ids_are_bounded_by_the_millisecond_they_were_made_in():
    before = utc_now()
    made = new_file_id()
    after = utc_now()
    assert first_id(before) <= made < first_id(after + timedelta(milliseconds=1))
    assert len(first_id(before)) == len(made)
    assert first_id(NOON) <= file_id(0) < first_id(NOON + timedelta(milliseconds=1))


def matches_operation(record, wanted):
    linked = record.file_records() if hasattr(record, "file_records") else []
    remote = getattr(record, "s3_file_record", None)
    tests = {
        "name": lambda v: matches_glob(record.target_name, v),
        "location": lambda v: remote is not None and remote.location == v,
        "since": lambda v: record.started_at >= v,
        "until": lambda v: record.started_at < v,
        "tag": lambda v: any(v[0] in f.tags and v[1] in (None, f.tags[v[0]]) for f in linked),
        "file": lambda v: any(f.path == v for f in linked),
    }
    return all(
        tests.get(name, lambda v, name=name: getattr(record, name) == v)(value)
        for name, value in wanted.items()
    )


def make_operations():
    statuses = list(OperationStatus)
    made = []
    for n in range(120):
        fields = {
            "target_name": NAMES[n % len(NAMES)],
            "status": statuses[n % len(statuses)],
            "user": f"user{n % 4}" if n % 5 else None,
            # Several begin at the same moment: the id decides.
            "started_at": NOON + timedelta(seconds=n // 3),
        }
        if n % 3 == 0:
            made.append(operation(n, **fields))
            continue
        remote = file(n * 10 + 2, location="s3" if n % 2 else "file", path=f"key{n}")
        if n % 8 == 1:
            remote = dataclasses.replace(remote, tags={"kind": "odd" if n % 16 == 1 else "even"})
        made.append(upload(n, **fields, s3_file_record=remote if n % 5 else None))
    return made


OPERATION_FACETS = [
    {}, {"status": OperationStatus.FAILED}, {"location": "s3"}, {"operation_type": "delete"},
    {"user": "user1"}, {"user": "nobody"},
    {"since": NOON + timedelta(seconds=10), "until": NOON + timedelta(seconds=30)},
    {"location": "file", "status": OperationStatus.SUCCESS, "user": "user2"},
]  # fmt: skip
OPERATION_OTHERS = [
    {}, *({"name": pattern} for pattern in GLOBS), {"file": "key7"}, {"file": "/media/clip70.mp4"},
    {"file": "/media"}, {"file": "nothing"}, {"tag": ("kind", None)}, {"tag": ("kind", "odd")},
    {"tag": ("n", "70")}, {"tag": ("none", None)}, {"file": "key7", "tag": ("n", "72")},
    {"name": "*.txt", "tag": ("upload_operation_id", "x")},
]  # fmt: skip


@pytest.mark.parametrize(("run", "rare"), [(0, 0), (1, 5), (2, 2000)])
async def test_operations_are_filtered_like_plain_python_does(catalog, monkeypatch, run, rare):
    monkeypatch.setattr(conditions, "RARE", rare)
    records = make_operations()

    def put(tx):
        for record in records:
            tx.put_operation(record)

    await catalog.transaction(put)
    newest_first = sorted(records, key=lambda r: (r.started_at, r.operation_id), reverse=True)

    def compare(tx):
        for facets, others in some_of_each(OPERATION_FACETS, OPERATION_OTHERS, run, 3):
            wanted = facets | others
            expected = [r for r in newest_first if matches_operation(r, wanted)]
            found, cursor = [], None
            for _ in range(3):
                page = tx.list_operations(OperationFilter(**wanted, limit=15, cursor=cursor))
                found += page.items
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert found == expected[:45], wanted
            assert (cursor is not None) == (len(expected) > 45), wanted

    await catalog.read(compare)


async def test_bad_cursors_and_limits_are_refused(catalog):
    for cursor in ("", "x", "x:y", "9" * 40 + ":y"):
        with pytest.raises(UsageError, match="cursor"):
            await catalog.list_operations(OperationFilter(cursor=cursor))
    for make in (FileFilter, OperationFilter):
        with pytest.raises(UsageError):
            make(limit=0)


def test_the_model_of_globs_is_right():
    for name, pattern in itertools.product(NAMES, GLOBS):
        if "[" not in pattern:
            assert matches_glob(name, pattern) == fnmatch.fnmatchcase(name, pattern)
