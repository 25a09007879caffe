"""Files of chats and their numbers; what a bot does with them is in tests/jobs."""

import asyncio
from contextlib import AsyncExitStack

from haulier import Settings
from haulier.catalog.catalog import Catalog
from haulier.core.records import FileRecord, OperationRecord, derived_id
from haulier.journeys.archive.open import open_destination
from haulier.journeys.chat_shelf import KEEP, ChatShelf

CHAT, OTHER = "-7", "1"


async def opened_shelf(catalog, data, stack):
    settings = Settings.load(data=data)
    destination = await open_destination(settings, catalog, stack, f"file://{data / 'store'}")
    return ChatShelf(catalog, destination, platform="max", link_hours=1)


def operation(name):
    return OperationRecord(operation_type=KEEP, target_path=name, target_name=name)


async def kept_as(shelf, path, chat=CHAT):
    return await shelf.keep(
        await shelf.begin(operation(path.name)), path, chat=chat, type_="file", user_id="5"
    )


def files(folder, count):
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.txt" for number in range(count)]
    for path in paths:
        path.write_text(path.name)
    return paths


async def test_bots_on_two_hosts_never_give_one_number_twice(catalog_url, tmp_path):
    async with (
        AsyncExitStack() as stack,
        await Catalog.open(catalog_url) as one,
        await Catalog.open(catalog_url) as another,
    ):
        shelves = [await opened_shelf(each, tmp_path / "data", stack) for each in (one, another)]
        paths = files(tmp_path / "sent", 24)
        kept = await asyncio.gather(
            *(kept_as(shelves[number % 2], path) for number, path in enumerate(paths)),
            *(kept_as(shelf, paths[0], OTHER) for shelf in shelves),
        )
        assert sorted(one.number for one in kept[:24]) == list(range(1, 25))
        assert sorted(one.number for one in kept[24:]) == [1, 2]
        for each in kept[:24]:
            found = await shelves[0].numbered(CHAT, each.number)
            assert found is not None
            assert found.name == each.name


async def test_numbers_go_on_after_those_given_before_and_after_deletion(catalog_url, tmp_path):
    # Kept by hosts whose clocks differed: the newest has not the largest number.
    before = [
        FileRecord(
            id=derived_id(time_ms, "before"), name=f"{number}.txt", path="x", location="local", size=1,
            tags={
                "chat": f"max:{CHAT}", "chat_number": f"max:{CHAT}#{number}", "chat_type": "file",
                "chat_user": "5", "key": "x",
            },
        )
        for number, time_ms in ((1, 1000), (3, 2000), (2, 3000))
    ]  # fmt: skip
    async with AsyncExitStack() as stack:
        catalog = await stack.enter_async_context(await Catalog.open(catalog_url))
        await catalog.transaction(lambda tx: tx.put_files(before))
        shelf = await opened_shelf(catalog, tmp_path / "data", stack)
        paths = files(tmp_path / "sent", 3)
        fourth = await kept_as(shelf, paths[0])
        await shelf.delete(operation("delete"), fourth)
        fifth = await kept_as(shelf, paths[1])
        elsewhere = await kept_as(shelf, paths[2], OTHER)
        assert (fourth.number, fifth.number, elsewhere.number) == (4, 5, 1)
