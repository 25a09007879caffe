"""Errors of files that are looked into or made smaller."""

from __future__ import annotations

from haulier.errors.base import HaulierError


class MediaError(HaulierError):
    """A file can't be read as what it is, or not be made what was asked for."""

    code, http_status = "media", 422
    advice = "Look at the file with `haulier inspect`."


class UnreadableMedia(MediaError):
    """The file is damaged, cut short, or made a decoder fail or crash."""

    code = "media-unreadable"
    advice = "Play or open the file to see whether it is whole; get it from its source again."


class UnsupportedMedia(MediaError):
    """The file is of a kind that this can't be done with."""

    code, http_status = "media-unsupported", 415
    advice = "Convert the file to a common format first."


class MediaTooDemanding(MediaError):
    """Reading the file would take more pixels, members, memory or time than is allowed.

    So do decompression bombs.
    """

    code, http_status = "media-too-demanding", 413
    advice = "Do not trust where this file comes from; raise the limit if you do."


class DoesNotFit(MediaError):
    """The wanted size is too small for this content.

    Args:
        message: what happened, naming the file.
        hint: what the reader can do about it.
        smallest_bytes: the smallest size that would fit, where it is known.
    """

    code = "does-not-fit"
    advice = "Allow a larger size, or shorten the file."

    def __init__(
        self, message: str, *, hint: str | None = None, smallest_bytes: int | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.smallest_bytes = smallest_bytes


class EncoderFailed(MediaError):
    """An encoder stopped with an error of its own."""

    code, http_status = "encoder-failed", 500
    advice = "Check free space, and that the file plays; run with HAULIER_DEBUG=1 for its words."


class ScanFailed(HaulierError):
    """The virus scanner can't be reached or gave no verdict."""

    code, http_status = "scan-failed", 502
    advice = "Check that clamd runs and that CLAMD_URL names its socket."
