"""Which entries belong to an archive: patterns, hidden entries, temporary names.

Patterns are those of `.gitignore`, relative to the target; in a `.haulierignore` relative to the
directory it lies in. Where `--include` is given, only files that one of its patterns takes (or
that lie in a directory it takes) belong; `--exclude` and `.haulierignore` take away from these,
and nothing brings back what they took, except a `!` pattern of the same origin. Every directory
that is not taken away is walked, so that files inside it can be included. A `.haulierignore` is
a file like any other and stays in the archive, so that a restored directory packs alike.

Hidden entries are left out where a selection says so: that is for `all`, which chooses among the
entries of the local directory. Inside a directory that was named, or chosen by `all`, hidden
entries belong to the archive: who archives a directory wants all of it.

haulier's own temporary names are always left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from pathspec import GitIgnoreSpec

from haulier.errors import UsageError

IGNORE_FILE = ".haulierignore"
_TEMPORARY_PREFIX = ".haulier-"
_TEMPORARY_SUFFIX = ".haulier-partial"
_HINT = "Patterns are written as in .gitignore."

IgnoreLines = Callable[[str], Iterable[str]]
"""Returns the lines of the `.haulierignore` in a directory, named relative to the target (`""`
is the target itself); none where there is no such file."""


def is_temporary(name: str) -> bool:
    """Tell whether `name` is one of haulier's own temporary names."""
    return name.startswith(_TEMPORARY_PREFIX) or name.endswith(_TEMPORARY_SUFFIX)


class Selection:
    """Decides for each entry below a target.

    Args:
        exclude: patterns of what does not belong.
        include: patterns of the only files that belong; empty: all.
        hidden: whether entries whose name begins with a dot belong.
        ignore_lines: the lines of the target's own `.haulierignore`, or what returns those of
            any directory; asked once for each directory that is walked.

    Raises:
        UsageError: a pattern that can't be read; `takes` raises it for one of a file.
    """

    def __init__(
        self,
        *,
        exclude: Iterable[str] = (),
        include: Iterable[str] = (),
        hidden: bool = True,
        ignore_lines: Iterable[str] | IgnoreLines = (),
    ) -> None:
        self._exclude = _spec(exclude, "--exclude")
        self._include = _spec(include, "--include")
        self._hidden = hidden
        self._ignore: dict[str, GitIgnoreSpec | None] = {}
        self._lines_of: IgnoreLines | None = None
        if callable(ignore_lines):
            self._lines_of = ignore_lines
        else:
            self._ignore[""] = _spec(ignore_lines, IGNORE_FILE)

    def takes(self, relative_path: str, is_directory: bool) -> bool:
        """Tell whether the entry at `relative_path` from the target belongs.

        Not asked for what lies in a directory that does not belong.
        """
        name = relative_path.rsplit("/", 1)[-1]
        if is_temporary(name) or (not self._hidden and name.startswith(".")):
            return False
        matched = relative_path + "/" if is_directory else relative_path
        if self._exclude is not None and self._exclude.match_file(matched):
            return False
        if self._is_ignored(matched):
            return False
        return is_directory or self._include is None or self._include.match_file(matched)

    def _is_ignored(self, path: str) -> bool:
        # The nearest file that says anything decides, as with git.
        for directory in _directories_above(path):
            spec = self._spec_of(directory)
            if spec is None:
                continue
            verdict = spec.check_file(path[len(directory) :].lstrip("/")).include
            if verdict is not None:
                return verdict
        return False

    def _spec_of(self, directory: str) -> GitIgnoreSpec | None:
        if directory not in self._ignore:
            lines = self._lines_of(directory) if self._lines_of is not None else ()
            self._ignore[directory] = _spec(lines, f"{directory}/{IGNORE_FILE}".lstrip("/"))
        return self._ignore[directory]


def _directories_above(path: str) -> Iterator[str]:
    """Yield the directory `path` lies in and those above it, up to the target (`""`)."""
    directory = path.rstrip("/")
    while directory:
        directory = directory.rpartition("/")[0]
        yield directory


def _spec(lines: Iterable[str], where: str) -> GitIgnoreSpec | None:
    patterns = list(lines)
    if not patterns:
        return None
    try:
        return GitIgnoreSpec.from_lines(patterns)
    except (ValueError, re.error) as error:
        raise UsageError(f"a pattern of {where} can't be read: {error}", hint=_HINT) from error
