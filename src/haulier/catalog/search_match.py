"""Conditions on the words of files, as the two databases spell them.

Words hold letters, digits and signs beyond ASCII alone (`core/words`), so neither language finds
anything of its own in them.
"""

from __future__ import annotations

from haulier.core.search_text import AnyOf, Condition, Phrase

_NOTHING = Phrase(("_nothing",))  # a mark that no file has


def fts5_of(condition: Condition) -> str:
    """Return `condition` as what an FTS5 table is matched with."""
    if isinstance(condition, Phrase):
        return f'"{" ".join(condition.words)}"{" *" if condition.is_prefix else ""}'
    if isinstance(condition, AnyOf):
        return f"({' OR '.join(map(fts5_of, condition.conditions or (_NOTHING,)))})"
    wanted = f"({' AND '.join(map(fts5_of, condition.conditions))})"
    if not condition.but_not:
        return wanted
    return f"({wanted} NOT {fts5_of(AnyOf(condition.but_not))})"


def tsquery_of(condition: Condition) -> str:
    """Return `condition` as a tsquery is written."""
    if isinstance(condition, Phrase):
        words = " <-> ".join(f"'{word}'" for word in condition.words)
        return f"({words}{':*' if condition.is_prefix else ''})"
    if isinstance(condition, AnyOf):
        return f"({' | '.join(map(tsquery_of, condition.conditions or (_NOTHING,)))})"
    parts = [tsquery_of(one) for one in condition.conditions]
    parts += [f"!{tsquery_of(one)}" for one in condition.but_not]
    return f"({' & '.join(parts)})"
