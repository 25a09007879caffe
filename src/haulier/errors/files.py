"""Errors of stored files and of files on their way in."""

from __future__ import annotations

from haulier.errors.base import HaulierError


class FileError(HaulierError):
    """Something is wrong with a stored file, or with one on its way in."""

    code, http_status = "file", 400
    advice = "Ask for the file's or the session's state and go on from there."


class ValidationError(FileError):
    """A name, size, number or header that can't be."""

    code = "validation"
    advice = "See the message for what is expected."


class InconsistentLength(ValidationError):
    """A request tells two lengths that don't agree."""

    code = "inconsistent-length"
    advice = "Let Upload-Length be the offset and Content-Length of the last request together."


class UnsupportedVersion(FileError):
    """The client speaks another version of the protocol."""

    code, http_status = "unsupported-version", 412
    advice = "Send `Tus-Resumable: 1.0.0`."


class UploadComplete(FileError):
    """The upload is complete and takes no more bytes."""

    code, http_status = "completed-upload", 400
    advice = "Begin a new upload."


class UnsupportedContent(FileError):
    """The body has a type or an encoding that is not taken here."""

    code, http_status = "unsupported-content", 415
    advice = "Send the bytes as they are, with the type that the message names."


class ContentRefused(UnsupportedContent):
    """The file is of a type that this server does not take, or harms whoever unpacks it."""

    code = "content-refused"
    advice = "Send a file of a type that the message names."


class FileNotFoundError(FileError):  # noqa: A001  # the public name; it lives in this module
    """There is no such file or session, or none that you may see."""

    code, http_status = "file-not-found", 404
    advice = "Check the id; list what you may see."


class FilePermissionError(FileError):
    """You may see the file and not do this with it."""

    code, http_status = "file-permission", 403
    advice = "Ask its owner to share it with you."


class ScopeMissing(FilePermissionError):
    """The token does not carry the scope that this needs."""

    code = "scope-missing"
    advice = "Make a token with it: `haulier token create NAME --service --scope SCOPE`."


class SharePasswordNeeded(FilePermissionError):
    """The link has a password, and it was not given, or another one."""

    code = "share-password"
    advice = "Send it in the header X-Share-Password, or open the link in a browser."


class UploadRefused(FilePermissionError):
    """Whoever this server asks before an upload begins does not want it."""

    code = "upload-refused"
    advice = "See the message; ask who runs the server."


class HookUnavailable(FileError):
    """Whoever this server asks before an upload begins could not be asked."""

    code, http_status = "hook-unavailable", 503
    advice = "Try again in a moment; an operator finds the cause in the log."


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


class PreconditionFailed(FileError):
    """The file is not, or is, as the request supposes."""

    code, http_status = "precondition-failed", 412
    advice = "Look at what is stored now, then decide."


class NameTaken(FileError):
    """There is another file or folder of that name at that place."""

    code, http_status = "name-taken", 409
    advice = "Choose another name, or move the other one away."


class ChangesGone(FileError):
    """The feed of changes does not reach to the cursor."""

    code, http_status = "changes-gone", 410
    advice = "Begin anew, without a cursor: the answer tells of every file."


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


class RecordingConflict(FileError):
    """There is a recording of that id already, and it is another one."""

    code, http_status = "recording-conflict", 409
    advice = "Save it under an id of its own."


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


class NotSignedIn(FileError):
    """No token, or one that is not valid here."""

    code, http_status = "not-signed-in", 401
    advice = "Sign in again, or get a token with `haulier token create NAME`."


class UserExists(FileError):
    """There is a user of that name already."""

    code, http_status = "user-exists", 409
    advice = "Choose another name."


class TooManyRequests(FileError):
    """More was asked for in a short time than is allowed."""

    code, http_status = "too-many-requests", 429
    advice = "Wait as long as Retry-After says, then try again."


class ScanPending(FileError):
    """The file has to be scanned for malware before it is served."""

    code, http_status = "scan-pending", 423
    advice = "Try again in a moment."


class ScanInconclusive(FileError):
    """The file could not be scanned for malware, and is not served for that."""

    code, http_status = "scan-inconclusive", 423
    advice = "An operator finds the cause in the message; SCAN_ON_ERROR=allow serves such files."


class FileInfected(FileError):
    """Malware was found in the file; it is quarantined and never served."""

    code, http_status = "file-infected", 410
    advice = "Delete the file, and look at where it came from."
