"""What commands print: results on stdout, everything for people on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from haulier.core.records import (
    JsonRecord,
    OperationRecord,
    OperationStatus,
    UploadRecord,
    utc_now,
)
from haulier.errors import HaulierError, UsageError

_NOT_DONE = frozenset({OperationStatus.FAILED, OperationStatus.PARTIAL, OperationStatus.CANCELLED})


def printable(text: object) -> str:
    """Return `text` with control characters and undecodable bytes written as escapes, so that a
    file's name can't steer the terminal."""
    return "".join(c if c.isprintable() else _escaped(c) for c in str(text))


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a name that is not UTF-8
        return f"\\x{ord(character) & 0xFF:02x}"
    return character.encode("unicode_escape").decode("ascii")


def say(message: str) -> None:
    """Write one line for people to stderr."""
    print(message, file=sys.stderr)


def is_terminal(stream: Any) -> bool:
    """Tell whether lines on `stream` can be drawn over."""
    return stream is not None and stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def print_json(value: object) -> None:
    """Write `value` as the one JSON document of stdout; ASCII, so that any name survives."""
    print(json.dumps(_plain(value), indent=2))


def _plain(value: Any) -> Any:
    if isinstance(value, JsonRecord):
        return value.to_json()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


@contextmanager
def failures_as_json(
    as_json: bool, operation_type: str, targets: Sequence[str], *, one: bool = False
) -> Iterator[None]:
    """With `as_json`, turn a failure of the block as a whole into a failed record per target.

    They are printed as an array, or with `one` as an object, and the command ends with 1. Wrong
    usage and configuration are not failures: they leave the block, and stdout stays empty.
    """
    try:
        yield
    except HaulierError as error:
        if not as_json or error.exit_code != 1:
            raise
        records = [_failure(operation_type, target, error) for target in targets]
        print_json(records[0] if one else records)
        report_failures(records[:1])
        raise SystemExit(1) from None


def _failure(operation_type: str, target: str, error: HaulierError) -> OperationRecord:
    kind = UploadRecord if operation_type == "upload" else OperationRecord
    return kind(
        operation_type=operation_type,
        target_path=target,
        target_name=target,
        completed_at=utc_now(),
        status=OperationStatus.FAILED,
        error_message=error.message,
        command_args=sys.argv[1:],
        metadata={"error": {"code": error.code, "hint": error.hint}},
    )


def report_failures(records: Iterable[OperationRecord]) -> None:
    """Tell on stderr which records failed, why, and what to do."""
    for record in records:
        if record.status not in _NOT_DONE:
            continue
        say(f"{record.status}: {printable(record.target_name)}: {printable(record.error_message)}")
        hint = (record.metadata.get("error") or {}).get("hint")
        if hint:
            say(f"  {printable(hint).replace('retry ID', 'retry ' + record.operation_id)}")


def finish(records: Iterable[OperationRecord]) -> None:
    """End the command by how `records` ended: 0 all done, 1 some failed."""
    if any(record.status in _NOT_DONE for record in records):
        raise SystemExit(1)


def require(condition: bool, message: str, hint: str) -> None:
    """Raise UsageError unless `condition` holds."""
    if not condition:
        raise UsageError(message, hint=hint)
