"""The types of files that MAX takes, their limits, and which type a file is sent as."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from haulier.core.mime import FileKind
from haulier.errors import UsageError

_MIB = 1 << 20


class UploadType(StrEnum):
    """What a file is to MAX."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    FILE = "file"

    @classmethod
    def of(cls, given: UploadType | str) -> Self:
        """Return the type of that name; raises UsageError when there is none."""
        try:
            return cls(given)
        except ValueError:
            raise UsageError(
                f"{given!r} is no type of upload", hint=f"Use one of {', '.join(cls)}."
            ) from None

    @property
    def is_grouped(self) -> bool:
        """Whether several of them may be in one message."""
        return self in {UploadType.IMAGE, UploadType.VIDEO}

    @property
    def has_token_before(self) -> bool:
        """Whether its token comes with the URL; else it comes with the answer to the upload."""
        return self in {UploadType.VIDEO, UploadType.AUDIO}


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSlot:
    """Where one file may be sent to.

    Attributes:
        url: signed, short-lived, good for one file; a secret.
        token: what the file will be called by; of images and files it comes later.
    """

    type: UploadType
    url: str
    token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxLimits:
    """What MAX takes. Whether it counts in MB or MiB is not documented: bytes can be set here.

    Attributes:
        image_bytes, video_bytes, audio_bytes, file_bytes: of one file.
        image_side: pixels of either side.
        audio_s: seconds.
    """

    image_bytes: int = 50 * _MIB
    video_bytes: int = 250 * _MIB
    audio_bytes: int = 256 * _MIB
    file_bytes: int = 4096 * _MIB
    image_side: int = 7680
    audio_s: float = 3600.0

    def most_bytes(self, type_: UploadType) -> int:
        """Return the largest file of a type, in bytes."""
        return {
            UploadType.IMAGE: self.image_bytes,
            UploadType.VIDEO: self.video_bytes,
            UploadType.AUDIO: self.audio_bytes,
            UploadType.FILE: self.file_bytes,
        }[type_]


_IMAGES = frozenset(
    {"image/jpeg", "image/png", "image/gif", "image/tiff", "image/bmp", "image/heic", "image/heif"}
)
_VIDEOS = frozenset({"video/mp4", "video/quicktime", "video/x-matroska", "video/webm"})


def type_for(mime_type: str, kind: FileKind) -> UploadType:
    """Return what a file is sent as: what MAX does not show or play goes as a file."""
    if mime_type in _IMAGES:
        return UploadType.IMAGE
    if mime_type in _VIDEOS:
        return UploadType.VIDEO
    if kind is FileKind.AUDIO:
        return UploadType.AUDIO
    return UploadType.FILE
