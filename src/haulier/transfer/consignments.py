"""What a delivery still owes, kept so that a run that died goes on where it stopped.

A consignment is the files of one message with the nonce that the message carries. The list of them
is saved before the first is sent, and again before and after each; so a later run knows which have
arrived, and which one may have.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, Self

from haulier.core.mime import MediaType
from haulier.core.records import JsonRecord, parse_time
from haulier.media.finding import MediaFile


class ConsignmentState(StrEnum):
    PLANNED = "planned"
    SENDING = "sending"
    """It was begun; whether it arrived is not known."""
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consignment(JsonRecord):
    """The files of one message.

    Attributes:
        text: stands above them.
        nonce: what the platform knows the message by, however often it is sent.
        began_at: when it was first sent.
        message_id: of the message, once it is there.
        error: why it is not there, as advice.
    """

    files: tuple[MediaFile, ...]
    text: str | None = None
    nonce: str = field(default_factory=lambda: secrets.token_hex(12))
    state: ConsignmentState = ConsignmentState.PLANNED
    began_at: datetime | None = None
    message_id: str | None = None
    error: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether something is left to do."""
        return self.state in {ConsignmentState.PLANNED, ConsignmentState.SENDING}

    def to_json(self) -> dict[str, Any]:
        """Return the consignment as plain JSON values."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            **plain,
            "files": [_file_to_json(file) for file in self.files],
            "began_at": None if self.began_at is None else self.began_at.isoformat(),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        began_at = values["began_at"]
        return cls(
            **values
            | {
                "files": tuple(_file_from_json(file) for file in values["files"]),
                "state": ConsignmentState(values["state"]),
                "began_at": None if began_at is None else parse_time(began_at),
            }
        )


def _file_to_json(file: MediaFile) -> dict[str, Any]:
    plain = {f.name: getattr(file, f.name) for f in dataclasses.fields(file)}
    original = None if file.original_path is None else str(file.original_path)
    return {**plain, "path": str(file.path), "original_path": original}


def _file_from_json(values: dict[str, Any]) -> MediaFile:
    original = values["original_path"]
    return MediaFile(
        **values
        | {
            "path": Path(values["path"]),
            "original_path": None if original is None else Path(original),
            "media_type": MediaType(values["media_type"]),
            "warnings": tuple(values["warnings"]),
        }
    )


class Ledger(Protocol):
    """Keeps consignments."""

    async def load(self) -> list[Consignment]:
        """Return what was saved last."""
        ...

    async def save(self, consignments: Sequence[Consignment]) -> None:
        """Keep these, safely, before returning."""
        ...


class MemoryLedger:
    """Keeps consignments as long as the process lives."""

    def __init__(self, consignments: Iterable[Consignment] = ()) -> None:
        self._kept = list(consignments)

    async def load(self) -> list[Consignment]:
        """Return what was saved last."""
        return list(self._kept)

    async def save(self, consignments: Sequence[Consignment]) -> None:
        """Keep these."""
        self._kept = list(consignments)
