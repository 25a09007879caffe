"""Which blocks of file records may hold a name or a path: the rest is not looked at.

A block is `BLOCK_RECORDS` records that were recorded one after the other. For each block the
catalog keeps the terms that occur in it: runs of up to three characters of names, and the
directories of paths, each as a 32-bit number. What is searched for is then looked for only in
blocks that have all of its terms, newest first. A block's terms are never taken away again,
and two terms may share a number: a block can be looked at in vain, none is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from zlib import crc32

from sqlalchemy import ColumnElement, Connection, func, select

from haulier.catalog.patterns import literal_runs
from haulier.catalog.tables import file_blocks, files
from haulier.catalog.upsert import chunks, insert_missing
from haulier.core.records import FileRecord

_RUN = 3
_MOST_TERMS = 16
_BEGIN, _END = "\x02", "\x03"
_EVERY_BLOCK = crc32(b"")


def add_terms(connection: Connection, records: Iterable[FileRecord]) -> None:
    """Note the terms of records that are in the database."""
    by_id = {record.id: record for record in records}
    found: dict[int, set[int]] = {}
    for some in chunks(list(by_id)):
        rows = connection.execute(select(files.c.id, files.c.block).where(files.c.id.in_(some)))
        for file_id, block in rows:
            record = by_id[file_id]
            found.setdefault(block, set()).update(terms_of(record.name, record.path))
    missing = [
        {"term": term, "block": block}
        for block, terms in found.items()
        for term in terms - _known(connection, block, terms)
    ]
    # In one order everywhere, so that writers of the same terms queue up and don't deadlock.
    missing.sort(key=lambda row: (row["term"], row["block"]))
    insert_missing(connection, file_blocks, missing)


def find_blocks(
    connection: Connection,
    name: str | None,
    path: str | None,
    bounds: Sequence[ColumnElement[bool]],
) -> list[tuple[int, str]]:
    """Return the blocks that may hold records of the glob `name` and at or below `path`.

    With each comes its newest id among those that `bounds`, tests of `files.c.id`, let
    through; the block of the newest comes first.
    """
    terms = set(_terms_of_glob(name)) if name is not None else set()
    if path is not None:
        terms.add(_directory_term(path.rstrip("/")))
    wanted = sorted(terms)[:_MOST_TERMS] or [_EVERY_BLOCK]
    columns = file_blocks.c
    having_all = (
        select(columns.block)
        .where(columns.term.in_(wanted))
        .group_by(columns.block)
        .having(func.count() == len(wanted))
        .subquery()
    )
    newest = (
        select(func.max(files.c.id))
        .where(files.c.block == having_all.c.block, *bounds)
        .scalar_subquery()
    )
    rows = connection.execute(select(having_all.c.block, newest)).all()
    blocks = [(block, file_id) for block, file_id in rows if file_id is not None]
    return sorted(blocks, key=lambda row: row[1], reverse=True)


def terms_of(name: str, path: str) -> set[int]:
    """Return the terms of a record with that name and path."""
    marked = f"{_BEGIN}{name}{_END}"
    terms = {
        _name_term(marked[start : start + length])
        for length in range(1, _RUN + 1)
        for start in range(len(marked) - length + 1)
    }
    terms.add(_directory_term(path.rstrip("/")))
    terms.update(_directory_term(path[:end]) for end, sign in enumerate(path) if sign == "/")
    return terms | {_EVERY_BLOCK}


def _terms_of_glob(pattern: str) -> Iterator[int]:
    for run in literal_runs(f"{_BEGIN}{pattern}{_END}"):
        if run in {"", _BEGIN, _END}:
            continue
        # Runs of three imply the shorter ones in them.
        length = min(len(run), _RUN)
        for start in range(len(run) - length + 1):
            yield _name_term(run[start : start + length])


def _name_term(run: str) -> int:
    return crc32(b"n" + run.encode("utf-8", "surrogatepass"))


def _directory_term(path: str) -> int:
    return crc32(b"p" + path.encode("utf-8", "surrogatepass"))


def _known(connection: Connection, block: int, terms: set[int]) -> set[int]:
    columns = file_blocks.c
    return {
        term
        for some in chunks(sorted(terms))
        for term in connection.scalars(
            select(columns.term).where(columns.block == block, columns.term.in_(some))
        )
    }
