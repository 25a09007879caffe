"""One command's session: settings, the open journey, and its progress on the screen."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from haulier.cli.render import progress
from haulier.cli.running import is_debugging, run
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.open import open_archive
from haulier.settings import Settings

T = TypeVar("T")
RESUME = 'run "haulier resume" to go on'


class Session:
    """Settings and flags of one command.

    Args:
        data: the `--data` flag.
        to, limit_rate, probe: see `open_archive`.
        silent: no progress, for `--json` and for what is done in a moment.
        settings: settings that the command's own flags give.
    """

    def __init__(
        self,
        *,
        data: Path | None = None,
        to: str | None = None,
        limit_rate: str | None = None,
        silent: bool = False,
        probe: bool = True,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.settings = Settings.load(data=data, **(settings or {}))
        self._to = to
        self._limit_rate = limit_rate
        self._silent = silent
        self._probe = probe
        _log_at(self.settings.general.log_level)

    def run(self, work: Callable[[ArchiveContext], Coroutine[Any, Any, T]], *, hint: str = "") -> T:
        """Open the journey, do `work` with its progress on the screen, and return the result.

        `hint` tells how to go on after an interruption.
        """
        return run(lambda: self._act(work), hint=hint)

    async def _act(self, work: Callable[[ArchiveContext], Coroutine[Any, Any, T]]) -> T:
        async with (
            open_archive(
                self.settings,
                to=self._to,
                limit_rate=self._limit_rate,
                probe=self._probe,
                command_args=sys.argv[1:],
            ) as ctx,
            progress(ctx.board, silent=self._silent),
        ):
            return await work(ctx)


def _log_at(level: str) -> None:
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    if is_debugging():
        # Ours alone: what libraries log at this level may hold secrets.
        logging.getLogger("haulier").setLevel(logging.DEBUG)
    if logging.getLogger().level >= logging.WARNING:
        # It warns of every single attempt; what comes of them all is told anyway.
        logging.getLogger("stamina").setLevel(logging.ERROR)
