"""Searching among stored files, as far as somebody sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from haulier.catalog.search_rows import Found, FoundRow, Match
from haulier.catalog.transaction import Tx
from haulier.core.accounts import StoredFile, User
from haulier.core.file_search import (
    MOST_RANKED,
    FileSearch,
    FileSort,
    Place,
    relevance,
    sought_in,
)
from haulier.core.search_text import Sought
from haulier.files.access import sight_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFiles:
    """A page of what was found.

    Args:
        items: the files.
        behind: where the next page begins; None behind the last.
        total: how many files were found in all; None on a page that is not the first.
        is_estimate: whether that is estimated, since they are many.
    """

    items: Sequence[StoredFile]
    behind: Place | None
    total: int | None
    is_estimate: bool = False


def find_files(
    tx: Tx,
    user: User,
    search: FileSearch,
    *,
    sort: FileSort = FileSort.CREATED,
    descending: bool = True,
    after: Place | None = None,
    limit: int = 100,
) -> FoundFiles:
    """Search among the files that `user` sees.

    Args:
        tx: a transaction.
        user: who asks.
        search: what is searched for.
        sort: by what the files come; of those that are equal by it, in the order of their coming.
        descending: whether the largest comes first.
        after: where the page before ended.
        limit: how many files a page has.

    Raises:
        ValidationError: the text has too many words.
    """
    sought = sought_in(search)
    if sought is None:
        return FoundFiles(items=[], behind=None, total=0)
    match = tx.search.match(search, sought, sight_of(tx, user))
    if sort is FileSort.RELEVANCE:
        found = _ranked(tx, match, sought, descending=descending, after=after)
    else:
        found = tx.search.find(match, sort, descending=descending, after=after, limit=limit + 1)
    page = found.rows[:limit]
    stored = tx.stored.get_many([one.file_id for one in page])
    total, is_estimate = found.total, False
    if after is None and len(found.rows) <= limit:
        total = len(found.rows)
    elif after is None and total is None:
        total, is_estimate = tx.search.count(match)
    return FoundFiles(
        items=[stored[one.file_id] for one in page],
        behind=page[-1].place if len(found.rows) > limit else None,
        total=total if after is None else None,
        is_estimate=is_estimate,
    )


def _ranked(
    tx: Tx, match: Match, sought: Sought, *, descending: bool, after: Place | None
) -> Found:
    """Return the newest files that match, those that fit best first, from behind a place on."""
    newest = tx.search.newest() if after is None else after.newest
    above = Place(sort=FileSort.CREATED, descending=True, number=newest + 1)
    found = tx.search.find(match, FileSort.CREATED, descending=True, after=above, limit=MOST_RANKED)
    ranked = [
        FoundRow(
            number=one.number,
            file_id=one.file_id,
            sort_name=one.sort_name,
            place=Place(
                sort=FileSort.RELEVANCE,
                descending=descending,
                number=one.number,
                value=relevance(sought, one.sort_name),
                newest=newest,
            ),
        )
        for one in found.rows
    ]
    ranked.sort(key=_rank, reverse=descending)
    if after is not None:
        last = (after.value, after.number)
        ranked = [one for one in ranked if (_rank(one) < last) == descending and _rank(one) != last]
    return Found(rows=ranked, total=found.total)


def _rank(row: FoundRow) -> tuple[int, int]:
    return int(row.place.value or 0), row.number
