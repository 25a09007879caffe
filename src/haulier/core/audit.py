"""The audit log's chain: each entry's code covers the entry before it.

Changing, removing or inserting an entry breaks the chain from there on. Cutting off its end does
not, which is why heads are kept elsewhere: a chain that lacks a head that was once given out has
lost its end.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from haulier.core.records import format_time

FIRST_CODE = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """Who did what to what, from where.

    `status` is the HTTP status of the answer, None for what no request asked for. `object_id` is
    the id of a file, a session, a user, as the action tells.
    """

    at: datetime
    action: str
    actor: str | None = None
    object_id: str | None = None
    status: int | None = None
    address: str | None = None
    request_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An event in the chain of an instance: its number, from 1, and the code that seals it."""

    instance: str
    number: int
    event: AuditEvent
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHead:
    """Where a chain ends: what an anchor keeps."""

    instance: str
    number: int
    code: str


def instance_of(key: str) -> str:
    """Return the name of the chain that `key` seals; it does not tell the key."""
    return hashlib.sha256(b"haulier audit instance\0" + key.encode()).hexdigest()[:20]


def sealed(head: AuditHead, event: AuditEvent, key: str) -> AuditEntry:
    """Return `event` as the entry behind `head`."""
    number = head.number + 1
    code = _code(head.code, number, event, key)
    return AuditEntry(instance=head.instance, number=number, event=event, code=code)


def find_break(
    entries: Iterable[AuditEntry],
    key: str,
    *,
    end: AuditHead | None = None,
    anchors: Iterable[AuditHead] = (),
) -> str | None:
    """Return what is wrong with a chain, or None when nothing is.

    Args:
        entries: all of one instance, in their order.
        key: what sealed them.
        end: where the chain is on record to end.
        anchors: heads that were given out before; those of other instances do not matter.
    """
    wanted = {anchor.number: anchor.code for anchor in anchors}
    number, code = 0, FIRST_CODE
    for entry in entries:
        number += 1
        if entry.number != number:
            return f"entry {number} is missing; {entry.number} follows"
        code = _code(code, number, entry.event, key)
        if not hmac.compare_digest(code, entry.code):
            return f"entry {number} is not what was written"
        if wanted.pop(number, code) != code:
            return f"entry {number} is not the one that the anchor was taken of"
    if wanted:
        return f"the chain ends at {number}; an anchor was taken of entry {max(wanted)}"
    if end is not None and (end.number, end.code) != (number, code):
        return f"the chain ends at {number}; it is on record to end at {end.number}"
    return None


def _code(before: str, number: int, event: AuditEvent, key: str) -> str:
    told = [
        before,
        number,
        format_time(event.at),
        event.action,
        event.actor,
        event.object_id,
        event.status,
        event.address,
        event.request_id,
        dict(event.details),
    ]
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
