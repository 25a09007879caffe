"""A delivery as an operation of the catalog, which holds what it still owes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from haulier.catalog.catalog import Catalog
from haulier.catalog.filters import OperationFilter
from haulier.core.records import OperationRecord, OperationStatus, utc_now
from haulier.transfer.consignments import Consignment
from haulier.transfer.processors import UploadResult

TYPE = "deliver"
_UNFINISHED = (OperationStatus.RUNNING, OperationStatus.PARTIAL, OperationStatus.FAILED)


class CatalogLedger:
    """Keeps consignments in the metadata of an operation; a `transfer.consignments.Ledger`.

    Args:
        catalog: where the operation is.
        operation: this delivery.
    """

    def __init__(self, catalog: Catalog, operation: OperationRecord) -> None:
        self._catalog = catalog
        self.operation = operation

    async def load(self) -> list[Consignment]:
        """Return what was saved last."""
        return _consignments(self.operation)

    async def save(self, consignments: Sequence[Consignment]) -> None:
        """Keep these; committed when it returns."""
        plain = [each.to_json() for each in consignments]
        await self._change(metadata=self.operation.metadata | {"consignments": plain})

    async def begin(self) -> None:
        """Record that it runs."""
        await self._change(
            status=OperationStatus.RUNNING, completed_at=None, duration_seconds=None,
            error_message=None,
        )  # fmt: skip

    async def end(self, result: UploadResult) -> None:
        """Record how it ended."""
        now = utc_now()
        status = OperationStatus.SUCCESS if result.success else OperationStatus.FAILED
        if result.successful_uploads and not result.success:
            status = OperationStatus.PARTIAL
        await self._change(
            status=status,
            completed_at=now,
            duration_seconds=(now - self.operation.started_at).total_seconds(),
            error_message=result.error,
            metadata=self.operation.metadata | result.metadata,
        )

    async def _change(self, **changes: Any) -> None:
        operation = dataclasses.replace(self.operation, **changes)
        await self._catalog.transaction(lambda tx: tx.put_operation(operation))
        self.operation = operation


async def open_ledger(
    catalog: Catalog, directory: Path, platform: str, place: str | None
) -> CatalogLedger:
    """Return the ledger of a delivery that is not finished, or of a new one.

    Args:
        catalog: where deliveries are recorded.
        directory: what is delivered.
        platform: to where.
        place: the channel, as the platform calls it.
    """
    target = str(directory.absolute())
    for status in _UNFINISHED:
        wanted = OperationFilter(status=status, operation_type=TYPE, name=directory.name)
        for operation in (await catalog.list_operations(wanted)).items:
            told = (operation.target_path, operation.metadata.get("platform"))
            if (*told, operation.metadata.get("place")) != (target, platform, place):
                continue
            if status is OperationStatus.RUNNING or _can_be_tried_again(operation):
                return CatalogLedger(catalog, operation)
    return CatalogLedger(
        catalog,
        OperationRecord(
            operation_type=TYPE,
            target_path=target,
            target_name=directory.name,
            metadata={"platform": platform, "place": place, "consignments": []},
        ),
    )


def _can_be_tried_again(operation: OperationRecord) -> bool:
    """Tell whether the files that did not arrive are still there."""
    return all(
        file.path.exists()
        for each in _consignments(operation)
        if each.message_id is None
        for file in each.files
    )


def _consignments(operation: OperationRecord) -> list[Consignment]:
    return [Consignment.from_json(each) for each in operation.metadata.get("consignments", [])]
