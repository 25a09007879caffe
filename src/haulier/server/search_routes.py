"""Searching among the files that one may see."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from haulier.catalog.transaction import Tx
from haulier.core.accounts import User
from haulier.core.file_search import Place
from haulier.files.finding import FoundFiles, find_files
from haulier.files.showing import as_shown
from haulier.server.identity import Reader, TheServices
from haulier.server.search_models import FileSearchQuery
from haulier.server.shown import metadata_of

router = APIRouter(prefix="/api/files", tags=["files"])


@router.get("/search")
async def search_files(
    query: Annotated[FileSearchQuery, Query()], user: Reader, services: TheServices
) -> dict[str, Any]:
    """Find files that one may see by their names, tags and folders, and by what they are."""
    found = await services.catalog.read(lambda tx: _find(tx, user, query))
    shown = await as_shown(services.catalog, user, found.items)
    return {
        "items": [metadata_of(one) for one in shown],
        "next_cursor": None if found.behind is None else found.behind.cursor(),
        "total": found.total,
        "total_is_estimate": found.is_estimate,
    }


def _find(tx: Tx, user: User, query: FileSearchQuery) -> FoundFiles:
    descending = query.is_descending
    after = None
    if query.cursor is not None:
        after = Place.of_cursor(query.cursor, query.sort, descending=descending)
    return find_files(
        tx,
        user,
        query.search(_owners(tx, query)),
        sort=query.sort,
        descending=descending,
        after=after,
        limit=query.limit,
    )


def _owners(tx: Tx, query: FileSearchQuery) -> tuple[str, ...] | None:
    """Return the ids of the owners that are asked for, by whichever they were named."""
    if query.owner is None:
        return None
    named = [(one, tx.users.by_name(one)) for one in query.owner]
    return tuple(given if user is None else user.user_id for given, user in named)
