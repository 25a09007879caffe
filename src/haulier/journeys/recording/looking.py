"""A look at all users' recordings that changes nothing, for whoever asks whether all is well."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from haulier.journeys.recording.shelf import Shelf
from haulier.store.local_files import system_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What there is of recordings; each is named `USER/ID` or by its file.

    Args:
        files: how many are kept.
        waiting: how many wait to be sent.
        only_in_trash: those in the trash of which there is no verified copy elsewhere.
        damaged: metadata that can't be read, or was set aside.
    """

    files: int
    waiting: int
    only_in_trash: list[str]
    damaged: list[str]


def look(directory: Path) -> Look:
    """Look at what is kept in `directory`; blocks.

    Raises:
        StoreError: it can't be read.
    """
    files, waiting = 0, 0
    only_in_trash: list[str] = []
    damaged: list[str] = []
    with system_errors("recordings"):
        for home in sorted(directory.glob("[!.]*/recordings")):
            shelf = Shelf(directory, home.parent.name)
            files, waiting = files + len(shelf.all()), waiting + len(shelf.entries())
            names = [one.recording_id for one in shelf.trashed() if one.location is None]
            only_in_trash += [f"{shelf.user_id}/{name}" for name in names]
            aside = sorted(os.listdir(shelf.damaged)) if shelf.damaged.is_dir() else []
            names = [*shelf.unreadable(), *(f"damaged/{name}" for name in aside)]
            damaged += [f"{shelf.user_id}/{name}" for name in names]
    return Look(files=files, waiting=waiting, only_in_trash=only_in_trash, damaged=damaged)
