"""Files that were looked for among all of them, read anew as far as the database shows them."""

from __future__ import annotations

from collections.abc import Sequence

from haulier.catalog.catalog import Catalog
from haulier.core.accounts import StoredFile, User
from haulier.files.access import acting_for


async def as_shown(
    catalog: Catalog, user: User, found: Sequence[StoredFile]
) -> Sequence[StoredFile]:
    """Return those of `found` that `user` is shown by the database itself.

    Policies keep PostgreSQL from the indexes by which a few are found among a million. So these are
    found by the role that sees all, by the rules of `access`, and read in the user's name.
    """
    acting = acting_for(user)
    if acting is None or not catalog.tells_users_apart or not found:
        return found
    ids = [one.file_id for one in found]
    shown = await catalog.read(lambda tx: tx.stored.get_many(ids), acting=acting)
    return [shown[one] for one in ids if one in shown]
