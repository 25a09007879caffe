"""Which entries belong to an archive: patterns, hidden entries, temporary names.

Patterns are those of `.gitignore`, relative to the target. Where `--include` is given, only
files that one of its patterns takes belong; `--exclude` and `.haulierignore` then take away.
A directory that is not excluded is always walked, so that files inside it can be included.

Hidden entries are left out when a selection says so: that is for `all`. Inside a directory that
was named, everything belongs to the archive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pathspec import GitIgnoreSpec

from haulier.errors import UsageError

IGNORE_FILE = ".haulierignore"
_TEMPORARY_PREFIX = ".haulier-"


def is_temporary(name: str) -> bool:
    """Tell whether `name` is one of haulier's own temporary names."""
    return name.startswith(_TEMPORARY_PREFIX)


class Selection:
    """Decides for each entry below a target.

    Args:
        exclude, include: patterns of the command line.
        hidden: whether entries whose name begins with a dot belong.
        ignore_lines: lines of the target's `.haulierignore`.
    """

    def __init__(
        self,
        *,
        exclude: Sequence[str] = (),
        include: Sequence[str] = (),
        hidden: bool = True,
        ignore_lines: Iterable[str] = (),
    ) -> None:
        self._exclude = _spec([*ignore_lines, *exclude])
        self._include = _spec(include) if include else None
        self._hidden = hidden

    def takes(self, path: str, is_directory: bool) -> bool:
        """Tell whether the entry at `path`, relative to the target, belongs."""
        name = path.rsplit("/", 1)[-1]
        if is_temporary(name) or (not self._hidden and name.startswith(".")):
            return False
        matched = path + "/" if is_directory else path
        if self._exclude.match_file(matched):
            return False
        return is_directory or self._include is None or self._include.match_file(matched)


def _spec(patterns: Sequence[str]) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(patterns)
    except ValueError as error:
        raise UsageError(
            f"a pattern can't be read: {error}", hint="Patterns are written as in .gitignore."
        ) from error
