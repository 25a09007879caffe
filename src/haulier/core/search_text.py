"""What people type into a search: words, "phrases", begin*, -not; and conditions made of them.

Nothing that can be typed is an error but too much of it: what is no syntax is looked for as the
words that it holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from haulier.core.words import words_of
from haulier.errors import ValidationError

MOST_WORDS = 50

_PIECE = re.compile(r'(?P<not>-?)"(?P<phrase>[^"]*)"(?P<star>\*?)(?!\S)|(?P<plain>\S+)')


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that stand one behind the other; of the last perhaps only how it begins."""

    words: tuple[str, ...]
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of several conditions at least."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of several conditions, at least one, and none of others."""

    conditions: tuple[Condition, ...]
    but_not: tuple[Condition, ...] = ()


Condition = Phrase | AnyOf | AllOf


@dataclass(frozen=True, slots=True)
class Sought:
    """What a text asks for: all of some phrases and none of others."""

    wanted: tuple[Phrase, ...] = ()
    unwanted: tuple[Phrase, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is no word in it."""
        return not self.wanted and not self.unwanted


def parse(text: str) -> Sought:
    """Read what was typed.

    Raises:
        ValidationError: it has more than `MOST_WORDS` words.
    """
    wanted: dict[Phrase, None] = {}
    unwanted: dict[Phrase, None] = {}
    for piece in _PIECE.finditer(text):
        plain = piece["plain"]
        if plain is None:
            phrase = _phrase(piece["phrase"], is_prefix=bool(piece["star"]))
            (unwanted if piece["not"] else wanted).update(phrase)
        elif len(plain) > 1 and plain.startswith("-"):
            unwanted.update(_phrase(plain, is_prefix=plain.endswith("*")))
        else:
            # `img*.jpg` is what begins with img, and jpg.
            *begun, last = plain.split("*")
            for one in begun:
                wanted.update(_phrase(one, is_prefix=True))
            wanted.update(_phrase(last, is_prefix=False))
    count = sum(len(one.words) for one in (*wanted, *unwanted))
    if count > MOST_WORDS:
        raise ValidationError(f"a search has at most {MOST_WORDS} words, this one has {count}")
    return Sought(tuple(wanted), tuple(unwanted))


def _phrase(text: str, *, is_prefix: bool) -> dict[Phrase, None]:
    words = words_of(text)
    return {Phrase(tuple(words), is_prefix): None} if words else {}
