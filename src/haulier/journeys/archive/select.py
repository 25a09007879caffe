"""Which targets a command means, and what each of them holds.

A typed path may lie anywhere and may be a link (then the thing it points to is meant). `all`
means each entry of the local directory, one by one, without haulier's own directories, hidden
entries and temporary names; a file that is called `all` is typed `./all`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from haulier.archive.entry import EntryType
from haulier.archive.layout import TarLayout
from haulier.archive.walk import Walked, walk
from haulier.core.selection import IGNORE_FILE, Selection, is_temporary
from haulier.errors import NothingSelected, TargetMissing, TargetUnreadable, UnsafePath
from haulier.journeys.archive.options import UploadOptions

EVERYTHING = "all"


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to be archived: an absolute real path and the name its archive gets."""

    path: str
    name: str

    @property
    def is_directory(self) -> bool:
        return os.path.isdir(self.path)


@dataclass(frozen=True, slots=True)
class Selected:
    """A target with its plan. `size_bytes` is the sum of its files."""

    target: Target
    layout: TarLayout
    size_bytes: int
    left_out: list[str]

    @property
    def is_directory(self) -> bool:
        return self.layout.entries[0].entry.type is EntryType.DIRECTORY


def resolve_targets(
    names: Sequence[str], options: UploadOptions, own_directories: Sequence[str]
) -> list[Target]:
    """Return the targets that `names` mean, each once.

    Args:
        own_directories: directories that `all` leaves out (haulier's data).

    Raises:
        NothingSelected: `all` finds nothing. UnsafePath: an entry found by `all` leads out of
        the local directory.
    """
    targets: dict[str, Target] = {}
    for name in names:
        found = (
            _everything(options, own_directories)
            if name == EVERYTHING
            else [_typed(name, options.local_dir)]
        )
        for target in found:
            targets.setdefault(target.path, target)
    if not targets:
        raise NothingSelected("nothing was selected")
    return list(targets.values())


def _typed(name: str, local_dir: str) -> Target:
    path = os.path.normpath(os.path.join(os.path.abspath(local_dir), name))
    real = os.path.realpath(path)
    if os.path.dirname(real) == real:
        raise UnsafePath(
            f"{name} is the root of the file system", hint="Name directories below it."
        )
    if "\0" in name:
        raise TargetMissing(f"{name!r} can't be a file name")
    return Target(real, os.path.basename(real))


def _everything(options: UploadOptions, own_directories: Sequence[str]) -> list[Target]:
    root = os.path.realpath(options.local_dir)
    own = {os.path.realpath(path) for path in (*own_directories, options.completed_dir) if path}
    selection = Selection(
        exclude=options.exclude, hidden=options.hidden, ignore_lines=_ignore_lines(root)
    )
    targets = []
    for name in sorted(_names_in(root), key=os.fsencode):
        path = os.path.join(root, name)
        real = os.path.realpath(path)
        if real in own or is_temporary(name) or not selection.takes(name, os.path.isdir(path)):
            continue
        if not real.startswith(root.rstrip("/") + "/"):
            raise UnsafePath(f"{path} is a link that leads out of {root}: {real}")
        if not os.path.islink(path):
            targets.append(Target(path, name))
    if not targets:
        raise NothingSelected(f"there is nothing to upload in {root}")
    return targets


def _names_in(root: str) -> list[str]:
    try:
        return os.listdir(root)
    except FileNotFoundError:
        raise TargetMissing(f"{root} does not exist", hint="Set MGMT_LOCAL_DIR.") from None
    except OSError as error:
        raise TargetUnreadable(f"{root} can't be listed: {error.strerror}") from error


def select(target: Target, options: UploadOptions) -> Selected:
    """Walk `target` and plan its archive; blocks while it walks.

    Raises:
        TargetMissing, TargetUnreadable, UnsafePath: see `walk`.
        NothingSelected: the patterns leave nothing of a directory, or it is no file at all.
    """
    selection = Selection(
        exclude=options.exclude,
        include=options.include,
        ignore_lines=lambda directory: _ignore_lines(os.path.join(target.path, directory)),
    )
    walked = walk(target.path, selection.takes)
    _require_something(target, walked)
    return Selected(
        target, TarLayout(walked.base, walked.entries), walked.size_bytes, walked.left_out
    )


def _ignore_lines(directory: str) -> list[str]:
    try:
        with open(os.path.join(directory, IGNORE_FILE), encoding="utf-8") as file:
            return file.read().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise TargetUnreadable(f"{directory}/{IGNORE_FILE} can't be read: {error}") from error


def _require_something(target: Target, walked: Walked) -> None:
    if not walked.entries:
        raise NothingSelected(
            f"{target.path} is neither a file nor a directory",
            hint="Pipes, sockets and devices can't be archived.",
        )
    only_directories = all(item.entry.type is EntryType.DIRECTORY for item in walked.entries)
    if only_directories and walked.left_out:
        raise NothingSelected(f"the patterns leave nothing of {target.path}")
