"""Users of a server and their tokens, made in this process: a command for each takes a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from catalogs import new_sqlite
from haulier.catalog.catalog import Catalog
from haulier.core.accounts import Role
from haulier.core.units import parse_size
from haulier.files.accounts import Accounts
from haulier.files.secret import kept_secret
from haulier.files.tokens import Tokens

T = TypeVar("T")

# With a quota in bytes; None: as much as they like.
USUAL: Mapping[str, tuple[Role, int | None]] = {
    "ann": (Role.USER, 200 << 20),
    "bob": (Role.USER, None),
    "root": (Role.ADMIN, None),
    "eve": (Role.VIEWER, None),
}


def add_people(
    data: Path,
    people: Mapping[str, tuple[Role, int | None]] = USUAL,
    *,
    password: str | None = None,
) -> None:
    """Make users in a data directory, with a catalog if it has none."""

    async def work() -> None:
        async with await Catalog.open(new_sqlite(data / "catalog.db")) as catalog:
            accounts = Accounts(catalog)
            for name, (role, quota_bytes) in people.items():
                await accounts.add(name, role, password=password, quota_bytes=quota_bytes)

    _run(work)


def add_user(data: Path, name: str, role: str = "user", quota: str | None = None) -> None:
    """Make a user, as `haulier user add` does."""
    quota_bytes = None if quota is None else parse_size(quota)
    add_people(data, {name: (Role(role), quota_bytes)})


def token_of(data: Path, name: str) -> str:
    """Return a token of a user, as `haulier token create` prints it."""

    async def work() -> str:
        async with await Catalog.open(data / "catalog.db") as catalog:
            user = await Accounts(catalog).get(name)
        return Tokens(kept_secret(data / "jwt-secret")).issue(user, timedelta(hours=1))

    return _run(work)


def _run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    # In a thread: a browser's driver, or the test itself, may have a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()
