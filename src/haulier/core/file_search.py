"""What stored files are searched for by, in which order they come, and how well they fit."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from haulier.core import file_words
from haulier.core.accounts import ScanState
from haulier.core.mime import FileKind
from haulier.core.search_text import AllOf, AnyOf, Condition, Phrase, Sought, parse
from haulier.core.words import words_of
from haulier.errors import ValidationError

MOST_RANKED = 1000
"""By relevance come the newest so many files that fit; those behind them don't."""

_LARGEST_NUMBER = 2**63 - 1


class FileSort(StrEnum):
    """What results are sorted by; `created` is the order in which the files came."""

    CREATED = "created"
    MODIFIED = "modified"
    NAME = "name"
    SIZE = "size"
    RELEVANCE = "relevance"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSearch:
    """What is searched for; files meet all of it, and of several values in one field any.

    Args:
        text: words, "phrases", begin*, -not; see `core/search_text`.
        kinds: such as image.
        mime_types: such as image/png, or image/*.
        least_bytes: how large a file is at least.
        most_bytes: how large it is at most.
        created_from: since when it is there.
        created_to: before when it came.
        modified_from: since when it has its content.
        modified_to: before when it got that.
        tags: keys, with the values or None for any value; all of them are met.
        folder: where it lies; `""` is the top.
        deeper: whether it may lie in a folder of that folder as well.
        owner_ids: whose it is.
        scan_states: what a scan said.
        in_trash: search in the trash, and not outside.
    """

    text: str = ""
    kinds: tuple[FileKind, ...] = ()
    mime_types: tuple[str, ...] = ()
    least_bytes: int | None = None
    most_bytes: int | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    modified_from: datetime | None = None
    modified_to: datetime | None = None
    tags: tuple[tuple[str, str | None], ...] = ()
    folder: str | None = None
    deeper: bool = True
    owner_ids: tuple[str, ...] | None = None
    scan_states: tuple[ScanState, ...] = ()
    in_trash: bool = False


def sought_in(search: FileSearch) -> Sought | None:
    """Return the phrases in the text of a search; None where it holds no word to be found.

    Raises:
        ValidationError: it has too many words.
    """
    sought = parse(search.text)
    return None if sought.is_empty and search.text.strip() else sought


def condition_of(search: FileSearch, sought: Sought, *more: Condition) -> Condition:
    """Return the condition that all files meet that are searched for, and perhaps some others.

    Args:
        search: what is searched for.
        sought: of its text.
        more: what they have to meet besides.
    """
    wanted: list[Condition] = [*sought.wanted, *_filters(search), *more]
    unwanted: tuple[Condition, ...] = sought.unwanted
    if search.in_trash:
        wanted.append(file_words.in_trash())
    elif wanted:
        # Few files are in the trash: that is looked up sooner than that the others are not.
        unwanted = (*unwanted, file_words.in_trash())
    else:
        wanted.append(file_words.not_in_trash())
    return AllOf(tuple(wanted), unwanted)


def _filters(search: FileSearch) -> Iterator[Condition]:
    if search.kinds:
        yield AnyOf(tuple(file_words.of_kind(one) for one in search.kinds))
    if search.mime_types:
        yield AnyOf(tuple(file_words.of_type(one) for one in search.mime_types))
    if search.least_bytes is not None or search.most_bytes is not None:
        yield file_words.of_size(search.least_bytes, search.most_bytes)
    if search.created_from is not None or search.created_to is not None:
        yield file_words.created_between(search.created_from, search.created_to)
    if search.modified_from is not None or search.modified_to is not None:
        yield file_words.modified_between(search.modified_from, search.modified_to)
    for key, value in search.tags:
        yield file_words.tagged(key, value)
    if search.folder is not None:
        yield file_words.in_folder(search.folder, deeper=search.deeper)
    if search.owner_ids is not None:
        yield AnyOf(tuple(file_words.of_owner(one) for one in search.owner_ids))
    if search.scan_states:
        yield AnyOf(tuple(file_words.of_scan_state(one) for one in search.scan_states))


def relevance(sought: Sought, folded_name: str) -> int:
    """Tell how well a file fits by its name: the more of the phrases are in it, and as whole words.

    A name that begins with the first of them fits better, one that is nothing else best.
    """
    words = words_of(folded_name)
    score = 0
    for phrase in sought.wanted:
        if _stands_in(phrase, words):
            score += 4
        elif phrase.words[0] in folded_name:
            score += 2
    flat = [word for phrase in sought.wanted for word in phrase.words]
    if words[:1] == flat[:1]:
        score += 1
    # Behind the name comes its ending.
    return score + 100 * (flat in (words, words[:-1]))


def _stands_in(phrase: Phrase, words: list[str]) -> bool:
    count = len(phrase.words)
    *whole, last = phrase.words
    for first in range(len(words) - count + 1):
        if words[first : first + count - 1] != whole:
            continue
        end = words[first + count - 1]
        if end == last or (phrase.is_prefix and end.startswith(last)):
            return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in the results a page ended; the next begins behind it.

    Args:
        sort: what they are sorted by.
        descending: whether the largest comes first.
        value: of the last file, what they are sorted by; None where that is the number alone.
        number: of the last file.
        newest: by relevance, the number of the newest file that was looked at.
    """

    sort: FileSort
    descending: bool
    number: int
    value: str | int | None = None
    newest: int = 0

    def cursor(self) -> str:
        """Return it as clients send it back."""
        parts = [self.sort, int(self.descending), self.number, self.value, self.newest]
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")

    @classmethod
    def of_cursor(cls, cursor: str, sort: FileSort, *, descending: bool) -> Place:
        """Read what `cursor` gave.

        Raises:
            ValidationError: it is none, or one of another order.
        """
        refused = ValidationError(
            "the cursor is none of this search",
            hint="Send `next_cursor` of the page before, and the same search.",
        )
        try:
            padded = cursor.encode() + b"=" * (-len(cursor) % 4)
            parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            given, down, number, value, newest = parts
        except (ValueError, TypeError, binascii.Error, RecursionError):
            raise refused from None
        kind = {FileSort.NAME: str, FileSort.CREATED: type(None)}.get(sort, int)
        numbers = [one for one in (number, newest, value) if not isinstance(one, str | None)]
        if (
            [given, down] != [sort, int(descending)]
            or type(value) is not kind
            or not all(type(one) is int and abs(one) <= _LARGEST_NUMBER for one in numbers)
            or None in (number, newest)
        ):
            raise refused
        return cls(sort=sort, descending=descending, number=number, value=value, newest=newest)
