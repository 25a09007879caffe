"""One command's session: settings, the open journey, and its progress on the screen."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from haulier.cli.render import progress
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.open import open_archive
from haulier.settings import Settings


class Session:
    """Settings and flags of one command.

    Args:
        data: the `--data` flag. to, limit_rate: see `open_archive`.
        silent: no progress, for `--json`.
        settings: settings that the command's own flags give.
    """

    def __init__(
        self,
        *,
        data: Path | None = None,
        to: str | None = None,
        limit_rate: str | None = None,
        silent: bool = False,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.settings = Settings.load(data=data, **(settings or {}))
        self._to = to
        self._limit_rate = limit_rate
        self._silent = silent

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ArchiveContext]:
        """Open the journey and show its progress until the block ends."""
        async with (
            open_archive(
                self.settings,
                to=self._to,
                limit_rate=self._limit_rate,
                command_args=sys.argv[1:],
            ) as ctx,
            progress(ctx.board, silent=self._silent),
        ):
            yield ctx
