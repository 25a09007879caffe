"""What is chosen for a file that is to become smaller, and what is told of it afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from haulier.core.bitrate import AudioCodec, VideoCodec
from haulier.core.mime import MediaType
from haulier.errors import UsageError
from haulier.media.encoders import Preset
from haulier.media.image_formats import ImageFormat

Codec = VideoCodec | AudioCodec | ImageFormat
CodecT = TypeVar("CodecT", VideoCodec, AudioCodec, ImageFormat)


class Outcome(StrEnum):
    """How a file came to fit."""

    COMPRESSED = "compressed"
    ALREADY_FITS = "already_fits"
    """It did before: the result is a copy."""
    VISUALLY_LOSSLESS = "visually_lossless"
    """It stays below 92 % of the target, since more bytes would not be seen or heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedFile:
    """A file that was made to fit.

    Attributes:
        source: what it was made from.
        path: where it is.
        kind: video, audio or image.
        outcome: how it came to fit.
        original_bytes: of the source.
        size_bytes: of the result; at most `target_bytes`.
        codec: of the result; None for a copy.
        width: pixels of the result; None for sound and copies; `height` and `fps` likewise.
        corrections: how many encodes were made again.
        duration_s: seconds that the work took.
    """

    source: Path
    path: Path
    kind: MediaType
    outcome: Outcome
    original_bytes: int
    size_bytes: int
    target_bytes: int
    codec: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    corrections: int = 0
    duration_s: float = 0.0

    @property
    def compression_ratio(self) -> float:
        """New size by old: 0.75 is three quarters of the original."""
        return self.size_bytes / self.original_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionOptions:
    """What may be chosen for one file.

    Attributes:
        preset: how much time a good picture is worth.
        codecs: what results are encoded as, at most one of each kind; H.264, Opus, and what
            `images.fit_image` chooses, when left out.
        encoder_options: of the video encoder, from `encoders.VIDEO_ENCODERS`.
    """

    preset: Preset = Preset.BALANCED
    codecs: tuple[Codec, ...] = ()
    encoder_options: Mapping[str, str] = field(default_factory=dict)


DEFAULT_OPTIONS = CompressionOptions()


def compressed_name(path: Path) -> Path:
    """Return `STEM_compressed.EXT` beside a file."""
    return path.with_name(f"{path.stem}_compressed{path.suffix}")


def with_ending(path: Path, suffix: str) -> Path:
    """Return the path with that ending in place of its own."""
    return path if path.suffix.lower() == suffix else path.with_name(path.stem + suffix)


def parse_codec(text: str) -> Codec:
    """Return the codec or image format of that name.

    Raises:
        UsageError: there is none.
    """
    kinds: tuple[type[VideoCodec | AudioCodec | ImageFormat], ...] = (
        VideoCodec, AudioCodec, ImageFormat,
    )  # fmt: skip
    for kind in kinds:
        if text.lower() in list(kind):
            return kind(text.lower())
    known = ", ".join(str(each) for kind in kinds for each in kind)
    raise UsageError(f"{text!r} is no codec", hint=f"Use one of {known}.")


def chosen(kind: type[CodecT], options: CompressionOptions) -> CodecT | None:
    """Return what was chosen of that kind, if anything was.

    Raises:
        UsageError: two were.
    """
    found = [codec for codec in options.codecs if isinstance(codec, kind)]
    if len(found) > 1:
        raise UsageError(f"{found[0]} and {found[1]} can't both be had", hint="Name one.")
    return found[0] if found else None
