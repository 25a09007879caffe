"""What was granted for files and folders, as those see it to whom it was."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx2
import pytest

from app_in_process import app_with
from catalogs import with_catalog
from haulier.core.accounts import Role
from haulier.files.access import topics_of
from haulier.server.services import open_services
from haulier.settings import Settings

pytestmark = pytest.mark.processes
DATA = b"abc" * 100


class World:
    """A server with a file of Ann's in a folder, and others who may be granted something."""

    def __init__(self, app, services):
        self.app, self.services = app, services
        self.people, self.users = {}, {}

    async def begin(self):
        roles = {"ann": Role.USER, "bob": Role.USER, "eve": Role.VIEWER, "root": Role.ADMIN}
        for name, role in roles.items():
            await self.add(name, role)
        await self.put_file()
        return self

    async def add(self, name, role):
        user = self.users[name] = await self.services.accounts.add(name, role)
        token = self.services.tokens.issue(user, timedelta(hours=1))
        self.people[name] = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app),
            base_url="http://x",
            headers={"Authorization": f"Bearer {token}"},
        )

    async def put_file(self, path="team/plan/a.bin"):
        self.file = (await self.ask("ann", "PUT", f"/api/content/{path}", content=DATA)).json()
        folders = (await self.ask("ann", "GET", "/api/folders")).json()["items"]
        self.folder = folders[0]["id"]
        return self.file["id"]

    async def ask(self, name, method, path, **more):
        return await self.people[name].request(method, path, **more)

    async def grant(self, permission, *, folder=False, by="ann", **whom):
        where = f"/api/folders/{self.folder}" if folder else f"/api/files/{self.file['id']}"
        body = {**(whom or {"user": "bob"}), "permission": permission}
        answer = await self.ask(by, "PUT", f"{where}/permissions", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    async def revoke(self, *, folder=False, **whom):
        where = f"/api/folders/{self.folder}" if folder else f"/api/files/{self.file['id']}"
        answer = await self.ask("ann", "DELETE", f"{where}/permissions", params=whom)
        assert answer.status_code == 204

    async def listed(self, name, **params):
        items = (await self.ask(name, "GET", "/api/files", params=params)).json()["items"]
        return [one["name"] for one in items]

    async def sees(self, name):
        answer = await self.ask(name, "GET", f"/api/files/{self.file['id']}")
        assert answer.status_code in {200, 404}
        assert (self.file["name"] in await self.listed(name)) is (answer.status_code == 200)
        return answer.status_code == 200

    async def close(self):
        for one in self.people.values():
            await one.aclose()


@pytest.fixture
async def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DURABILITY", "none")
    settings = Settings.load(data=with_catalog(tmp_path))
    async with open_services(settings) as services:
        made = await World(app_with(services), services).begin()
        yield made
        await made.close()


ID = "{id}"
# What a file's own routes answer with no permission, read, write, share, owner.
ACTIONS = {
    "see": ("GET", ID, {}, [404, 200, 200, 200, 200]),
    "download": ("GET", f"{ID}/download", {}, [404, 200, 200, 200, 200]),
    "head": ("HEAD", f"{ID}/download", {}, [404, 200, 200, 200, 200]),
    "range": ("GET", f"{ID}/download", {"headers": {"Range": "bytes=5-9"}},
              [404, 206, 206, 206, 206]),
    "picture": ("GET", f"{ID}/thumbnail", {}, [404, 404, 404, 404, 404]),
    "versions": ("GET", f"{ID}/versions", {}, [404, 200, 200, 200, 200]),
    "link": ("POST", f"{ID}/link", {"json": {}}, [404, 201, 201, 201, 201]),
    "zip": ("GET", "zip", {"params": {"ids": ID}}, [404, 200, 200, 200, 200]),
    "tag": ("PATCH", ID, {"json": {"tags": {"a": "b"}}}, [404, 403, 200, 200, 200]),
    "rename": ("PATCH", ID, {"json": {"name": "b.bin"}}, [404, 403, 200, 200, 200]),
    "move": ("PATCH", ID, {"json": {"folder": "team"}}, [404, 403, 200, 200, 200]),
    "move away": ("PATCH", ID, {"json": {"folder": "other"}}, [404, 403, 404, 404, 404]),
    "restore": ("POST", f"{ID}/versions/1/restore", {}, [404, 403, 200, 200, 200]),
    "delete": ("DELETE", ID, {}, [404, 403, 204, 204, 204]),
    "shares": ("GET", f"{ID}/shares", {}, [404, 403, 403, 200, 200]),
    "share": ("POST", f"{ID}/shares", {"json": {}}, [404, 403, 403, 201, 201]),
    "permissions": ("GET", f"{ID}/permissions", {}, [404, 403, 403, 200, 200]),
    "grant": ("PUT", f"{ID}/permissions", {"json": {"role": "viewer", "permission": "read"}},
              [404, 403, 403, 403, 200]),
    "revoke": ("DELETE", f"{ID}/permissions", {}, [404, 403, 403, 403, 204]),
}  # fmt: skip
LEVELS = [None, "read", "write", "share", "owner"]


def with_id(value, file_id):
    return json.loads(json.dumps(value).replace(ID, file_id))


# To whom a file alone was granted, the folder is not there to move it in: see `move away`.
ASKED = [(one, folder) for one in ACTIONS for folder in (False, True) if folder or one != "move"]


@pytest.mark.parametrize(("action", "folder"), ASKED)
async def test_what_each_level_allows(world, action, folder):
    method, path, request, expected = ACTIONS[action]
    for level, status in zip(LEVELS, expected, strict=True):
        file_id = await world.put_file()
        if level is not None:
            await world.grant(level, folder=folder)
        asked, where = with_id(request, file_id), f"/api/files/{with_id(path, file_id)}"
        answer = await world.ask("bob", method, where, **asked)
        assert answer.status_code == status, (level, answer.text)
        viewers = await world.ask("eve", method, where, **asked)
        if action != "grant" or level != "owner":
            assert viewers.status_code == 404, "nothing was granted to her"
        await world.ask("ann", "DELETE", f"/api/files/{file_id}")
        await world.ask("ann", "DELETE", f"/api/trash/{file_id}")


FOLDER_ACTIONS = {
    "see": ("GET", "/api/folders/{id}", {}, [404, 200, 200, 200, 200]),
    "files": ("GET", "/api/files", {"params": {"folder_id": ID}}, [404, 200, 200, 200, 200]),
    "folders": ("GET", "/api/folders", {"params": {"parent_id": ID}}, [404, 200, 200, 200, 200]),
    "make": ("POST", "/api/folders", {"json": {"path": "n", "parent_id": ID}},
             [404, 403, 201, 409, 409]),
    "rename": ("PATCH", "/api/folders/{id}", {"json": {"name": "team2"}},
               [404, 403, 200, 200, 200]),
    "move away": ("PATCH", "/api/folders/{id}", {"json": {"parent": "x"}},
                  [404, 403, 404, 404, 404]),
    "permissions": ("GET", "/api/folders/{id}/permissions", {}, [404, 403, 403, 200, 200]),
    "grant": ("PUT", "/api/folders/{id}/permissions", {"json": {"role": "user",
              "permission": "read"}}, [404, 403, 403, 403, 200]),
    "revoke": ("DELETE", "/api/folders/{id}/permissions", {}, [404, 403, 403, 403, 204]),
}  # fmt: skip


@pytest.mark.parametrize("action", FOLDER_ACTIONS)
async def test_what_each_level_allows_with_a_folder(world, action):
    method, path, request, expected = FOLDER_ACTIONS[action]
    for level, status in zip(LEVELS, expected, strict=True):
        if level is not None:
            await world.grant(level, folder=True)
        answer = await world.ask(
            "bob", method, with_id(path, world.folder), **with_id(request, world.folder)
        )
        assert answer.status_code == status, (level, answer.text)


async def test_a_folder_with_all_in_it_goes_to_the_trash_of_its_owner(world):
    await world.grant("write", folder=True)
    answer = await world.ask("bob", "DELETE", f"/api/folders/{world.folder}")
    assert answer.status_code == 204
    assert not await world.sees("bob")
    trash = (await world.ask("ann", "GET", "/api/trash")).json()["items"]
    assert [one["name"] for one in trash] == ["a.bin"]
    assert (await world.ask("bob", "GET", "/api/trash")).json()["items"] == []
    where = f"/api/trash/{world.file['id']}/restore"
    assert (await world.ask("bob", "POST", where)).status_code == 404


@pytest.mark.parametrize(
    ("whom", "who"),
    [
        ({"user": "bob"}, {"bob"}),
        ({"role": "user"}, {"bob"}),
        ({"role": "viewer"}, {"eve"}),
        ({"everybody": True}, {"bob", "eve"}),
    ],
    ids=["user", "role", "viewers", "everybody"],
)
@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
async def test_to_a_user_a_role_and_everybody(world, whom, who, folder):
    assert [await world.sees(name) for name in ("bob", "eve", "root")] == [False, False, True]
    await world.grant("write", folder=folder, **whom)
    assert {name for name in ("bob", "eve") if await world.sees(name)} == who
    await world.revoke(folder=folder, **whom)
    assert [await world.sees(name) for name in ("bob", "eve")] == [False, False]


async def test_no_grant_makes_more_of_a_viewer(world):
    await world.grant("owner", user="eve")
    assert await world.sees("eve")
    where = f"/api/files/{world.file['id']}"
    for method, path, more in (
        ("PATCH", where, {"json": {"name": "x"}}),
        ("DELETE", where, {}),
        ("POST", f"{where}/shares", {"json": {}}),
        ("PUT", f"{where}/permissions", {"json": {"everybody": True, "permission": "read"}}),
    ):
        assert (await world.ask("eve", method, path, **more)).status_code == 403


async def test_a_role_that_changes_takes_what_it_was_granted_along(world):
    await world.grant("read", role="viewer")
    assert await world.sees("eve")
    await world.services.accounts.change(world.users["eve"], role=Role.USER)
    assert not await world.sees("eve")


async def test_the_highest_of_what_was_granted_counts(world):
    await world.grant("write", folder=True)
    await world.grant("read")
    where = f"/api/files/{world.file['id']}"
    assert (await world.ask("bob", "PATCH", where, json={"name": "b"})).status_code == 200


async def test_what_is_granted_is_listed_with_where_it_comes_from(world):
    await world.grant("share", folder=True, everybody=True)
    items = await world.grant("write", user=world.users["bob"].user_id)
    told = [(one["user"], one["role"], one["everybody"], one["permission"]) for one in items]
    assert told == [
        ("ann", None, False, "owner"),
        (None, None, True, "share"),
        ("bob", None, False, "write"),
    ]
    assert [one["inherited_from"] for one in items] == [None, world.folder, None]
    assert [one["granted_by"] for one in items[1:]] == [world.users["ann"].user_id] * 2
    again = await world.grant("read", user="bob")
    assert [one["permission"] for one in again] == ["owner", "share", "read"]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"permission": "read"}, 422),
        ({"user": "bob", "role": "user", "permission": "read"}, 422),
        ({"user": "bob", "everybody": True, "permission": "read"}, 422),
        ({"user": "bob"}, 422),
        ({"user": "bob", "permission": "everything"}, 422),
        ({"user": "bob", "permission": "read", "more": 1}, 422),
        ({"role": "king", "permission": "read"}, 422),
        ({"user": "nobody", "permission": "read"}, 400),
        ({"user": "\0", "permission": "read"}, 400),
        ({"user": "ann", "permission": "read"}, 400),
    ],
    ids=str,
)
async def test_what_can_not_be_granted(world, given, status):
    where = f"/api/files/{world.file['id']}/permissions"
    answer = await world.ask("ann", "PUT", where, json=given)
    assert answer.status_code == status, answer.text


async def test_what_was_not_granted_can_not_be_taken_back(world):
    where = f"/api/files/{world.file['id']}/permissions"
    assert (await world.ask("ann", "DELETE", where, params={"user": "bob"})).status_code == 404
    both = {"user": "bob", "everybody": "true"}
    assert (await world.ask("ann", "DELETE", where, params=both)).status_code == 400
    assert (await world.ask("ann", "DELETE", where)).status_code == 204


async def test_moving_never_wins_anybody_anything(world):
    """Bob writes in both folders; what Eve sees of one she must not see of the other."""
    await world.grant("write", folder=True)
    other = (await world.ask("ann", "POST", "/api/folders", json={"path": "open"})).json()["id"]
    for body in ({"user": "bob", "permission": "write"}, {"user": "eve", "permission": "read"}):
        await world.ask("ann", "PUT", f"/api/folders/{other}/permissions", json=body)
    where = f"/api/files/{world.file['id']}"
    answer = await world.ask("bob", "PATCH", where, json={"folder": "open"})
    assert answer.status_code == 403
    inner = await world.ask("bob", "GET", "/api/folders", params={"parent_id": world.folder})
    plan = inner.json()["items"][0]["id"]
    moved = await world.ask("bob", "PATCH", f"/api/folders/{plan}", json={"parent": "open"})
    assert moved.status_code == 403
    assert not await world.sees("eve")
    assert (await world.ask("ann", "PATCH", where, json={"folder": "open"})).status_code == 200
    assert await world.sees("eve")


async def test_who_shared_and_may_not_any_more_has_dead_links(world):
    await world.grant("share")
    where = f"/api/files/{world.file['id']}"
    share = (await world.ask("bob", "POST", f"{where}/shares", json={})).json()
    link = (await world.ask("bob", "POST", f"{where}/link", json={})).json()["url"]
    fetches = [f"/s/{share['token']}/download", httpx2.URL(link).path]

    async def statuses():
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=world.app), base_url="http://x"
        ) as anyone:
            return [(await anyone.get(path)).status_code for path in fetches]

    assert await statuses() == [200, 200]
    await world.grant("read")
    assert await statuses() == [404, 200]
    await world.revoke(user="bob")
    assert await statuses() == [404, 404]
    await world.grant("share", folder=True)
    assert await statuses() == [200, 200]
    listed = (await world.ask("ann", "GET", f"{where}/shares")).json()["items"]
    assert [one["id"] for one in listed] == [share["id"]]
    await world.revoke(folder=True)
    assert (await world.ask("bob", "DELETE", f"/api/shares/{share['id']}")).status_code == 204


async def test_what_was_granted_to_a_folder_that_is_gone_is_gone(world):
    await world.grant("read", folder=True)
    await world.ask("ann", "DELETE", f"/api/folders/{world.folder}")
    await world.ask("ann", "POST", f"/api/trash/{world.file['id']}/restore")
    assert not await world.sees("bob")


async def test_lists_tell_ones_own_from_what_was_granted(world):
    await world.ask("bob", "PUT", "/api/content/own.bin", content=b"x")
    await world.grant("read", folder=True)
    await world.grant("read", everybody=True)
    assert await world.listed("bob") == ["own.bin", "a.bin"]
    assert await world.listed("bob", shared=True) == ["a.bin"]
    assert await world.listed("bob", shared=False) == ["own.bin"]
    assert await world.listed("bob", folder="") == ["own.bin"]
    assert await world.listed("bob", folder_id=world.folder) == []
    assert await world.listed("bob", folder_id=world.folder, folder="plan") == ["a.bin"]
    shared = await world.ask("bob", "GET", "/api/folders", params={"shared": True})
    assert [one["path"] for one in shared.json()["items"]] == ["team"]
    inner = await world.ask("bob", "GET", "/api/folders", params={"parent_id": world.folder})
    assert [one["path"] for one in inner.json()["items"]] == ["team/plan"]
    assert (await world.ask("bob", "GET", "/api/folders")).json()["items"] == []


async def test_a_list_of_many_granted_files_goes_on_behind_its_cursor(world):
    for number in range(7):
        await world.put_file(f"team/{number % 3}/f{number}.bin")
        if number % 2:
            await world.grant("read", everybody=True)
    await world.grant("read", folder=True)
    found, cursor = [], None
    while True:
        params = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = (await world.ask("bob", "GET", "/api/files", params=params)).json()
        found += [one["name"] for one in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == [f"f{number}.bin" for number in reversed(range(7))] + ["a.bin"]


async def changed(world, name, since="0"):
    page = (await world.ask(name, "GET", "/api/files/changes", params={"since": since})).json()
    assert not page["more"]
    return {one["id"]: one["change"] for one in page["items"]}, page["next_cursor"]


@pytest.mark.parametrize(
    "whom",
    [{"user": "bob"}, {"role": "user"}, {"everybody": True}],
    ids=["user", "role", "everybody"],
)
@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
async def test_the_feed_tells_what_comes_into_sight_and_goes_out_of_it(world, whom, folder):
    found, since = await changed(world, "bob")
    assert found == {}
    file_id, where = world.file["id"], f"/api/files/{world.file['id']}"

    async def told():
        nonlocal since
        found, since = await changed(world, "bob", since)
        return found

    await world.grant("read", folder=folder, **whom)
    assert await told() == {file_id: "updated"}
    await world.ask("ann", "PATCH", where, json={"tags": {"a": "b"}})
    assert await told() == {file_id: "updated"}
    await world.ask("ann", "PUT", "/api/content/team/plan/a.bin", content=b"newer")
    assert await told() == {file_id: "updated"}
    await world.ask("ann", "DELETE", where)
    assert await told() == {file_id: "deleted"}
    await world.ask("ann", "POST", f"/api/trash/{file_id}/restore")
    assert await told() == {file_id: "updated"}
    if folder:
        await world.ask("ann", "PATCH", where, json={"folder": "elsewhere"})
        assert await told() == {file_id: "deleted"}
        await world.ask("ann", "PATCH", where, json={"folder": "team/other"})
        assert await told() == {file_id: "updated"}
    await world.revoke(folder=folder, **whom)
    assert await told() == {file_id: "deleted"}
    await world.ask("ann", "PATCH", where, json={"tags": {"a": "c"}})
    assert await told() == {}
    # Whoever asks for the first time learns nothing of what is not there any more.
    assert "updated" not in (await changed(world, "bob"))[0].values()


async def test_a_cursor_of_another_role_is_told(world):
    _, since = await changed(world, "bob")
    await world.services.accounts.change(world.users["bob"], role=Role.VIEWER)
    answer = await world.ask("bob", "GET", "/api/files/changes", params={"since": since})
    assert (answer.status_code, answer.json()["code"]) == (410, "changes-gone")
    for broken in ("-1", "1-2", "1-king-2-3", "1-user-9-9"):
        answer = await world.ask("bob", "GET", "/api/files/changes", params={"since": broken})
        assert answer.status_code in {410, 422}


async def test_who_may_see_a_file_is_told_of_it(world):
    file_id, where = world.file["id"], f"/api/files/{world.file['id']}"
    bus = world.services.events

    async def next_of(news, *kinds):
        while (event := await news.take(5)) is not None:
            told = json.loads(event.text)
            if told["type"] in kinds:
                return told
        raise AssertionError(f"nothing of {kinds} was told")

    async with (
        bus.subscribe(topics_of(world.users["bob"])) as bob,
        bus.subscribe(topics_of(world.users["eve"])) as eve,
        bus.subscribe(topics_of(world.users["ann"])) as ann,
    ):
        await world.grant("share", folder=True)
        told = await next_of(bob, "permission.changed")
        assert (told["data"]["folder_id"], told["data"]["permission"]) == (world.folder, "share")
        assert told["data"]["user_id"] == world.users["bob"].user_id
        await world.ask("ann", "PATCH", where, json={"tags": {"a": "b"}})
        assert (await next_of(bob, "file.updated"))["data"]["file_id"] == file_id
        share = (await world.ask("bob", "POST", f"{where}/shares", json={})).json()
        for one in (bob, ann):
            told = await next_of(one, "file.shared")
            assert (told["data"]["share_id"], told["data"]["file_id"]) == (share["id"], file_id)
            assert share["token"] not in json.dumps(told)
        await world.ask("bob", "GET", f"{where}/download")
        assert (await next_of(ann, "file.downloaded"))["data"]["by"] == "bob"
        await world.ask("ann", "PATCH", where, json={"folder": "own"})
        assert (await next_of(bob, "file.deleted"))["data"]["folder"] is None
        await world.revoke(folder=True)
        told = await next_of(bob, "permission.changed")
        assert told["data"]["permission"] is None
        await world.ask("ann", "DELETE", where)
        await next_of(ann, "file.deleted")
        assert await bob.take(0) is None
        assert await eve.take(0) is None


async def test_who_may_see_a_folder_is_told_of_it(world):
    bus = world.services.events
    folder = {}

    async def told(news, count):
        """The next of what one of them is told of folders, and of files that come and go."""
        found = []
        while len(found) < count:
            event = await news.take(30)
            assert event is not None, found
            event = json.loads(event.text)
            kind, place = event["type"], event["data"].get("folder")
            if kind.startswith("folder.") or kind in {"file.created", "file.deleted"}:
                found.append((kind, place))
        return found

    async def make(path):
        answer = await world.ask("ann", "POST", "/api/folders", json={"path": path})
        assert answer.status_code == 201
        folder[path] = f"/api/folders/{answer.json()['id']}"

    await world.grant("read", folder=True)
    async with (
        bus.subscribe(topics_of(world.users["ann"])) as ann,
        bus.subscribe(topics_of(world.users["bob"])) as bob,
        bus.subscribe(topics_of(world.users["eve"])) as eve,
    ):
        await make("own/deep")
        assert await told(ann, 2) == [("folder.created", "own"), ("folder.created", "own/deep")]
        await make("team/empty")
        # A file brings the folders that it lies in.
        await world.ask("ann", "PUT", "/api/content/team/new/b.bin", content=DATA)
        made = [("folder.created", "team/empty"), ("folder.created", "team/new")]
        assert await told(bob, 3) == [*made, ("file.created", "team/new")]

        await world.ask("ann", "PATCH", folder["own/deep"], json={"parent": "team"})
        assert await told(bob, 1) == [("folder.updated", "team/deep")]
        await world.ask("ann", "PATCH", folder["own/deep"], json={"parent": "own"})
        # Where it is now is nothing to those who can't see it there.
        assert await told(bob, 1) == [("folder.deleted", None)]
        await world.ask("ann", "PATCH", folder["team/empty"], json={"name": "none"})
        assert await told(bob, 1) == [("folder.updated", "team/none")]

        await world.ask("ann", "DELETE", f"/api/folders/{world.folder}")
        assert sorted(await told(bob, 6)) == [
            *[("file.deleted", f"team/{one}") for one in ("new", "plan")],
            ("folder.deleted", "team"),
            *[("folder.deleted", f"team/{one}") for one in ("new", "none", "plan")],
        ]
        assert await eve.take(0) is None


async def test_many_at_once_stop_where_one_may_not(world):
    first = world.file["id"]
    second = await world.put_file("other/b.bin")
    await world.grant("read")
    body = {"action": "delete", "ids": [first, second]}
    answer = await world.ask("bob", "POST", "/api/files/bulk", json=body)
    assert [one["status"] for one in answer.json()["items"]] == [404, 403]


async def test_into_anothers_folder_by_every_way_in(world):
    """Whose folder it is, that is whose file and quota it is."""
    where = {"folder_id": world.folder}
    ways = {
        "put": ("PUT", "/api/content/in/put.bin", {"params": where, "content": b"abc"}),
        "start": ("POST", "/api/files/upload/start",
                  {"json": {"name": "start.bin", "size": 0, "folder": "in", **where}}),
        "tus": ("POST", "/tus/", {"params": where, "content": b"abc", "headers": {
            "Tus-Resumable": "1.0.0", "Upload-Length": "3", "Upload-Metadata": "filename dHVz",
            "Content-Type": "application/offset+octet-stream"}}),
        "resumable": ("POST", "/resumable/", {"params": where, "content": b"abc", "headers": {
            "Upload-Complete": "?1", "Content-Disposition": 'attachment; filename="res.bin"'}}),
    }  # fmt: skip
    for level, status in ((None, 404), ("read", 403), ("write", 201)):
        if level is not None:
            await world.grant(level, folder=True)
        for method, path, request in ways.values():
            answer = await world.ask("bob", method, path, **request)
            assert answer.status_code == status, (path, level, answer.text)
    used = {name: (await world.services.accounts.get(name)).used_bytes for name in ("ann", "bob")}
    assert used == {"ann": len(DATA) + 9, "bob": 0}
    found = (await world.ask("ann", "GET", "/api/files")).json()["items"]
    assert {(one["folder"], one["name"]) for one in found} == {
        ("team/plan", "a.bin"), ("team/in", "put.bin"), ("team/in", "start.bin"),
        ("team", "tus"), ("team", "res.bin"),
    }  # fmt: skip
    assert {one["owner"] for one in found} == {world.users["ann"].user_id}
    assert await world.listed("bob", shared=False) == []
    version = await world.ask("bob", "PUT", "/api/content/in/put.bin", params=where, content=b"d")
    assert (version.status_code, version.json()["version"]) == (200, 2)


async def test_what_is_on_its_way_follows_the_folder_and_the_permission(world):
    await world.grant("write", folder=True)
    start = {"name": "late.bin", "size": 3, "folder_id": world.folder}
    begun = [
        (await world.ask("bob", "POST", "/api/files/upload/start", json=start)).json()["session_id"]
        for _ in range(2)
    ]

    async def finish(session_id):
        return await world.ask(
            "bob", "POST", f"/api/files/upload/{session_id}/chunk",
            headers={"X-Chunk-Number": "1"}, content=b"abc",
        )  # fmt: skip

    for name in ("ann", "root", "eve"):
        where = f"/api/files/upload/{begun[0]}"
        assert (await world.ask(name, "GET", where)).status_code == 404, "it is Bob's to send"
    await world.ask("ann", "PATCH", f"/api/folders/{world.folder}", json={"name": "crew"})
    done = (await finish(begun[0])).json()["file"]
    assert (done["folder"], done["owner"]) == ("crew", world.users["ann"].user_id)
    await world.revoke(folder=True)
    assert (await finish(begun[1])).status_code == 403
    ann = await world.services.accounts.get("ann")
    assert (ann.used_bytes, ann.reserved_bytes) == (len(DATA) + 3, 0)


async def test_a_download_that_runs_may_end_and_the_next_range_is_refused(world):
    await world.grant("read")
    where = f"/api/files/{world.file['id']}/download"
    stored = await world.services.library.get(world.users["bob"], world.file["id"])
    reading = world.services.downloads.answer(stored)
    sent = []

    async def send(message):
        if not sent:
            await world.revoke(user="bob")
        sent.append(message)

    scope = {"type": "http", "method": "GET", "headers": [], "path": where, "state": {}}
    await reading(scope, None, send)
    assert b"".join(bytes(one.get("body", b"")) for one in sent) == DATA
    answer = await world.ask("bob", "GET", where, headers={"Range": "bytes=5-"})
    assert answer.status_code == 404
