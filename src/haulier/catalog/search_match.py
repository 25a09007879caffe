"""Conditions on the words of files, as the two databases spell them.

Words hold letters, digits and signs beyond ASCII alone (`core/words`), so neither language finds
anything of its own in them.
"""

from __future__ import annotations

from haulier.core.search_text import AllOf, AnyOf, Condition, Phrase

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


def apart(condition: Condition) -> list[Condition]:
    """Return conditions that hold together where `condition` does.

    PostgreSQL's index takes much longer for several lists of many words in one query.
    """
    if not isinstance(condition, AllOf):
        return [condition]
    lists: list[Condition] = []
    others: list[Condition] = []
    for one in condition.conditions:
        alone = one.conditions[0] if isinstance(one, AnyOf) and len(one.conditions) == 1 else one
        (lists if isinstance(alone, AnyOf) else others).append(alone)
    if not others:
        # What is not wanted can't be looked up alone.
        others.append(lists.pop())
    return [AllOf(tuple(others), condition.but_not), *lists]
