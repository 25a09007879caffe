"""What changed of the files that somebody sees: told from where a cursor stands, nothing missed.

A user follows three feeds: their own, that of their role and that of everybody. What was granted
or taken back is in the feed of whom it was granted to; whether a file is seen is asked when the
feed is read, so that one that is not any more is told as deleted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from haulier.catalog.transaction import Tx
from haulier.core.accounts import Role, StoredFile, User
from haulier.errors import ChangesGone
from haulier.files.access import grantees_of, sight_of

CURSOR_PATTERN = r"^\d{1,18}(-[a-z]{1,16}-\d{1,18}-\d{1,18})?$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How much of each feed somebody knows.

    Args:
        role: whose feed is meant; None where nothing of it is known.
        numbers: of the last changes known in one's own feed, the role's and everybody's.
    """

    role: Role | None = None
    numbers: tuple[int, int, int] = (0, 0, 0)

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Return the cursor that `str` made; `text` fits `CURSOR_PATTERN`."""
        own, *rest = re.split("-", text)
        if not rest:
            return cls(numbers=(int(own), 0, 0))
        role, of_role, of_all = rest
        if role not in set(Role):
            raise _gone()
        return cls(role=Role(role), numbers=(int(own), int(of_role), int(of_all)))

    def __str__(self) -> str:
        own, of_role, of_all = self.numbers
        return str(own) if self.role is None else f"{own}-{self.role}-{of_role}-{of_all}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changed.

    Args:
        files: by id, each as it is now; None when it is deleted, or not seen any more.
        cursor: behind these.
        more: whether there are more.
    """

    files: dict[str, StoredFile | None]
    cursor: Cursor
    more: bool


def changes_since(tx: Tx, user: User, cursor: Cursor, limit: int) -> Changes:
    """Return up to `limit` changes of the files that `user` sees, behind `cursor`.

    What an admin sees as admin alone is not told.

    Raises:
        ChangesGone: there was no such change: the catalog is an older one than was asked before,
            or the user has another role since.
    """
    if cursor.role not in {None, user.role}:
        raise _gone()
    changed: dict[str, None] = {}
    numbers, more = list(cursor.numbers), False
    for place, feed in enumerate(grantees_of(user)):
        if numbers[place] > tx.changes.last(feed):
            raise _gone()
        found = tx.changes.since(feed, numbers[place], limit - len(changed) + 1)
        shown = found[: limit - len(changed)]
        more = more or len(found) > len(shown)
        changed |= {one.file_id: None for one in shown}
        numbers[place] = shown[-1].number if shown else numbers[place]
    seen = tx.stored.get_many(list(changed), sight_of(tx, user))
    there = {one.file_id: one for one in seen.values() if one.deleted_at is None}
    own, of_role, of_all = numbers
    return Changes(
        files={file_id: there.get(file_id) for file_id in changed},
        cursor=Cursor(role=user.role, numbers=(own, of_role, of_all)),
        more=more,
    )


def _gone() -> ChangesGone:
    return ChangesGone("what changed since then is not known any more")
