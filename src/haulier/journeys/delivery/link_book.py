"""Links that were handed out, each an operation of the catalog that runs as long as it is good.

A link is noted before anything is stored for it, so that whatever a crash leaves behind is found
and removed when its time has come.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

from haulier.catalog.catalog import Catalog
from haulier.catalog.filters import OperationFilter
from haulier.catalog.transaction import Tx
from haulier.core.records import (
    OperationRecord,
    OperationStatus,
    format_time,
    parse_time,
    utc_now,
)
from haulier.journeys.archive.destination import Destination

TYPE = "link"
FOLDER = "shared"
# One that ends sooner is not prolonged: it may be removed by another process at this moment.
_LEAST_LEFT = timedelta(minutes=1)


class LinkBook:
    """Knows which links are good.

    Args:
        catalog: where they are noted.
        now: the clock.
    """

    def __init__(self, catalog: Catalog, *, now: Callable[[], datetime] = utc_now) -> None:
        self._catalog = catalog
        self._now = now

    async def begin(
        self, path: Path, name: str, place: Destination, valid_for: timedelta
    ) -> OperationRecord:
        """Note a link that is about to be made; one to the same file is prolonged.

        Args:
            path: the file it leads to.
            name: what people see.
            place: where it is stored, under the key `key_of`.
            valid_for: from now on.

        Raises:
            OSError: the file is not there.
        """
        status = path.stat()
        told = {
            "destination": place.to_json(), "name": name, "size": status.st_size,
            "mtime_ns": status.st_mtime_ns,
        }  # fmt: skip
        wanted = OperationFilter(
            status=OperationStatus.RUNNING, operation_type=TYPE, name=path.name
        )

        def note(tx: Tx) -> OperationRecord:
            now, link = self._now(), None
            for known in tx.list_operations(wanted).items:
                is_same = known.target_path == str(path.absolute())
                if is_same and told.items() <= known.metadata.items():
                    link = known if ends_at(known) > now + _LEAST_LEFT else link
            link = link or OperationRecord(
                operation_type=TYPE,
                target_path=str(path.absolute()),
                target_name=path.name,
                status=OperationStatus.RUNNING,
            )
            link = _ending(dataclasses.replace(link, metadata=told), now + valid_for)
            tx.put_operation(link)
            return link

        return await self._catalog.transaction(note)

    async def withdraw(self, operation_ids: Iterable[str], error: str | None = None) -> None:
        """Let links end now.

        Args:
            operation_ids: of links; those that have ended stay as they are.
            error: why there is none after all.
        """

        def withdraw(tx: Tx) -> None:
            for operation_id in operation_ids:
                link = tx.get_operation(operation_id)
                if link is not None and link.status is OperationStatus.RUNNING:
                    link = dataclasses.replace(link, error_message=error)
                    tx.put_operation(_ending(link, self._now()))

        await self._catalog.transaction(withdraw)

    async def ended(self) -> AsyncIterator[OperationRecord]:
        """Yield the links whose time is over, and whose files may still be there."""
        wanted = OperationFilter(status=OperationStatus.RUNNING, operation_type=TYPE)
        while True:
            page = await self._catalog.list_operations(wanted)
            for link in page.items:
                if ends_at(link) <= self._now():
                    yield link
            if page.next_cursor is None:
                return
            wanted = dataclasses.replace(wanted, cursor=page.next_cursor)

    async def removed(self, link: OperationRecord) -> None:
        """Note that nothing is left of a link."""
        now = self._now()
        failed = link.error_message is not None
        link = dataclasses.replace(
            link,
            status=OperationStatus.FAILED if failed else OperationStatus.SUCCESS,
            completed_at=now,
            duration_seconds=(now - link.started_at).total_seconds(),
        )
        await self._catalog.transaction(lambda tx: tx.put_operation(link))


def key_of(link: OperationRecord) -> str:
    """Return the key under which a link's file is stored; none is used twice."""
    return f"{place_of(link).prefix}{FOLDER}/{link.operation_id}/{link.metadata['name']}"


def place_of(link: OperationRecord) -> Destination:
    """Return where a link's file is stored."""
    return Destination.from_json(link.metadata["destination"])


def ends_at(link: OperationRecord) -> datetime:
    """Return when a link ends."""
    return parse_time(link.metadata["expires_at"])


def _ending(link: OperationRecord, moment: datetime) -> OperationRecord:
    metadata = link.metadata | {"expires_at": format_time(moment)}
    return dataclasses.replace(link, metadata=metadata)
