"""Which targets a command means, and what each of them holds.

A typed path may lie anywhere and may be a link (then the thing it points to is meant). `all`
means each entry of the local directory, one by one, without haulier's own directories, hidden
entries and temporary names; a file that is called `all` is typed `./all`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from haulier.archive.entry import EntryType
from haulier.archive.layout import TarLayout
from haulier.archive.walk import Walked, walk
from haulier.core.selection import IGNORE_FILE, Selection, is_temporary
from haulier.errors import (
    NothingSelected,
    SourceError,
    TargetMissing,
    TargetUnreadable,
    UnsafePath,
)
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
class Refused:
    """A target that was meant and can't be taken, and why."""

    target: Target
    error: SourceError


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
) -> list[Target | Refused]:
    """Return the targets that `names` mean, each once.

    Refused is an entry of `all` that leads out of the local directory, and whatever holds one of
    haulier's own directories: it would be packed into itself, or moved into itself.

    Args:
        own_directories: directories that `all` leaves out: haulier's data, a local destination.

    Raises:
        NothingSelected: `all` finds nothing. TargetMissing, TargetUnreadable: the local
        directory can't be listed.
    """
    own = {os.path.realpath(path) for path in (*own_directories, options.completed_dir) if path}
    found: dict[str, Target | Refused] = {}
    for name in names:
        meant = _everything(options, own) if name == EVERYTHING else [_typed(name, options)]
        for target in meant:
            path = target.path if isinstance(target, Target) else target.target.path
            found.setdefault(path, target)
    if not found:
        raise NothingSelected("nothing was selected")
    return [_unless_it_holds(own, target) for target in found.values()]


def _typed(name: str, options: UploadOptions) -> Target | Refused:
    local_dir = os.path.abspath(options.local_dir)
    if "\0" in name:
        return Refused(Target(name, name), TargetMissing(f"{name!r} can't be a file name"))
    real = os.path.realpath(os.path.normpath(os.path.join(local_dir, name)))
    if os.path.dirname(real) == real:
        error = UnsafePath(
            f"{name} is the root of the file system", hint="Name directories below it."
        )
        return Refused(Target(real, name), error)
    return Target(real, os.path.basename(real))


def _everything(options: UploadOptions, own: Collection[str]) -> list[Target | Refused]:
    root = os.path.realpath(options.local_dir)
    selection = Selection(
        exclude=options.exclude, hidden=options.hidden, ignore_lines=_ignore_lines(root)
    )
    targets: list[Target | Refused] = []
    for name in sorted(_names_in(root), key=os.fsencode):
        path = os.path.join(root, name)
        real = os.path.realpath(path)
        if real in own or is_temporary(name) or not selection.takes(name, os.path.isdir(path)):
            continue
        if not real.startswith(root.rstrip("/") + "/"):
            error = UnsafePath(f"{path} is a link that leads out of {root}: {real}")
            targets.append(Refused(Target(path, name), error))
        elif not os.path.islink(path):
            targets.append(Target(path, name))
    if not targets:
        raise NothingSelected(f"there is nothing to upload in {root}")
    return targets


def _unless_it_holds(own: Collection[str], target: Target | Refused) -> Target | Refused:
    if isinstance(target, Refused):
        return target
    inside = f"{target.path}/"
    held = next((path for path in own if f"{path}/".startswith(inside)), None)
    if held is None:
        return target
    return Refused(
        target,
        UnsafePath(
            f"{target.path} holds {held}, which is haulier's own",
            hint="Upload what lies beside it by name, or keep that directory elsewhere.",
        ),
    )


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
