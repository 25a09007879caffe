"""Reading a record out of a bucket that others may write to: sound in every field, or none."""

from __future__ import annotations

import re
import types
import uuid
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from haulier.core.records import FileRecord, UploadRecord

_FILE_ID = re.compile(r"[0-9a-z]{20,32}")
_LARGEST = 1 << 63
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError)


def read_upload(values: dict[str, Any]) -> UploadRecord | None:
    """Return the upload that `values` (JSON) tell of; None when any field is malformed."""
    try:
        record = UploadRecord.from_json(values)
        uuid.UUID(record.operation_id)
    except _MALFORMED:
        return None
    is_sound = record.operation_type == "upload" and _is_sound(record)
    return record if is_sound else None


def _is_sound(record: UploadRecord | FileRecord) -> bool:
    if isinstance(record, FileRecord) and not _FILE_ID.fullmatch(str(record.id)):
        return False
    hints = get_type_hints(type(record))
    return all(_fits(getattr(record, each.name), hints[each.name]) for each in fields(record))


def _fits(value: Any, hint: Any) -> bool:
    """Tell whether `value` is of the type `hint`, as records write their types."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is types.UnionType:
        return any(_fits(value, each) for each in arguments)
    if origin is list:
        return type(value) is list and all(_fits(each, arguments[0]) for each in value)
    if origin is dict:
        return type(value) is dict and all(
            _fits(name, arguments[0]) and _fits(each, arguments[1]) for name, each in value.items()
        )
    if hint is Any:
        return True
    if hint is int:
        return type(value) is int and abs(value) < _LARGEST
    if hint is float:
        return type(value) in {int, float}
    if is_dataclass(hint):
        return isinstance(value, FileRecord) and _is_sound(value)
    return isinstance(value, hint)
