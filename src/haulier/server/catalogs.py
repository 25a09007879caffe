"""The server's catalog, which may come up after the server does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from haulier.catalog.catalog import Catalog
from haulier.errors import CatalogUnavailable
from haulier.settings import Settings

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 5.0
_log = logging.getLogger("haulier.server")


async def open_catalog(
    settings: Settings,
    *,
    patience_s: float = 60,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Catalog:
    """Open the catalog that the settings name, and wait for a PostgreSQL that does not answer yet.

    Args:
        settings: of the server.
        patience_s: for how long it is asked again.
        clock: seconds that only grow.
        sleep: waits for so many seconds.

    Raises:
        CatalogUnavailable: it did not answer in this time.
        CatalogError: it can't be used; see `Catalog.open`.
    """
    until, wait_s = clock() + patience_s, _FIRST_WAIT_S
    while True:
        try:
            return await Catalog.open(settings.catalog_url, user_url=settings.user_catalog_url)
        except CatalogUnavailable as exc:
            left_s = until - clock()
            if left_s <= 0 or settings.has_catalog_file:
                raise
            _log.warning("waiting for the catalog, for up to %.0f s: %s", left_s, exc.message)
        await sleep(min(wait_s, left_s))
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
