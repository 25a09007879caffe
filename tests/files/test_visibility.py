"""Who sees which files: random trees and grants, held against a model that is plainly right."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import select

from haulier.catalog import seen_files
from haulier.catalog.stored_tables import stored_files
from haulier.catalog.visibility import visible, visible_ids, visible_there
from haulier.core.accounts import Role, StoredFile
from haulier.core.file_names import ancestors
from haulier.core.grants import EVERYBODY, Grant, Level, grantee_of_role
from haulier.core.records import new_file_id, utc_now
from haulier.files.access import sight_of
from haulier.files.accounts import Accounts

# Names that sort around the slash, hold wildcards, and are prefixes of one another.
NAMES = ["a", "a b", "a.", "a0", "aa", "%", "_", "ä", "a\U0010ffff"]


class Model:
    """Files, folders and grants in plain lists."""

    def __init__(self, dice, users):
        self.dice, self.users = dice, users
        self.files, self.folders, self.grants = [], {}, []

    def path(self):
        return "/".join(self.dice.choices(NAMES, k=self.dice.randint(0, 4)))

    def add_file(self, tx):
        file_id, owner = new_file_id(), self.dice.choice(self.users)
        stored = StoredFile(
            file_id=file_id, content_id=file_id, owner_id=owner.user_id, name="x", size_bytes=1,
            crc64nvme="0", crc32="0", created_at=utc_now(), modified_at=utc_now(),
            folder=self.path(), deleted_at=self.dice.choice([None, None, None, utc_now()]),
        )  # fmt: skip
        tx.folders.make(stored.owner_id, stored.folder, utc_now())
        tx.stored.add(stored)
        for path in ancestors(stored.folder):
            folder = tx.folders.at(stored.owner_id, path)
            self.folders[folder.folder_id] = folder
        self.files.append(stored)

    def add_grant(self, tx):
        folders = self.dice.random() < 0.5
        chosen = list(self.folders) if folders else [one.file_id for one in self.files]
        everyone = [*(one.user_id for one in self.users), EVERYBODY]
        grantee = self.dice.choice([*everyone, *map(grantee_of_role, Role)])
        grant = Grant(
            resource_id=self.dice.choice(chosen), is_folder=folders, grantee=grantee,
            level=self.dice.choice(list(Level)), granted_by=self.users[0].user_id,
            created_at=utc_now(),
        )  # fmt: skip
        tx.grants.put(grant)
        same = (grant.resource_id, grant.grantee)
        self.grants = [one for one in self.grants if (one.resource_id, one.grantee) != same]
        self.grants.append(grant)

    def counting(self, stored):
        for grant in self.grants:
            if grant.resource_id == stored.file_id:
                yield grant
            folder = self.folders.get(grant.resource_id)
            if folder is not None and folder.owner_id == stored.owner_id:
                parts, around = stored.folder.split("/"), folder.path.split("/")
                if parts[: len(around)] == around:
                    yield grant

    def sees(self, user, stored):
        if user.role is Role.ADMIN or stored.owner_id == user.user_id:
            return True
        mine = {user.user_id, f"role:{user.role}", "everybody"}
        return any(grant.grantee in mine for grant in self.counting(stored))


def found_by(tx, sight):
    """Return the ids that `visible` finds, and those that `visible_ids` does."""
    test = select(stored_files.c.file_id).where(visible(sight))
    connection = tx._connection
    return set(connection.scalars(test)), set(connection.scalars(visible_ids(sight)))


def there_by(tx, sight):
    """Return the ids of what is not in the trash that `visible_there` finds."""
    there = stored_files.c.deleted_at.is_(None)
    test = select(stored_files.c.file_id).where(visible_there(sight), there)
    return set(tx._connection.scalars(test))


def pages_of(tx, sight, **wanted):
    """Return all ids of a list that is read page by page."""
    found: list[str] = []
    while True:
        page = tx.stored.seen(sight, found[-1] if found else None, 7, **wanted)
        found += [one.file_id for one in page]
        if len(page) < 7:  # which is how the end is told
            return found


def compare_lists(tx, model, user, monkeypatch):
    """Whichever way the newest are found, it is what the model says."""
    sight = sight_of(tx, user)
    files = [one for one in model.files if one.deleted_at is None and model.sees(user, one)]
    files.sort(key=lambda one: one.file_id, reverse=True)
    assert there_by(tx, sight) == {one.file_id for one in files}
    for few, few_owners in ((5000, 20), (3, 20), (3, 0)):
        monkeypatch.setattr(seen_files, "_FEW", few)
        monkeypatch.setattr(seen_files, "_FEW_OWNERS", few_owners)
        assert pages_of(tx, sight) == [one.file_id for one in files]
        of_others = [one.file_id for one in files if one.owner_id != user.user_id]
        if not sight.sees_all:
            assert pages_of(tx, sight, shared=True) == of_others


@pytest.mark.parametrize("seed", range(6))
async def test_as_the_model_says(catalog, seed, monkeypatch):
    dice = random.Random(seed)
    accounts = Accounts(catalog)
    roles = [Role.ADMIN, Role.USER, Role.USER, Role.VIEWER]
    users = [await accounts.add(f"u{n}", role) for n, role in enumerate(roles)]
    model = Model(dice, users)

    def build(tx):
        for _ in range(60):
            model.add_file(tx)
        for _ in range(dice.choice([0, 3, 12])):
            model.add_grant(tx)

    await catalog.transaction(build)

    def compare(tx):
        for stored in model.files:
            expected = {(one.resource_id, one.grantee) for one in model.counting(stored)}
            got = tx.grants.of_file(stored)
            assert {(one.resource_id, one.grantee) for one in got} == expected
        for grantee, file_ids in tx.grants.grantees_of(model.files).items():
            expected = [
                one.file_id
                for one in model.files
                if any(grant.grantee == grantee for grant in model.counting(one))
            ]
            assert sorted(file_ids) == sorted(expected)
        for user in users:
            sight = sight_of(tx, user)
            seen = {one.file_id for one in model.files if model.sees(user, one)}
            there = {one.file_id for one in model.files if one.deleted_at is None}
            by_test, by_id = found_by(tx, sight)
            assert by_test == seen
            assert len(seen & there) <= tx.count_visible(sight, 1000) <= 3 * len(seen & there)
            assert tx.count_visible(sight, 5) <= 5
            if not sight.sees_all:
                assert by_id == seen & there
            compare_lists(tx, model, user, monkeypatch)

    await catalog.read(compare)


async def test_somebody_with_many_folders_sees_the_same(catalog, monkeypatch):
    dice = random.Random(11)
    users = [await Accounts(catalog).add(f"u{n}", Role.USER) for n in range(2)]
    model = Model(dice, users)

    def granted_for(folder_id):
        grant = Grant(
            resource_id=folder_id, is_folder=True, grantee=users[1].user_id, level=Level.READ,
            granted_by=users[0].user_id, created_at=utc_now(),
        )  # fmt: skip
        model.grants.append(grant)
        return grant

    def build(tx):
        for _ in range(250):
            model.add_file(tx)
        # Folders that hold no other: each is a root.
        leaves = {one.folder for one in model.files}
        inner = {path for leaf in leaves for path in ancestors(leaf)[:-1]}
        ids = sorted(one for one, folder in model.folders.items() if folder.path not in inner)
        for folder_id in ids:
            tx.grants.put(granted_for(folder_id))

    await catalog.transaction(build)

    def compare(tx):
        sight = sight_of(tx, users[1])
        assert sight.roots is None
        assert found_by(tx, sight)[0] == {
            one.file_id for one in model.files if model.sees(users[1], one)
        }
        compare_lists(tx, model, users[1], monkeypatch)

    await catalog.read(compare)


async def test_a_page_is_full_where_files_are_granted_twice(catalog):
    users = [await Accounts(catalog).add(f"u{n}", Role.USER) for n in range(2)]
    model = Model(random.Random(1), users[:1])
    model.path = lambda: "a/b"

    def build(tx):
        for _ in range(40):
            model.add_file(tx)
        for path in ("a", "a/b"):
            grant = Grant(
                resource_id=tx.folders.at(users[0].user_id, path).folder_id, is_folder=True,
                grantee=users[1].user_id, level=Level.READ, granted_by=users[0].user_id,
                created_at=utc_now(),
            )  # fmt: skip
            tx.grants.put(grant)

    await catalog.transaction(build)
    there = [one.file_id for one in model.files if one.deleted_at is None]
    found = await catalog.read(lambda tx: pages_of(tx, sight_of(tx, users[1])))
    assert found == sorted(there, reverse=True)
