"""haulier moves media files and never loses one.

The names below are the public library; each is imported when it is first used, so that
`import haulier` costs nothing. Functions are async; `haulier.sync` has blocking twins.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from haulier._version import __version__

if TYPE_CHECKING:
    from haulier.catalog.catalog import Catalog
    from haulier.catalog.filters import FileFilter, OperationFilter, Page
    from haulier.core.mime import MediaType
    from haulier.core.progress import Progress
    from haulier.core.recordings import Recording, RecordingStatus
    from haulier.core.records import FileRecord, OperationRecord, UploadRecord
    from haulier.discord.processor import DiscordUploadProcessor
    from haulier.errors import HaulierError
    from haulier.journeys.archive.api import restore, upload
    from haulier.journeys.delivery.manager import UploadManager
    from haulier.journeys.recording.manager import OfflineAudioManager
    from haulier.media.advice import CompressionStrategy
    from haulier.media.compression import CompressionManager
    from haulier.media.finding import (
        FileSizeAnalyzer,
        MediaFile,
        MediaFileDetector,
        SizeAnalysis,
    )
    from haulier.settings import Settings
    from haulier.transfer.batches import Batch, BatchItem, BatchReport
    from haulier.transfer.batching import BatchProcessor, UploadBatch
    from haulier.transfer.chunked_upload import ChunkedUploadManager
    from haulier.transfer.download_manager import DownloadManager
    from haulier.transfer.download_requests import DownloadedFile, DownloadRequest
    from haulier.transfer.file_cache import FileCache
    from haulier.transfer.processors import BaseUploadProcessor, UploadResult
    from haulier.transfer.streaming_upload import StreamingUploadHandler
    from haulier.transfer.tus_files import upload_tus

_HOMES = {
    "BaseUploadProcessor": "haulier.transfer.processors",
    "BatchProcessor": "haulier.transfer.batching",
    "Batch": "haulier.transfer.batches",
    "BatchItem": "haulier.transfer.batches",
    "BatchReport": "haulier.transfer.batches",
    "Catalog": "haulier.catalog.catalog",
    "ChunkedUploadManager": "haulier.transfer.chunked_upload",
    "CompressionManager": "haulier.media.compression",
    "CompressionStrategy": "haulier.media.advice",
    "DiscordUploadProcessor": "haulier.discord.processor",
    "DownloadManager": "haulier.transfer.download_manager",
    "DownloadRequest": "haulier.transfer.download_requests",
    "DownloadedFile": "haulier.transfer.download_requests",
    "FileCache": "haulier.transfer.file_cache",
    "FileFilter": "haulier.catalog.filters",
    "FileRecord": "haulier.core.records",
    "FileSizeAnalyzer": "haulier.media.finding",
    "HaulierError": "haulier.errors",
    "MediaFile": "haulier.media.finding",
    "MediaFileDetector": "haulier.media.finding",
    "MediaType": "haulier.core.mime",
    "OfflineAudioManager": "haulier.journeys.recording.manager",
    "OperationFilter": "haulier.catalog.filters",
    "OperationRecord": "haulier.core.records",
    "Page": "haulier.catalog.filters",
    "Progress": "haulier.core.progress",
    "Recording": "haulier.core.recordings",
    "RecordingStatus": "haulier.core.recordings",
    "Settings": "haulier.settings",
    "SizeAnalysis": "haulier.media.finding",
    "StreamingUploadHandler": "haulier.transfer.streaming_upload",
    "UploadBatch": "haulier.transfer.batching",
    "UploadManager": "haulier.journeys.delivery.manager",
    "UploadRecord": "haulier.core.records",
    "UploadResult": "haulier.transfer.processors",
    "restore": "haulier.journeys.archive.api",
    "upload": "haulier.journeys.archive.api",
    "upload_tus": "haulier.transfer.tus_files",
}

__all__ = [
    "BaseUploadProcessor",
    "Batch",
    "BatchItem",
    "BatchProcessor",
    "BatchReport",
    "Catalog",
    "ChunkedUploadManager",
    "CompressionManager",
    "CompressionStrategy",
    "DiscordUploadProcessor",
    "DownloadManager",
    "DownloadRequest",
    "DownloadedFile",
    "FileCache",
    "FileFilter",
    "FileRecord",
    "FileSizeAnalyzer",
    "HaulierError",
    "MediaFile",
    "MediaFileDetector",
    "MediaType",
    "OfflineAudioManager",
    "OperationFilter",
    "OperationRecord",
    "Page",
    "Progress",
    "Recording",
    "RecordingStatus",
    "Settings",
    "SizeAnalysis",
    "StreamingUploadHandler",
    "UploadBatch",
    "UploadManager",
    "UploadRecord",
    "UploadResult",
    "__version__",
    "restore",
    "upload",
    "upload_tus",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'haulier' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
