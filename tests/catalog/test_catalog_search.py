"""Search in both databases: equal to a plain model of it, whatever the files and the question."""

from __future__ import annotations

import dataclasses
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import inspect

from haulier.catalog import search_rows
from haulier.catalog.engines import (
    create_sqlite_file,
    is_sqlite,
    parse_url,
    postgres_engine,
    sqlite_writer,
)
from haulier.catalog.schema import MIGRATIONS, upgrade
from haulier.catalog.stored_tables import stored_files
from haulier.catalog.transaction import Tx
from haulier.core.accounts import Role, ScanState, StoredFile, User
from haulier.core.file_search import FileSearch, FileSort, Place, sought_in
from haulier.core.file_words import type_of
from haulier.core.grants import Grant, Level
from haulier.core.mime import FileKind, kind_of
from haulier.core.records import new_file_id
from haulier.core.words import fold, sequences_of
from haulier.files.finding import find_files

START = datetime(2024, 12, 20, 23, 30, tzinfo=UTC)
WORDS = ["holiday", "Photo", "beach", "Ünal", "東京", "img", "IMG2026", "a1", "north", "x"]
FOLDERS = ["", "trips", "trips/2026", "trips/2026 north", "tripsy", "beach"]
TYPES = ["image/jpeg", "image/png", "video/mp4", "application/pdf", None, "text/plain; charset=x"]
ENDINGS = [".jpg", ".mp4", "", ".tar.gz"]


def person(name, role=Role.USER):
    return User(user_id=new_file_id(), name=name, role=role, created_at=START)


ANN, BOB, ROOT = person("ann"), person("bob"), person("root", Role.ADMIN)


def some_file(choose, number=0, **values):
    made = START + timedelta(hours=7 * number)
    name = choose.choice([" ", "-", ""]).join(choose.choices(WORDS, k=choose.randint(1, 4)))
    given = {
        "file_id": new_file_id(),
        "owner_id": choose.choice([ANN, BOB]).user_id,
        "name": name + choose.choice(ENDINGS),
        "folder": choose.choice(FOLDERS),
        "size_bytes": choose.choice([0, 1, 3, 4, 1000, 1024, 5 << 30, 1 << 45]),
        "mime_type": choose.choice(TYPES),
        "tags": {
            key: choose.choice([*WORDS, "", "1=2"])
            for key in choose.sample(["trip", "kind", "é"], choose.randint(0, 2))
        },
        "crc64nvme": "0" * 16,
        "crc32": "0" * 8,
        "content_id": new_file_id(),
        "created_at": made,
        "modified_at": made + timedelta(minutes=choose.randint(0, 90_000)),
        "scan_state": choose.choice(list(ScanState)),
    }  # fmt: skip
    return StoredFile(**{**given, **values})


def some_search(choose):
    """A question that some of the files answer, with one or two filters besides."""
    words = choose.choices([*WORDS, "jpg", "pho", "2026", "tokyo", "京", "i", "20"], k=3)
    texts = [
        "", words[0], f"{words[0]} {words[1]}", f"{words[0][:2]}*", f'"{words[0]} {words[1]}"',
        f"{words[0]} -{words[1]}", f"-{words[0]}", f'"{words[0]} {words[1][:1]}"*', "*.jpg", "!",
    ]  # fmt: skip
    at = START + timedelta(hours=choose.randint(-100, 1000))
    filters = [
        {"kinds": (choose.choice(list(FileKind)), FileKind.IMAGE)},
        {"mime_types": (choose.choice(["image/jpeg", "image/*", "text/plain", "x/y"]),)},
        {"least_bytes": choose.choice([0, 1, 2, 1001, 1 << 45])},
        {"most_bytes": choose.choice([0, 3, 1000, 1 << 44, 1 << 62])},
        {"created_from": at},
        {"created_to": at},
        {"created_from": at, "created_to": at + timedelta(days=9)},
        {"created_from": at, "created_to": at - timedelta(days=9)},
        {"modified_from": at, "modified_to": at + timedelta(days=40)},
        {"tags": ((choose.choice(["trip", "é", "none"]), choose.choice([None, "north", ""])),)},
        {"folder": choose.choice([*FOLDERS, "nowhere"]), "deeper": choose.choice([True, False])},
        {"owner_ids": choose.choice([(ANN.user_id,), (ANN.user_id, BOB.user_id), ()])},
        {"scan_states": (ScanState.CLEAN, ScanState.INFECTED)},
        {"in_trash": True},
    ]
    chosen = {}
    for one in choose.sample(filters, choose.randint(0, 2)):
        chosen |= one
    return FileSearch(text=choose.choice(texts), **chosen)


# The model: what is searched for, found without any index.


def holds(phrase, sequences):
    count = len(phrase.words)
    for words in sequences:
        for first in range(len(words) - count + 1):
            here = tuple(words[first : first + count])
            if here == phrase.words:
                return True
            begins = phrase.is_prefix and here[:-1] == phrase.words[:-1]
            if begins and here[-1].startswith(phrase.words[-1]):
                return True
    return False


def fits(file, search, sought):
    texts = [file.name, file.folder, *(f"{key} {value}" for key, value in file.tags.items())]
    sequences = [words for one in texts for words in sequences_of(one)]
    known = type_of(file.name, file.mime_type)
    wanted_types = search.mime_types
    return (
        all(holds(phrase, sequences) for phrase in sought.wanted)
        and not any(holds(phrase, sequences) for phrase in sought.unwanted)
        and (file.deleted_at is not None) == search.in_trash
        and (not search.kinds or kind_of(known) in search.kinds)
        and (not wanted_types or known in wanted_types or known.split("/")[0] + "/*" in wanted_types)
        and (search.least_bytes is None or file.size_bytes >= search.least_bytes)
        and (search.most_bytes is None or file.size_bytes <= search.most_bytes)
        and (search.created_from is None or file.created_at >= search.created_from)
        and (search.created_to is None or file.created_at < search.created_to)
        and (search.modified_from is None or file.modified_at >= search.modified_from)
        and (search.modified_to is None or file.modified_at < search.modified_to)
        and all(key in file.tags and value in (None, file.tags[key]) for key, value in search.tags)
        and (search.folder is None or lies_in(file.folder, search.folder, search.deeper))
        and (search.owner_ids is None or file.owner_id in search.owner_ids)
        and (not search.scan_states or file.scan_state in search.scan_states)
    )  # fmt: skip


def lies_in(folder, wanted, deeper):
    if folder == wanted:
        return True
    return deeper and (not wanted or folder.startswith(wanted + "/"))


def modelled(files, search, sort, *, descending, sees):
    """Files in the order in which they came, as a plain loop finds and sorts them."""
    sought = sought_in(search)
    if sought is None:
        return []
    keys = {
        FileSort.CREATED: lambda pair: pair[0],
        FileSort.NAME: lambda pair: (fold(pair[1].name), pair[0]),
        FileSort.SIZE: lambda pair: (pair[1].size_bytes, pair[0]),
        FileSort.MODIFIED: lambda pair: (pair[1].modified_at, pair[0]),
    }
    found = [
        (number, file)
        for number, file in enumerate(files)
        if sees(file) and fits(file, search, sought)
    ]
    found.sort(key=keys[sort], reverse=descending)
    return [file.file_id for _, file in found]


async def pages(catalog, user, search, sort, *, descending, limit, between=None):
    """Return all that is found, page by page, and how many were said to be found."""
    found, after, total = [], None, None
    while True:
        page = await catalog.read(
            lambda tx, after=after: find_files(
                tx, user, search, sort=sort, descending=descending, after=after, limit=limit
            )
        )
        total = page.total if after is None else total
        found += [one.file_id for one in page.items]
        if page.behind is None:
            return found, total
        assert len(page.items) == limit
        after = Place.of_cursor(page.behind.cursor(), sort, descending=descending)
        if between is not None:
            await between()


@pytest.fixture
async def people(catalog):
    await catalog.transaction(lambda tx: [tx.users.put(one) for one in (ANN, BOB, ROOT)])
    return catalog


async def add(catalog, files):
    await catalog.transaction(lambda tx: [tx.stored.add(one) for one in files])


async def check(catalog, choose, files, count):
    """Compare answers with the model's, whoever asks."""
    sorts = [FileSort.CREATED, FileSort.NAME, FileSort.SIZE, FileSort.MODIFIED]
    found_some = 0
    for _ in range(count):
        search, sort = some_search(choose), choose.choice(sorts)
        order = {"descending": choose.choice([True, False])}
        user = choose.choice([ANN, ROOT])
        found, total = await pages(
            catalog, user, search, sort, **order, limit=choose.choice([4, 50])
        )
        assert found == modelled(files, search, sort, **order, sees=owns(user)), (search, sort)
        assert total == len(found)
        found_some += bool(found)
    assert found_some > count // 5


def owns(user):
    return lambda file: user is ROOT or file.owner_id == user.user_id


@pytest.fixture(params=["looked at", "by the index"])
def path(request, monkeypatch):
    """PostgreSQL looks at the newest files first, then asks the index: here at almost none."""
    if request.param == "by the index":
        monkeypatch.setattr(search_rows, "_LOOKED_AT", (3, 5))
        monkeypatch.setattr(search_rows, "_SURELY_MORE", 10**9)


async def test_both_databases_find_what_a_plain_loop_finds(people, path):
    choose = random.Random(11)
    files = [some_file(choose, number) for number in range(120)]
    await add(people, files)
    await check(people, choose, files, 60)


async def test_files_are_found_as_they_are_now(people):
    """Renamed, tagged, moved with their folder, in the trash, scanned, removed."""
    choose = random.Random(12)
    files = [some_file(choose, number, scan_state=ScanState.PENDING) for number in range(60)]
    await add(people, files)

    def change(tx):
        for number, one in enumerate(files[:40]):
            if number % 4 == 0:
                new = some_file(choose)
                files[number] = tx.stored.change(one, name=new.name, tags=new.tags)
            elif number % 4 == 1:
                files[number] = tx.stored.change(one, deleted_at=START)
            elif number % 4 == 2:
                newer = some_file(choose, 99)
                files[number] = tx.stored.add_version(one, newer)
            else:
                tx.stored.set_scan(one.content_id, ScanState.CLEAN, None)
        gone = files[5]
        tx.stored.remove(gone)
        tx.folders.make(ANN.user_id, "trips/2026", START)
        tx.folders.move(tx.folders.at(ANN.user_id, "trips"), "beach/Ünal")
        tx.folders.make(BOB.user_id, "beach", START)
        tx.folders.remove(tx.folders.at(BOB.user_id, "beach"), START)
        now = tx.stored.get_many([one.file_id for one in files])
        files[:] = [now[one.file_id] for one in files if one.file_id in now]
        assert gone.file_id not in now

    await people.transaction(change)
    assert {one.folder for one in files} >= {"beach/Ünal", "beach/Ünal/2026"}
    await check(people, choose, files, 40)


async def test_what_is_granted_is_found_and_nothing_else(people, monkeypatch):
    choose = random.Random(13)
    files = [some_file(choose, number) for number in range(80)]
    await add(people, files)
    of_bob = [one for one in files if one.owner_id == BOB.user_id]
    by_itself = of_bob[0]

    def grant(tx):
        tx.folders.make(BOB.user_id, "trips/2026", START)
        folder = tx.folders.at(BOB.user_id, "trips")
        for resource, is_folder in ((folder.folder_id, True), (by_itself.file_id, False)):
            tx.grants.put(
                Grant(
                    resource_id=resource,
                    is_folder=is_folder,
                    grantee=ANN.user_id,
                    level=Level.READ,
                    granted_by=BOB.user_id,
                    created_at=START,
                )
            )

    await people.transaction(grant)

    def seen(file):
        granted = lies_in(file.folder, "trips", True) or file.file_id == by_itself.file_id
        return file.owner_id == ANN.user_id or granted

    for most in (500, 0):  # by marks; and by the rows' test, where that would be too many
        monkeypatch.setattr(search_rows, "_MOST_GRANTED", most)
        for text_ in ("", "holiday", "x -img", "jpg"):
            search = FileSearch(text=text_)
            order = {"descending": True}
            found, _ = await pages(people, ANN, search, FileSort.CREATED, **order, limit=50)
            assert found == modelled(files, search, FileSort.CREATED, **order, sees=seen)
    one = files[files.index(by_itself)]
    await people.transaction(lambda tx: tx.stored.change(one, deleted_at=START))
    in_trash = FileSearch(in_trash=True)
    found, _ = await pages(people, ANN, in_trash, FileSort.CREATED, descending=True, limit=9)
    assert found == [], "what others threw away"


@pytest.mark.parametrize("sort", list(FileSort))
@pytest.mark.parametrize("descending", [True, False])
async def test_nothing_comes_twice_or_is_left_out_while_files_come_and_go(people, sort, descending):
    choose = random.Random(14)
    files = [some_file(choose, number, owner_id=ANN.user_id, name=f"beach {choose.choice(WORDS)}")
             for number in range(60)]  # fmt: skip
    await add(people, files)
    rest = {one.file_id for one in files}
    leaving = choose.sample(files, 20)

    async def between():
        gone, away = leaving.pop(), leaving.pop()
        new = some_file(choose, choose.randint(0, 90), owner_id=ANN.user_id, name="a beach")
        rest.difference_update({gone.file_id, away.file_id})

        def work(tx):
            tx.stored.remove(gone)
            tx.stored.change(away, deleted_at=START)
            tx.stored.add(new)

        await people.transaction(work)

    found, total = await pages(
        people,
        ANN,
        FileSearch(text="beach"),
        sort,
        descending=descending,
        limit=10,
        between=between,
    )
    assert total == 60
    assert len(found) == len(set(found))
    assert rest <= set(found)


async def test_what_fits_best_comes_first(people):
    names = ["other.txt", "my beach house.txt", "seabeach.txt", "beach house 2.txt", "beach.txt"]
    files = [
        some_file(
            random.Random(1), number, owner_id=ANN.user_id, name=name, folder="beach", tags={}
        )
        for number, name in enumerate(names)
    ]
    await add(people, files)
    named = {one.file_id: one.name for one in files}
    search = FileSearch(text="beach")
    found, total = await pages(people, ANN, search, FileSort.RELEVANCE, descending=True, limit=2)
    assert [named[one] for one in found] == [
        "beach.txt", "beach house 2.txt", "my beach house.txt", "seabeach.txt", "other.txt",
    ]  # fmt: skip
    assert total == 5


async def test_many_are_estimated(people, monkeypatch):
    monkeypatch.setattr(search_rows, "MOST_COUNTED", 40)
    monkeypatch.setattr(search_rows, "_SURELY_MORE", 120)
    choose = random.Random(15)
    files = [some_file(choose, number, owner_id=ANN.user_id, name="beach") for number in range(200)]
    files += [some_file(choose, number, owner_id=ANN.user_id, name="cold") for number in range(30)]
    await add(people, files)

    async def total(text_):
        found = await people.read(lambda tx: find_files(tx, ANN, FileSearch(text=text_), limit=5))
        return found.total, found.is_estimate

    assert await total("cold") == (30, False)
    count, is_estimate = await total("beach")
    assert is_estimate
    assert count > 40


HOSTILE = [
    '"', "'", "*", "-", "--", '""', '"*', "-*", "a*b*c*", '-"a" "', "( ) AND OR NOT NEAR",
    "file_words MATCH 'x'", "words:a", "_here", "^a + b", "{a b}: c", "' OR 1=1 --", "\\", "a\\'",
    "\x00", "a\x00b", "\x1b[31m", "\u202ea\u202c", "\ud800", "%", "\U0010ffff", "ﷺ", "a:*b", "!a | b",
    "<->", "a <2> b", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "İ", "x" * 1000, "-x " * 40, "\ufeff",
]  # fmt: skip


async def test_hostile_texts_find_something_or_nothing(people):
    choose = random.Random(16)
    files = [some_file(choose, number, owner_id=ANN.user_id) for number in range(5)]
    named = [
        dataclasses.replace(files[0], file_id=new_file_id(), name=f"n {one}"[:80], tags={"k": one})
        for one in HOSTILE
    ]
    everything = files + named
    await add(people, everything)
    for given in HOSTILE:
        search = FileSearch(text=given, tags=(("k", given),) if "a" in given else ())
        found, _ = await pages(people, ANN, search, FileSort.CREATED, descending=True, limit=30)
        expected = modelled(everything, search, FileSort.CREATED, descending=True, sees=owns(ANN))
        assert found == expected, given


def test_files_that_are_there_are_indexed_by_the_migration(no_catalog_url):
    """A catalog from before there was an index: 1,050 files are two batches."""
    parsed = parse_url(no_catalog_url)
    if is_sqlite(parsed):
        create_sqlite_file(Path(parsed.database))
    engine = sqlite_writer(parsed) if is_sqlite(parsed) else postgres_engine(parsed)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    count, choose = 1050, random.Random(17)
    files = [some_file(choose, number, owner_id=ANN.user_id) for number in range(count)]
    files.sort(key=lambda one: one.file_id)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0011")
        Tx(connection).users.put(ANN)
        names = {one["name"] for one in inspect(connection).get_columns("stored_files")}
        rows = [
            {name: value for name, value in dataclasses.asdict(one).items() if name in names}
            for one in files
        ]
        connection.execute(stored_files.insert(), rows)
    upgrade(no_catalog_url)
    with engine.begin() as connection:
        tx = Tx(connection)
        for question in (FileSearch(), FileSearch(text="beach holiday"), FileSearch(text="東京")):
            found = find_files(tx, ANN, question, limit=count)
            assert [one.file_id for one in found.items] == modelled(
                files, question, FileSort.CREATED, descending=True, sees=owns(ANN)
            )
        new = some_file(choose, owner_id=ANN.user_id, name="later")
        tx.stored.add(new)
        assert find_files(tx, ANN, FileSearch(text="later")).items == [new]
        assert tx.search.newest() == count + 1
    engine.dispose()
