"""Where what is uploaded goes, as requests name it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from haulier.core.accounts import User
from haulier.files.destinations import Destination, destination_of
from haulier.server.services import Services

ID_PATTERN = "^[0-9a-z]{20,32}$"
FolderId = Annotated[
    str | None,
    Query(pattern=ID_PATTERN, description="of a folder in which one may write, also another's"),
]


async def destination(
    services: Services, user: User, folder: str | None, folder_id: str | None
) -> Destination:
    """Return where an upload goes; see `destination_of`."""
    return await services.catalog.read(lambda tx: destination_of(tx, user, folder, folder_id))
