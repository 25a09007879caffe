"""Errors of what is to be moved, and of bytes that are not what they should be."""

from __future__ import annotations

from haulier.errors.base import HaulierError


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
