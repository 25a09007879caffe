"""Links to a server's files, and files that are deleted past its trash."""

from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest

from haulier.core.records import utc_now
from haulier.errors import NoSuchObject
from haulier.store.wrappers import Retrying
from server_stores import opened

pytestmark = pytest.mark.processes


async def test_whoever_has_the_link_reads_the_file(files_server):
    async with opened(files_server) as store, httpx2.AsyncClient() as anybody:
        await store.put("for/chats/a film.mp4", b"moving")
        url = await Retrying(store).share(
            "for/chats/a film.mp4", until=utc_now() + timedelta(hours=1)
        )
        assert (await anybody.get(f"{url}/download")).content == b"moving"
        await store.delete_for_good("for/chats/a film.mp4")
        assert (await anybody.get(f"{url}/download")).status_code == 404
        with pytest.raises(NoSuchObject):
            await store.share("for/chats/a film.mp4", until=utc_now())


async def test_deleted_for_good_it_is_not_in_the_trash_and_its_neighbours_stay(files_server):
    async with opened(files_server) as store:
        for key in ("shared/1/a.mp4", "shared/1/b.mp4", "shared/2/c.mp4"):
            await store.put(key, b"moving")
        for key in ("shared/1/a.mp4", "shared/2/c.mp4", "shared/2/c.mp4", "nowhere/x"):
            await store.delete_for_good(key)
        assert [info.key async for info in store.list_objects("shared/")] == ["shared/1/b.mp4"]
        assert [one["path"] async for one in store._pages("/api/folders", parent="shared")] == [
            "shared/1"
        ]
        assert [one async for one in store._pages("/api/trash")] == []
