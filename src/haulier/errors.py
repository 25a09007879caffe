"""Every error haulier raises, in one tree; each class is a row of the error table.

    HaulierError
    ├── UsageError                    what was asked for makes no sense (exit 2)
    │   ├── ConfigurationError
    │   ├── MissingExtra
    │   ├── MissingProgram
    │   └── UnknownReference
    ├── SourceError                   the thing to be moved
    │   ├── TargetMissing
    │   ├── TargetUnreadable
    │   ├── NothingSelected
    │   ├── UnsafePath
    │   ├── SourceChanged
    │   └── DuplicateName
    ├── StoreError                    the far end
    │   ├── Transient                 the only kind that is retried
    │   │   ├── ConnectionLost
    │   │   ├── TimedOut
    │   │   ├── RateLimited
    │   │   └── ServiceFault
    │   ├── AccessDenied
    │   ├── NoSuchBucket
    │   ├── NoSuchObject
    │   ├── NoSuchUpload
    │   ├── ObjectExists
    │   ├── ObjectChanged
    │   ├── ObjectArchived
    │   ├── BadDigest
    │   ├── AddressRefused
    │   └── RequestRejected
    ├── IntegrityError                bytes are not what they should be
    │   ├── VerificationFailed
    │   ├── CorruptArchive
    │   ├── UnsafeArchive
    │   └── DecryptionFailed
    ├── MediaError                    a file can't be read as what it is, or made smaller
    │   ├── UnreadableMedia
    │   ├── UnsupportedMedia
    │   ├── MediaTooDemanding
    │   ├── DoesNotFit
    │   └── EncoderFailed
    ├── FileError                     a stored file, or one on its way in
    │   ├── ValidationError
    │   ├── FileNotFoundError
    │   ├── FilePermissionError
    │   ├── FileSizeError
    │   │   └── QuotaExceeded
    │   ├── SessionConflict
    │   │   ├── ChunkConflict
    │   │   └── ChunksMissing
    │   ├── LockBusy
    │   ├── LockLost
    │   ├── SessionGone
    │   └── ChecksumMismatch
    ├── ExternalServiceError
    ├── ScanFailed
    ├── StorageFull
    ├── OperationBusy
    ├── CatalogError
    └── Interrupted

A row is three class attributes: `code` (stable, kebab-case, also the `code` of a
problem document), `http_status` and `exit_code`. `hint` tells the reader what to do.
"""

from __future__ import annotations

from typing import ClassVar


class HaulierError(Exception):
    """The root of the tree.

    Args:
        message: what happened, naming the file or object concerned.
        hint: what the reader can do about it; the class's `advice` when left out.
        retry_after_s: seconds the far end asked us to wait, when it did.
    """

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    advice: ClassVar[str] = "This is a bug in haulier: please report it with the command you ran."

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.advice if hint is None else hint
        self.retry_after_s = retry_after_s


class UsageError(HaulierError):
    """What was asked for makes no sense: wrong argument, wrong combination."""

    code, http_status, exit_code = "usage", 400, 2
    advice = "See `haulier COMMAND --help`."


class ConfigurationError(UsageError):
    """A setting is missing, malformed, or contradicts another."""

    code, http_status = "configuration", 500
    advice = "Run `haulier doctor` to see what is configured and what is missing."


class MissingExtra(UsageError):
    """An optional library is needed and not installed."""

    code, http_status = "missing-extra", 501
    advice = "Install everything with `pip install 'haulier[all]'`."


class MissingProgram(UsageError):
    """An optional program (ffmpeg, clamd, …) is needed and not there."""

    code, http_status = "missing-program", 501
    advice = "Run `haulier doctor` to see which programs were found."


class UnknownReference(UsageError):
    """No operation, object or remote has that name or id."""

    code, http_status, exit_code = "unknown-reference", 404, 1
    advice = "List what there is with `haulier history` or `haulier files`."


class SourceError(HaulierError):
    """Something is wrong with what should be moved."""

    code, http_status = "source", 400
    advice = "Check the file and run the command again."


class TargetMissing(SourceError):
    """The target does not exist."""

    code, http_status = "target-missing", 404
    advice = "Check the spelling, or set MGMT_LOCAL_DIR to the directory that holds it."


class TargetUnreadable(SourceError):
    """The target, or something inside it, may not be read."""

    code, http_status = "target-unreadable", 403
    advice = "Give yourself read permission, or leave it out with --exclude."


class NothingSelected(SourceError):
    """The selection is empty."""

    code = "nothing-selected"
    advice = "Loosen --include / --exclude, or add --hidden for hidden entries."


class UnsafePath(SourceError):
    """A walked entry leads out of its root, or a name can't be stored."""

    code = "unsafe-path"
    advice = "Remove the link or leave it out with --exclude."


class SourceChanged(SourceError):
    """A file changed, shrank, grew or vanished while it was read."""

    code, http_status = "source-changed", 409
    advice = "Wait until nothing writes to it any more, then run `haulier retry ID`."


class DuplicateName(SourceError):
    """The name is taken at the other end and duplicates are to be refused."""

    code, http_status = "duplicate-name", 409
    advice = "Rename one of them, or set MGMT_DUPLICATE_HANDLING to timestamp or subdirectory."


class StoreError(HaulierError):
    """The store or destination said no."""

    code, http_status = "store", 502
    advice = "Run `haulier doctor` to test the store."


class Transient(StoreError):
    """It may work if tried again; the only kind that retry looks at."""

    code, http_status = "store-unavailable", 503
    advice = "The store did not answer in time; run `haulier resume` later, nothing is lost."


class ConnectionLost(Transient):
    """The connection could not be made, or broke."""

    code = "connection-lost"


class TimedOut(Transient):
    """No byte moved for longer than the stall limit."""

    code, http_status = "timed-out", 504


class RateLimited(Transient):
    """The far end asked us to slow down (429, SlowDown)."""

    code, http_status = "rate-limited", 429


class ServiceFault(Transient):
    """The far end failed on its own account (5xx)."""

    code = "service-fault"


class AccessDenied(StoreError):
    """Credentials are missing, wrong, expired, or not enough."""

    code, http_status = "access-denied", 403
    advice = "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and the bucket's policy."


class NoSuchBucket(StoreError):
    """The bucket or directory of the store does not exist."""

    code, http_status = "no-such-bucket", 404
    advice = "Check AWS_S3_BUCKET, or create the bucket with `haulier s3 setup`."


class NoSuchObject(StoreError):
    """The object does not exist."""

    code, http_status = "no-such-object", 404
    advice = "List what is stored with `haulier history`, or run `haulier import` on the bucket."


class NoSuchUpload(StoreError):
    """The store does not know the multipart upload (completed, aborted or expired)."""

    code, http_status = "no-such-upload", 410
    advice = "Run `haulier retry ID` to send it again."


class ObjectExists(StoreError):
    """The key is taken and overwriting was not asked for."""

    code, http_status = "object-exists", 412
    advice = "Use --force to overwrite, or another MGMT_DUPLICATE_HANDLING."


class ObjectChanged(StoreError):
    """The object is not the one it was when we began to read it."""

    code, http_status = "object-changed", 412
    advice = "Run the command again to fetch the new version from the start."


class ObjectArchived(StoreError):
    """The object rests in an archive class and has to be brought back first."""

    code, http_status = "object-archived", 409
    advice = "A retrieval was requested; run the same command again in some hours."


class BadDigest(StoreError):
    """The store received other bytes than we sent."""

    code, http_status = "bad-digest", 422
    advice = "Something between here and the store alters data; run `haulier doctor`."


class AddressRefused(StoreError):
    """The address is private, local or reserved and requests there are not allowed."""

    code, http_status = "address-refused", 403
    advice = "Only public addresses are fetched from; allow the host explicitly if it is yours."


class RequestRejected(StoreError):
    """The store understood and refused; trying again would not help."""

    code = "request-rejected"


class IntegrityError(HaulierError):
    """Bytes are not what they should be."""

    code, http_status = "integrity", 422
    advice = "Run `haulier verify ID --deep` to see how far the damage goes."


class VerificationFailed(IntegrityError):
    """Size, ETag or checksum of the stored object disagree with ours."""

    code = "verification-failed"
    advice = (
        "The remote object is not trusted and the source was not moved; run `haulier retry ID`."
    )


class CorruptArchive(IntegrityError):
    """The archive or its index can't be read or is damaged."""

    code = "corrupt-archive"
    advice = "Run `haulier verify ID --deep` to see how far the damage goes."


class UnsafeArchive(IntegrityError):
    """An archive has a member that would be written outside its target."""

    code = "unsafe-archive"
    advice = "Nothing was written. Do not trust where this archive comes from."


class DecryptionFailed(IntegrityError):
    """The key is wrong, or the encrypted bytes were altered."""

    code = "decryption-failed"
    advice = "Give the key the archive was made with (--key-file)."


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


class FileError(HaulierError):
    """Something is wrong with a stored file, or with one on its way in."""

    code, http_status = "file", 400
    advice = "Ask for the file's or the session's state and go on from there."


class ValidationError(FileError):
    """A name, size, number or header that can't be."""

    code = "validation"
    advice = "See the message for what is expected."


class FileNotFoundError(FileError):  # noqa: A001  # the public name; it lives in this module
    """There is no such file or session, or none that you may see."""

    code, http_status = "file-not-found", 404
    advice = "Check the id; list what you may see."


class FilePermissionError(FileError):
    """You may see the file and not do this with it."""

    code, http_status = "file-permission", 403
    advice = "Ask its owner to share it with you."


class FileSizeError(FileError):
    """More bytes than are allowed, or than were announced."""

    code, http_status = "file-size", 413
    advice = "Send a smaller file, or ask for a higher limit."


class QuotaExceeded(FileSizeError):
    """The file does not fit into what is left of the user's quota."""

    code = "quota-exceeded"
    advice = "Delete files, empty the trash, or ask for a higher quota."


class SessionConflict(FileError):
    """The upload session stands elsewhere than the request supposes."""

    code, http_status = "session-conflict", 409
    advice = "Ask for the session's status and go on from there."


class ChunkConflict(SessionConflict):
    """The chunk arrived already, with other bytes."""

    code = "chunk-conflict"
    advice = "The file changed while it was sent: begin a new upload."


class ChunksMissing(SessionConflict):
    """The upload can't be completed before all its chunks arrived.

    Args:
        message: what happened, naming the file.
        missing: first and last number of each run of missing chunks.
    """

    code = "chunks-missing"
    advice = "Send the missing chunks, then complete the upload again."

    def __init__(self, message: str, *, missing: list[tuple[int, int]]) -> None:
        super().__init__(message)
        self.missing = missing


class LockBusy(FileError):
    """Another request works on the same session or file."""

    code, http_status = "lock-busy", 423
    advice = "Try again in a moment."


class LockLost(FileError):
    """A later request for the same session took over; this one must not publish anything."""

    code, http_status = "lock-lost", 409
    advice = "Ask for the session's status and go on from there."


class SessionGone(FileError):
    """The upload session was cancelled, failed, or expired."""

    code, http_status = "session-gone", 410
    advice = "Begin a new upload."


class ChecksumMismatch(FileError):
    """Bytes arrived other than their checksum says; they were not kept."""

    code, http_status = "checksum-mismatch", 422
    advice = "Send the same bytes again."


class ExternalServiceError(HaulierError):
    """Something haulier leans on, a store or a service, failed."""

    code, http_status = "external-service", 502
    advice = "Try again in a moment; an operator finds the cause in the log."


class ScanFailed(HaulierError):
    """The virus scanner can't be reached or gave no verdict."""

    code, http_status = "scan-failed", 502
    advice = "Check that clamd runs and that CLAMD_URL names its socket."


class StorageFull(HaulierError):
    """No space left, or a quota is used up."""

    code, http_status = "storage-full", 507
    advice = "Free some space, then run `haulier resume`; what was stored already is kept."


class OperationBusy(HaulierError):
    """Another process is working on this operation."""

    code, http_status = "operation-busy", 409
    advice = "Wait for the other process; `haulier history --status running` shows what runs."


class CatalogError(HaulierError):
    """The catalog can't be opened, or its schema is not the one this version needs."""

    code, http_status, exit_code = "catalog", 500, 2
    advice = "Run `haulier db upgrade`."


class Interrupted(HaulierError):
    """Stopped by the user; the state is kept and can be resumed."""

    code, http_status, exit_code = "interrupted", 499, 130
    advice = "Run `haulier resume` to go on where it stopped."
