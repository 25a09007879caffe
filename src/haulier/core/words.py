"""The words of a text, as a search finds them: the one tokeniser of both databases.

Case, diacritics and the many spellings of one character don't count. A run of letters and digits
is a word, and so are the parts that its capitals and digits tell apart: `HolidayPhoto2026.jpg` is
found by `holiday`, `photo2026` and `2026`. Chinese, Japanese and Thai text, which has no spaces,
and pictures such as emoji are words sign by sign.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

LONGEST_WORD = 64
"""Words are cut to so many characters, where they are kept and where they are looked for."""

_MOST_PARTS = 6
_JOINED = (2, 3)

# What a character is: a capital, a letter, a digit, a word of its own, nothing that is kept, or a
# mark that is taken away.
_UPPER, _LOWER, _DIGIT, _ALONE, _OTHER, _GONE = "uld1 -"
_RUN = re.compile("[uld]+|1")
_PART = re.compile("u+(?!l)|u?l+|d+")
_SELECTORS = re.compile("[\ufe00-\ufe0f\u180b-\u180d\u200c\u200d\u00ad]|[\U000e0100-\U000e01ef]")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff]|[\U00020000-\U0003ffff]"
)
# Letters with a stroke, which no normal form takes apart.
_STROKES = str.maketrans(
    {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "ħ": "h",
     "Ħ": "H", "\u0131": "i", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "TH"}
)  # fmt: skip


def fold(text: str) -> str:
    """Return `text` without what does not count: case, diacritics, spellings of one character."""
    return unicodedata.normalize("NFC", _bare(text).casefold())


def words_of(text: str) -> list[str]:
    """Return the words of a text in their order, the parts of them not told apart."""
    bare = _bare(text)
    return [fold(run)[:LONGEST_WORD] for run, _ in _runs(bare)]


def sequences_of(text: str) -> list[list[str]]:
    """Return what a text is found by: its words, their parts, and parts that stand together.

    Each is a sequence of words: what lies one behind the other in it is found as a phrase.
    """
    whole: list[str] = []
    apart: list[str] = []
    joined: list[str] = []
    for run, kinds in _runs(_bare(text)):
        whole.append(run)
        parts = [run[part.start() : part.end()] for part in _PART.finditer(kinds)]
        if 1 < len(parts) <= _MOST_PARTS:
            apart += parts
            joined += _neighbours(parts)
        else:
            apart.append(run)
    found = [whole] if apart == whole else [whole, apart, joined]
    return [[fold(word)[:LONGEST_WORD] for word in words] for words in found if words]


def _neighbours(parts: list[str]) -> Iterator[str]:
    """Yield parts that stand together, but not all of them: that is the word itself."""
    for count in _JOINED:
        if count < len(parts):
            for first in range(len(parts) - count + 1):
                yield "".join(parts[first : first + count])
    # With `HolidayPhoto2026a`, what comes before the number is a word as well.
    for count in range(max(_JOINED) + 1, len(parts)):
        yield "".join(parts[:count])


def _runs(bare: str) -> Iterator[tuple[str, str]]:
    kinds = "".join(map(_kind, bare))
    for run in _RUN.finditer(kinds):
        yield bare[run.start() : run.end()], run[0]


def _bare(text: str) -> str:
    """Return `text` with one spelling of each character, and without diacritics."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFKD", _SELECTORS.sub("", text))
    kept = "".join(one for one in apart if _kind(one) != _GONE)
    return unicodedata.normalize("NFC", kept).translate(_STROKES)


@lru_cache(maxsize=1 << 14)
def _kind(sign: str) -> str:
    category = unicodedata.category(sign)
    mark = unicodedata.combining(sign)
    # Vowel points and accents; the marks of Indic and Japanese letters make other letters.
    if 10 <= mark <= 35 or mark >= 200:
        return _GONE
    if category == "So" or _UNSPACED.match(sign):
        return _ALONE if category[0] in "LMNS" else _OTHER
    if category in {"Lu", "Lt"}:
        return _UPPER
    if category[0] == "N":
        return _DIGIT
    return _LOWER if category[0] in "LM" else _OTHER
