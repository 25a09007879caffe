"""Stored files as people handle them, through the session engine, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from haulier import errors
from haulier.catalog.catalog import Catalog
from haulier.coordination.events import MemoryEventBus
from haulier.core.accounts import Role, ScanState, User
from haulier.core.jobs import JobState
from haulier.core.records import utc_now
from haulier.core.sessions.session import Order
from haulier.files.accounts import Accounts
from haulier.files.events import FileEvents
from haulier.files.folders import Folders
from haulier.files.library import FileChange, Library
from haulier.files.reception import IF_MATCH, Reception
from haulier.files.removal import Removal
from haulier.transfer.sessions.engine import NewUpload
from sessions_engine import Receiving, body_of, build


@dataclass
class Shelf:
    catalog: Catalog
    receiving: Receiving
    library: Library
    folders: Folders
    ann: User
    removed: list[str]

    async def put(self, name="clip.mp4", content=b"x" * 10, owner=None, **more):
        session = await self.receiving.engine.start(
            NewUpload(
                owner_id=(owner or self.ann).user_id,
                name=name,
                size_bytes=len(content),
                order=Order.SEQUENTIAL,
                **more,
            )
        )
        done = await self.receiving.engine.append(session.session_id, 0, body_of(content))
        return await self.catalog.read(lambda tx: tx.stored.of_content(done.file_id))

    async def used(self):
        user = await self.catalog.read(lambda tx: tx.users.get(self.ann.user_id))
        assert user.reserved_bytes == 0
        return user.used_bytes

    async def names(self, **more):
        found = await self.catalog.read(
            lambda tx: tx.stored.by_owner(self.ann.user_id, None, 100, **more)
        )
        return sorted(f"{one.folder}/{one.name}".lstrip("/") for one in found)

    async def get(self, file_id):
        return await self.catalog.read(lambda tx: tx.stored.get(file_id))

    def removal(self, kept_for=None, remove=None, now=utc_now):
        async def plainly(content_id):
            self.removed.append(content_id)
            await self.receiving.stage.delete(content_id)

        return Removal(
            catalog=self.catalog,
            library=self.library,
            remove=remove or plainly,
            kept_for=kept_for,
            now=now,
        )


@pytest.fixture
async def shelf(tmp_path, catalog):
    events = FileEvents(MemoryEventBus())
    receiving = build(tmp_path, catalog, ledger=Reception(events))
    ann = await Accounts(catalog).add("ann", Role.USER, quota_bytes=100)
    yield Shelf(catalog, receiving, Library(catalog, events), Folders(catalog, events), ann, [])
    await receiving.stage.aclose()


@pytest.fixture
async def bob(catalog):
    return await Accounts(catalog).add("bob", Role.USER)


# --- rename, tag, move


async def test_a_file_is_renamed_moved_and_tagged(shelf):
    stored = await shelf.put()
    assert stored.metadata_etag == stored.etag
    change = FileChange(name="../film\u202e.mp4", folder="/trips//north/", tags={"trip": "north"})
    changed = await shelf.library.change(shelf.ann, stored.file_id, change)
    assert (changed.name, changed.folder, changed.tags) == (
        "film.mp4", "trips/north", {"trip": "north"},
    )  # fmt: skip
    assert await shelf.get(stored.file_id) == changed
    assert changed.etag == stored.etag, "the bytes are the same"
    assert changed.metadata_etag != stored.etag
    paths = [one.path for one in await shelf.folders.inside(shelf.ann, "", None, 10)]
    assert paths == ["trips"]


async def test_of_two_changes_made_from_the_same_state_one_is_refused(shelf):
    stored = await shelf.put()
    results = await asyncio.gather(
        *(
            shelf.library.change(
                shelf.ann,
                stored.file_id,
                FileChange(name=f"{n}.mp4"),
                if_match=stored.metadata_etag,
            )
            for n in range(4)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(one, errors.PreconditionFailed) for one in results) == 3
    with pytest.raises(errors.PreconditionFailed):
        await shelf.library.discard(shelf.ann, stored.file_id, if_match=stored.metadata_etag)


async def test_a_change_that_changes_nothing_is_none(shelf):
    stored = await shelf.put(tags={"a": "b"})
    same = FileChange(name=stored.name, folder="", tags={"a": "b"})
    assert await shelf.library.change(shelf.ann, stored.file_id, same) == stored


async def test_a_name_is_taken_once(shelf):
    first, second = await shelf.put("a.txt"), await shelf.put("b.txt")
    with pytest.raises(errors.NameTaken):
        await shelf.library.change(shelf.ann, second.file_id, FileChange(name="a.txt"))
    results = await asyncio.gather(
        *(
            shelf.library.change(shelf.ann, one.file_id, FileChange(name="c.txt"))
            for one in (first, second)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(one, errors.NameTaken) for one in results) == 1


async def test_what_is_not_yours_is_not_there(shelf, bob):
    stored = await shelf.put()
    library, file_id = shelf.library, stored.file_id
    for attempt in (
        library.get(bob, file_id),
        library.change(bob, file_id, FileChange(name="x")),
        library.discard(bob, file_id),
        library.remove(shelf.ann, file_id),
        library.take_back(shelf.ann, file_id),
    ):
        with pytest.raises(errors.FileNotFoundError):
            await attempt


# --- versions


async def test_an_upload_under_the_same_name_makes_a_version(shelf):
    first = await shelf.put(content=b"one", tags={"a": "b"}, folder="trips")
    second = await shelf.put(content=b"second", folder="trips", mime_type="text/plain")
    assert (second.file_id, second.version, second.size_bytes) == (first.file_id, 2, 6)
    assert second.content_id != first.content_id
    assert (second.tags, second.created_at) == ({"a": "b"}, first.created_at)
    versions = await shelf.catalog.read(lambda tx: tx.stored.versions(second))
    assert versions == [second, first]
    assert {one.etag for one in versions} == {first.etag, second.etag}
    assert await shelf.used() == 9
    elsewhere = await shelf.put(content=b"one", folder="")
    assert elsewhere.file_id != first.file_id


async def test_versions_are_made_one_after_the_other_also_at_once(shelf):
    made = await asyncio.gather(*(shelf.put(content=b"%d" % n) for n in range(8)))
    assert len({one.file_id for one in made}) == 1
    assert await shelf.used() == 8
    newest = await shelf.get(made[0].file_id)
    versions = await shelf.catalog.read(lambda tx: tx.stored.versions(newest))
    assert [one.version for one in versions] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert {one.content_id for one in versions} == {one.content_id for one in made}


async def test_an_earlier_version_comes_back_and_counts_once(shelf):
    first = await shelf.put(content=b"one")
    await shelf.put(content=b"second")
    back = await shelf.library.restore_version(shelf.ann, first.file_id, 1)
    assert (back.version, back.content_id, back.crc64nvme) == (3, first.content_id, first.crc64nvme)
    assert await shelf.get(first.file_id) == back
    assert await shelf.used() == 9
    assert await shelf.library.restore_version(shelf.ann, first.file_id, 3) == back
    with pytest.raises(errors.FileNotFoundError, match="version 9"):
        await shelf.library.restore_version(shelf.ann, first.file_id, 9)
    await shelf.catalog.transaction(
        lambda tx: tx.stored.set_scan(first.content_id, ScanState.INFECTED, "Bad")
    )
    versions = await shelf.catalog.read(lambda tx: tx.stored.versions(tx.stored.get(first.file_id)))
    assert [one.scan_state == "infected" for one in versions] == [True, False, True]
    await shelf.library.discard(shelf.ann, first.file_id)
    await shelf.library.remove(shelf.ann, first.file_id)
    assert await shelf.used() == 0
    assert await shelf.removal().sweep() == 2


async def test_an_upload_that_means_another_version_is_refused(shelf):
    first = await shelf.put(content=b"one")
    await shelf.put(content=b"two", details={IF_MATCH: first.etag})
    with pytest.raises(errors.PreconditionFailed, match="changed meanwhile"):
        await shelf.put(content=b"tri", details={IF_MATCH: first.etag})
    with pytest.raises(errors.PreconditionFailed, match="no file"):
        await shelf.put("new.mp4", details={IF_MATCH: "*"})
    assert await shelf.used() == 6


# --- trash


async def test_into_the_trash_and_back(shelf):
    stored = await shelf.put(folder="trips")
    await shelf.library.discard(shelf.ann, stored.file_id)
    assert await shelf.names() == []
    assert await shelf.names(in_trash=True) == ["trips/clip.mp4"]
    assert await shelf.used() == 10, "what can be taken back is kept"
    with pytest.raises(errors.FileNotFoundError):
        await shelf.library.get(shelf.ann, stored.file_id)
    again = await shelf.put(folder="trips")
    assert (again.version, again.file_id != stored.file_id) == (1, True)
    back = await shelf.library.take_back(shelf.ann, stored.file_id)
    assert (back.name, back.folder, back.deleted_at) == ("clip (2).mp4", "trips", None)
    assert await shelf.names() == ["trips/clip (2).mp4", "trips/clip.mp4"]


async def test_what_is_removed_gives_its_quota_back_once(shelf):
    stored = await shelf.put(content=b"one")
    await shelf.put(content=b"second")
    content_ids = {
        one.content_id
        for one in await shelf.catalog.read(
            lambda tx: tx.stored.versions(tx.stored.get(stored.file_id))
        )
    }
    await shelf.library.discard(shelf.ann, stored.file_id)
    results = await asyncio.gather(
        *(shelf.library.remove(shelf.ann, stored.file_id) for _ in range(3)),
        shelf.library.empty_trash(shelf.ann),
        shelf.library.remove_old(utc_now()),
        return_exceptions=True,
    )
    refused = [one for one in results if isinstance(one, Exception)]
    assert all(isinstance(one, errors.FileNotFoundError) for one in refused), refused
    assert await shelf.used() == 0
    assert await shelf.get(stored.file_id) is None
    jobs = [
        job
        for one in content_ids
        for job in await shelf.catalog.read(lambda tx, one=one: tx.jobs.of_subject(one))
    ]
    assert {job.state for job in jobs} == {JobState.CANCELLED}
    assert all(shelf.receiving.stage.path_of(one).exists() for one in content_ids)
    assert await shelf.removal().sweep() == 2
    assert not any(shelf.receiving.stage.path_of(one).exists() for one in content_ids)
    assert set(shelf.removed) == content_ids
    assert await shelf.removal().sweep() == 0


async def test_bytes_go_after_the_crash_of_whoever_removed_them(shelf):
    stored = await shelf.put()
    await shelf.library.discard(shelf.ann, stored.file_id)
    await shelf.library.remove(shelf.ann, stored.file_id)

    async def fails(content_id):
        raise errors.ExternalServiceError("the disk is away")

    assert await shelf.removal(remove=fails).sweep() == 0
    assert await shelf.removal().sweep() == 1
    assert shelf.removed == [stored.content_id]


async def test_bytes_stay_while_a_job_works_on_them(shelf):
    stored = await shelf.put()
    job = await shelf.catalog.transaction(
        lambda tx: tx.jobs.claim(["digest"], utc_now(), utc_now() + timedelta(minutes=1))
    )
    await shelf.library.discard(shelf.ann, stored.file_id)
    await shelf.library.remove(shelf.ann, stored.file_id)
    assert await shelf.removal().sweep() == 0
    await shelf.catalog.transaction(lambda tx: tx.jobs.complete(job, None, utc_now()))
    assert await shelf.removal().sweep() == 1


async def test_the_trash_is_swept_after_a_while(shelf):
    old, new, kept = await shelf.put("old"), await shelf.put("new"), await shelf.put("kept")
    await shelf.library.discard(shelf.ann, old.file_id)
    middle = utc_now()
    await shelf.library.discard(shelf.ann, new.file_id)

    def later():
        return middle + timedelta(days=30)

    assert await shelf.removal(kept_for=None, now=later).sweep() == 0
    assert await shelf.removal(kept_for=timedelta(days=30), now=later).sweep() == 1
    assert shelf.removed == [old.content_id]
    assert await shelf.names(in_trash=True) == ["new"]
    assert await shelf.names() == ["kept"]
    assert (await shelf.get(kept.file_id)).deleted_at is None


async def test_emptying_takes_all_of_one_trash_alone(shelf, bob):
    for n in range(7):
        await shelf.library.discard(shelf.ann, (await shelf.put(f"{n}")).file_id)
    other = await shelf.put("bobs", owner=bob)
    await shelf.library.discard(bob, other.file_id)
    await shelf.library.empty_trash(shelf.ann, at_once=3)
    assert await shelf.names(in_trash=True) == []
    assert (await shelf.get(other.file_id)).deleted_at is not None
    assert await shelf.used() == 0


# --- folders


async def tree(shelf, *paths):
    for path in paths:
        folder, _, name = path.rpartition("/")
        await shelf.put(name, b"", folder=folder)


async def folder(shelf, path):
    return await shelf.catalog.read(lambda tx: tx.folders.at(shelf.ann.user_id, path))


async def paths_in(shelf, path):
    return [one.path for one in await shelf.folders.inside(shelf.ann, path, None, 100)]


async def test_folders_come_with_the_files_in_them(shelf):
    await tree(shelf, "a/b/c/1.txt", "a/d/2.txt", "a b/3.txt", "4.txt")
    await shelf.folders.make(shelf.ann, "empty/inside")
    assert await paths_in(shelf, "") == ["a", "a b", "empty"]
    assert await paths_in(shelf, "a") == ["a/b", "a/d"]
    assert await paths_in(shelf, "a/b/c") == []
    found = await shelf.folders.inside(shelf.ann, "", "a", 1)
    assert [one.path for one in found] == ["a b"]
    assert await shelf.names(folder="a/d") == ["a/d/2.txt"]
    assert await shelf.names(folder="") == ["4.txt"]
    with pytest.raises(errors.NameTaken):
        await shelf.folders.make(shelf.ann, "a/b/")
    with pytest.raises(errors.ValidationError):
        await shelf.folders.make(shelf.ann, "//")


async def test_a_folder_moves_with_all_in_it(shelf, bob):
    await tree(shelf, "a/b/c/1.txt", "a/b/2.txt", "a/b2/3.txt", "z/4.txt")
    await shelf.put("mine", b"", owner=bob, folder="a/b")
    kept = await folder(shelf, "a/b/c")
    moved = await shelf.folders.move(
        shelf.ann, (await folder(shelf, "a/b")).folder_id, name="B", parent="z/y"
    )
    assert moved.path == "z/y/B"
    assert await shelf.names() == ["a/b2/3.txt", "z/4.txt", "z/y/B/2.txt", "z/y/B/c/1.txt"]
    assert await paths_in(shelf, "a") == ["a/b2"]
    assert await paths_in(shelf, "z/y") == ["z/y/B"]
    assert (await shelf.folders.get(shelf.ann, kept.folder_id)).path == "z/y/B/c"
    theirs = await shelf.catalog.read(lambda tx: tx.stored.by_owner(bob.user_id, None, 9))
    assert [one.folder for one in theirs] == ["a/b"]


async def test_a_folder_never_lies_in_itself(shelf):
    await tree(shelf, "a/b/c/1.txt", "ab/2.txt")
    top = (await folder(shelf, "a")).folder_id
    for parent in ("a", "a/b", "a/b/c", "/a//b"):
        with pytest.raises(errors.ValidationError, match="into itself"):
            await shelf.folders.move(shelf.ann, top, parent=parent)
    with pytest.raises(errors.NameTaken):
        await shelf.folders.move(shelf.ann, top, name="ab")
    assert (await shelf.folders.move(shelf.ann, top, name="a")).path == "a"
    assert (await shelf.folders.move(shelf.ann, top, parent="ab")).path == "ab/a"
    assert await shelf.names() == ["ab/2.txt", "ab/a/b/c/1.txt"]


async def test_two_folders_moved_into_each_other_at_once(shelf):
    await tree(shelf, "a/1.txt", "b/2.txt")
    a, b = await folder(shelf, "a"), await folder(shelf, "b")
    await asyncio.gather(
        shelf.folders.move(shelf.ann, a.folder_id, parent="b"),
        shelf.folders.move(shelf.ann, b.folder_id, parent="a"),
    )
    # Whoever came second made a folder anew, of the name that was free by then.
    assert await shelf.names() in (["a/b/2.txt", "a/b/a/1.txt"], ["b/a/1.txt", "b/a/b/2.txt"])


async def test_a_deleted_folder_leaves_its_files_in_the_trash(shelf):
    await tree(shelf, "a/b/1.txt", "a/2.txt", "ab/3.txt")
    assert await shelf.folders.discard(shelf.ann, (await folder(shelf, "a")).folder_id) == 2
    assert await shelf.names() == ["ab/3.txt"]
    assert await paths_in(shelf, "") == ["ab"]
    trashed = await shelf.catalog.read(
        lambda tx: tx.stored.by_owner(shelf.ann.user_id, None, 9, in_trash=True)
    )
    for one in trashed:
        await shelf.library.take_back(shelf.ann, one.file_id)
    assert await shelf.names() == ["a/2.txt", "a/b/1.txt", "ab/3.txt"]
    assert await paths_in(shelf, "a") == ["a/b"]
