"""What a stored file is found by: its words, and marks of what it is.

Words come from its name, folder and tags. A mark is a word that nobody can type (it begins with
`_`): one for its owner, one for its kind, one for each folder around it, and so on. Words and marks
lie in one index, so that common words and common filters are looked up together. Sizes and times
have marks of a range each: whoever asks to the byte or the second tests the row besides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from typing import Protocol

from haulier.core.file_names import ancestors
from haulier.core.mime import UNKNOWN_TYPE, FileKind, canonical, kind_of, mime_type_of
from haulier.core.search_text import AnyOf, Condition, Phrase
from haulier.core.words import sequences_of

# PostgreSQL keeps positions up to 16,383, and 255 of one word.
_MOST_POSITIONS = 16_000
_MOST_OF_A_WORD = 200
# What lies beyond has the mark of the end. A span without an end must not be many marks.
_FIRST_DAY, _LAST_DAY = date(1990, 1, 1), date(2049, 12, 31)
_LARGEST_STEP = 20


class Findable(Protocol):
    """What has to be known of a file, such as `StoredFile`."""

    @property
    def file_id(self) -> str: ...
    @property
    def owner_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def folder(self) -> str: ...
    @property
    def tags(self) -> Mapping[str, str]: ...
    @property
    def mime_type(self) -> str | None: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def modified_at(self) -> datetime: ...
    @property
    def deleted_at(self) -> datetime | None: ...
    @property
    def scan_state(self) -> str: ...


def words_of_file(file: Findable) -> list[str | None]:
    """Return the words that a file is found by, in their order.

    None stands between words that are no neighbours.
    """
    found: list[str | None] = []
    seen: Counter[str] = Counter()
    for text in (file.name, file.folder, *(f"{key} {value}" for key, value in file.tags.items())):
        for sequence in sequences_of(text):
            for word in sequence:
                seen[word] += 1
                found.append(word if seen[word] <= _MOST_OF_A_WORD else None)
            found.append(None)
    return found[:_MOST_POSITIONS]


def marks_of_file(file: Findable) -> list[str]:
    """Return the marks of a file, each once."""
    known = type_of(file.name, file.mime_type)
    marks = [
        _trash_mark(in_trash=file.deleted_at is not None),
        _mark("o", file.owner_id),
        _mark("k", kind_of(known)),
        _mark("m", known),
        _mark("m", f"{known.partition('/')[0]}/*"),
        _mark("s", file.scan_state),
        _mark("f", file.folder),
        *(_mark("b", one) for one in ["", *ancestors(file.folder)]),
        f"_z{_step(file.size_bytes)}",
        f"_i{file.file_id}",
        *_day_marks("c", file.created_at),
        *_day_marks("d", file.modified_at),
    ]
    for key, value in file.tags.items():
        marks += [_mark("t", key), _mark("t", f"{key}\0{value}")]
    return list(dict.fromkeys(marks))


def type_of(name: str, mime_type: str | None) -> str:
    """Return the type of a file, by its name where nobody declared a better one."""
    declared = canonical(mime_type or UNKNOWN_TYPE)
    return (mime_type_of(name) or UNKNOWN_TYPE) if declared == UNKNOWN_TYPE else declared


def in_trash() -> Condition:
    """Return the condition that files lie in the trash."""
    return _one(_trash_mark(in_trash=True))


def not_in_trash() -> Condition:
    """Return the condition that files don't lie in the trash."""
    return _one(_trash_mark(in_trash=False))


def of_owner(owner_id: str) -> Condition:
    """Return the condition that files are a user's."""
    return _one(_mark("o", owner_id))


def of_id(file_id: str) -> Condition:
    """Return the condition that a file is this one."""
    return _one(f"_i{file_id}")


def of_kind(kind: FileKind) -> Condition:
    """Return the condition that files are of a kind."""
    return _one(_mark("k", kind))


def of_type(mime_type: str) -> Condition:
    """Return the condition that files are of a MIME type, or of all such as `image/*`."""
    return _one(_mark("m", canonical(mime_type)))


def of_scan_state(state: str) -> Condition:
    """Return the condition that a scan said so of files."""
    return _one(_mark("s", state))


def tagged(key: str, value: str | None) -> Condition:
    """Return the condition that files have a tag, with any value where that is None."""
    return _one(_mark("t", key if value is None else f"{key}\0{value}"))


def in_folder(path: str, *, deeper: bool) -> Condition:
    """Return the condition that files lie directly in a folder, or also deeper."""
    return _one(_mark("b" if deeper else "f", path))


def of_size(least: int | None, most: int | None) -> Condition:
    """Return a condition that all files of such sizes meet, and some others."""
    first, last = _step(least or 0), _LARGEST_STEP if most is None else _step(most)
    return AnyOf(tuple(Phrase((f"_z{step}",)) for step in range(first, last + 1)))


def created_between(first: datetime | None, last: datetime | None) -> Condition:
    """Return a condition that all files made between two times meet, and some others."""
    return _between("c", first, last)


def modified_between(first: datetime | None, last: datetime | None) -> Condition:
    """Return a condition that all files changed between two times meet, and some others."""
    return _between("d", first, last)


def _step(size_bytes: int) -> int:
    """Return in which step, each four times the one before, a size lies."""
    return min(size_bytes.bit_length() // 2, _LARGEST_STEP)


def _between(letter: str, first: datetime | None, last: datetime | None) -> Condition:
    begin = _FIRST_DAY if first is None else _day(first)
    end = _LAST_DAY if last is None else _day(last)
    return AnyOf(tuple(Phrase((f"_{letter}{span}",)) for span in _spans(begin, end)))


def _spans(begin: date, end: date) -> Iterator[str]:
    """Yield the fewest decades, years, months and days that make up some days."""
    while begin <= end:
        for length, after in _ends(begin):
            if after - timedelta(days=1) <= end:
                yield f"{begin:%Y%m%d}"[:length]
                begin = after
                break


def _ends(begin: date) -> Iterator[tuple[int, date]]:
    """Yield the spans that begin on a day, the longest first, with the day behind each."""
    if (begin.month, begin.day) == (1, 1):
        if begin.year % 10 == 0:
            yield 3, date(begin.year + 10, 1, 1)
        yield 4, date(begin.year + 1, 1, 1)
    if begin.day == 1:
        yield 6, date(begin.year + begin.month // 12, begin.month % 12 + 1, 1)
    yield 8, begin + timedelta(days=1)


def _day_marks(letter: str, moment: datetime) -> list[str]:
    day = f"{_day(moment):%Y%m%d}"
    return [f"_{letter}{day[:length]}" for length in (3, 4, 6, 8)]


def _day(moment: datetime) -> date:
    return min(max(moment.astimezone(UTC).date(), _FIRST_DAY), _LAST_DAY)


def _trash_mark(*, in_trash: bool) -> str:
    return "_gone" if in_trash else "_here"


def _mark(letter: str, value: str) -> str:
    digest = blake2b(value.encode("utf-8", "surrogatepass"), digest_size=10)
    return f"_{letter}{digest.hexdigest()}"


def _one(mark: str) -> Condition:
    return Phrase((mark,))
