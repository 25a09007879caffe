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
    │   │   ├── ServiceFault
    │   │   └── AttachmentNotReady
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
    ├── ChatError                     a messenger said no
    │   ├── BadBotToken
    │   ├── ChatDenied
    │   ├── ChatNotFound
    │   ├── MessageTooLarge
    │   ├── AttachmentRefused
    │   └── MessageUncertain
    ├── FileError                     a stored file, or one on its way in
    │   ├── ValidationError
    │   │   └── InconsistentLength
    │   ├── UnsupportedVersion
    │   ├── UnsupportedContent
    │   │   └── ContentRefused
    │   ├── UploadComplete
    │   ├── FileNotFoundError
    │   ├── FilePermissionError
    │   │   ├── ScopeMissing
    │   │   ├── SharePasswordNeeded
    │   │   └── UploadRefused
    │   ├── HookUnavailable
    │   ├── FileSizeError
    │   │   └── QuotaExceeded
    │   ├── SessionConflict
    │   │   ├── ChunkConflict
    │   │   └── ChunksMissing
    │   ├── RecordingConflict
    │   ├── LockBusy
    │   ├── LockLost
    │   ├── SessionGone
    │   ├── ChecksumMismatch
    │   ├── NotSignedIn
    │   ├── ChangesGone
    │   ├── NameTaken
    │   ├── PreconditionFailed
    │   ├── TooManyRequests
    │   ├── UserExists
    │   ├── ScanPending
    │   ├── ScanInconclusive
    │   └── FileInfected
    ├── ExternalServiceError
    ├── ScanFailed
    ├── StorageFull
    ├── OperationBusy
    ├── CatalogError
    │   └── CatalogUnavailable
    └── Interrupted

A row is three class attributes: `code` (stable, kebab-case, also the `code` of a
problem document), `http_status` and `exit_code`. `hint` tells the reader what to do.
"""

from __future__ import annotations

from haulier.errors.archiving import (
    CorruptArchive,
    DecryptionFailed,
    DuplicateName,
    IntegrityError,
    NothingSelected,
    SourceChanged,
    SourceError,
    TargetMissing,
    TargetUnreadable,
    UnsafeArchive,
    UnsafePath,
    VerificationFailed,
)
from haulier.errors.base import (
    CatalogError,
    CatalogUnavailable,
    ConfigurationError,
    CoordinationError,
    HaulierError,
    Interrupted,
    MissingExtra,
    MissingProgram,
    OperationBusy,
    StorageFull,
    UnknownReference,
    UsageError,
)
from haulier.errors.chats import (
    AttachmentNotReady,
    AttachmentRefused,
    BadBotToken,
    ChatDenied,
    ChatError,
    ChatNotFound,
    MessageTooLarge,
    MessageUncertain,
)
from haulier.errors.files import (
    ChangesGone,
    ChecksumMismatch,
    ChunkConflict,
    ChunksMissing,
    ContentRefused,
    FileError,
    FileInfected,
    FileNotFoundError,  # noqa: A004  # the public name, used as haulier.errors.FileNotFoundError
    FilePermissionError,
    FileSizeError,
    HookUnavailable,
    InconsistentLength,
    LockBusy,
    LockLost,
    NameTaken,
    NotSignedIn,
    PreconditionFailed,
    QuotaExceeded,
    RecordingConflict,
    ScanInconclusive,
    ScanPending,
    ScopeMissing,
    SessionConflict,
    SessionGone,
    SharePasswordNeeded,
    TooManyRequests,
    UnsupportedContent,
    UnsupportedVersion,
    UploadComplete,
    UploadRefused,
    UserExists,
    ValidationError,
)
from haulier.errors.media import (
    DoesNotFit,
    EncoderFailed,
    MediaError,
    MediaTooDemanding,
    ScanFailed,
    UnreadableMedia,
    UnsupportedMedia,
)
from haulier.errors.stores import (
    AccessDenied,
    AddressRefused,
    BadDigest,
    ConnectionLost,
    ExternalServiceError,
    NoSuchBucket,
    NoSuchObject,
    NoSuchUpload,
    ObjectArchived,
    ObjectChanged,
    ObjectExists,
    RateLimited,
    RequestRejected,
    ServiceFault,
    StoreError,
    TimedOut,
    Transient,
)

__all__ = [
    "AccessDenied",
    "AddressRefused",
    "AttachmentNotReady",
    "AttachmentRefused",
    "BadBotToken",
    "BadDigest",
    "CatalogError",
    "CatalogUnavailable",
    "ChangesGone",
    "ChatDenied",
    "ChatError",
    "ChatNotFound",
    "ChecksumMismatch",
    "ChunkConflict",
    "ChunksMissing",
    "ConfigurationError",
    "ConnectionLost",
    "ContentRefused",
    "CoordinationError",
    "CorruptArchive",
    "DecryptionFailed",
    "DoesNotFit",
    "DuplicateName",
    "EncoderFailed",
    "ExternalServiceError",
    "FileError",
    "FileInfected",
    "FileNotFoundError",
    "FilePermissionError",
    "FileSizeError",
    "HaulierError",
    "HookUnavailable",
    "InconsistentLength",
    "IntegrityError",
    "Interrupted",
    "LockBusy",
    "LockLost",
    "MediaError",
    "MediaTooDemanding",
    "MessageTooLarge",
    "MessageUncertain",
    "MissingExtra",
    "MissingProgram",
    "NameTaken",
    "NoSuchBucket",
    "NoSuchObject",
    "NoSuchUpload",
    "NotSignedIn",
    "NothingSelected",
    "ObjectArchived",
    "ObjectChanged",
    "ObjectExists",
    "OperationBusy",
    "PreconditionFailed",
    "QuotaExceeded",
    "RateLimited",
    "RecordingConflict",
    "RequestRejected",
    "ScanFailed",
    "ScanInconclusive",
    "ScanPending",
    "ScopeMissing",
    "ServiceFault",
    "SessionConflict",
    "SessionGone",
    "SharePasswordNeeded",
    "SourceChanged",
    "SourceError",
    "StorageFull",
    "StoreError",
    "TargetMissing",
    "TargetUnreadable",
    "TimedOut",
    "TooManyRequests",
    "Transient",
    "UnknownReference",
    "UnreadableMedia",
    "UnsafeArchive",
    "UnsafePath",
    "UnsupportedContent",
    "UnsupportedMedia",
    "UnsupportedVersion",
    "UploadComplete",
    "UploadRefused",
    "UsageError",
    "UserExists",
    "ValidationError",
    "VerificationFailed",
]
