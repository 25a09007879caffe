"""The schema, one for both databases. What it looked like at each version is in migrations/.

Listings are newest first, so an index is the columns that filter, then the key that
orders, then columns that other filters look at: a filter that is not the one an index was
chosen for is decided inside the index, without fetching rows that don't match.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    column,
    table,
)

from haulier.catalog.types import BIG_KEY, PLAIN_TEXT, JsonText, SafeText, TextHead, UtcTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

files = Table(
    "files",
    metadata,
    # `id` is the key everybody uses; the number is what the trigram index refers to.
    Column("number", BIG_KEY, primary_key=True),
    Column("block", BigInteger, Computed("number / 2048", persisted=True), nullable=False),
    Column("id", PLAIN_TEXT, nullable=False, unique=True),
    Column("name", SafeText, nullable=False),
    Column("path", SafeText, nullable=False),
    Column("path_head", TextHead, nullable=False),
    Column("location", PLAIN_TEXT, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("is_directory", Boolean, nullable=False),
    Column("mime_type", SafeText),
    Column("created_at", UtcTime),
    Column("modified_at", UtcTime),
    Column("accessed_at", UtcTime),
    Column("checksum", PLAIN_TEXT),
    Column("status", PLAIN_TEXT, nullable=False),
    Column("error_message", SafeText),
    Index("ix_files_block", "block", "id", "location", "status", "is_directory", "name"),
    Index("ix_files_location", "location", "id", "is_directory", "status", "name"),
    Index("ix_files_status", "status", "id", "is_directory", "name"),
    Index("ix_files_location_status", "location", "status", "id", "is_directory", "name"),
    Index("ix_files_is_directory", "is_directory", "id"),
    Index("ix_files_name", "name", "id", "location", "status", "is_directory"),
    Index("ix_files_path", "path_head", "id", "location", "status", "is_directory"),
    Index("ix_files_checksum", "checksum", "id", "location", "status", "is_directory"),
    Index("ix_files_size", "size", "status", "location", "is_directory"),
)

file_names = table("file_names", column("rowid", BigInteger), column("name", SafeText))
"""SQLite only: an FTS5 index of the trigrams of `files.name`, kept by triggers."""

# Which terms of names and paths occur in a block of files (catalog/blocks.py).
file_blocks = Table(
    "file_blocks",
    metadata,
    Column("term", BigInteger, primary_key=True, autoincrement=False),
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

# The file's location, status and kind are repeated here for the sake of the indexes.
file_tags = Table(
    "file_tags",
    metadata,
    Column(
        "file_id",
        PLAIN_TEXT,
        ForeignKey("files.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"),
        primary_key=True,
    ),
    Column("key", SafeText, primary_key=True),
    Column("value", SafeText, nullable=False),
    Column("value_head", TextHead, nullable=False),
    Column("location", PLAIN_TEXT, nullable=False),
    Column("status", PLAIN_TEXT, nullable=False),
    Column("is_directory", Boolean, nullable=False),
    Index("ix_file_tags_key", "key", "file_id", "location", "status", "is_directory"),
    Index(
        "ix_file_tags_value", "key", "value_head", "file_id", "location", "status", "is_directory"
    ),
    sqlite_with_rowid=False,
)


def _linked_file(name: str) -> Column[str]:
    return Column(
        name, PLAIN_TEXT, ForeignKey("files.id", deferrable=True, initially="DEFERRED"), index=True
    )


operations = Table(
    "operations",
    metadata,
    Column("operation_id", PLAIN_TEXT, primary_key=True),
    Column("operation_type", PLAIN_TEXT, nullable=False),
    Column("target_path", SafeText, nullable=False),
    Column("target_name", SafeText, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("completed_at", UtcTime),
    Column("duration_seconds", Float),
    Column("status", PLAIN_TEXT, nullable=False),
    Column("result_path", SafeText),
    Column("error_message", SafeText),
    Column("metadata", JsonText, nullable=False),
    Column("user", SafeText),
    Column("command_args", JsonText, nullable=False),
    Column("is_upload", Boolean, nullable=False),
    Column("location", PLAIN_TEXT),  # of the remote file
    Column("compression_type", PLAIN_TEXT),
    Column("original_size", BigInteger),
    Column("compressed_size", BigInteger),
    Column("compression_ratio", Float),
    Column("s3_bucket", SafeText),
    Column("s3_object_key", SafeText),
    Column("s3_storage_class", PLAIN_TEXT),
    Column("checksum_original", PLAIN_TEXT),
    Column("checksum_compressed", PLAIN_TEXT),
    Column("checksum_s3_etag", PLAIN_TEXT),
    Column("completed_dir_path", SafeText),
    Column("compressed_file_path", SafeText),
    _linked_file("source_file_id"),
    _linked_file("compressed_file_id"),
    _linked_file("s3_file_id"),
    _linked_file("completed_file_id"),
    Index(
        "ix_operations_started_at",
        "started_at",
        "operation_id",
        "status",
        "operation_type",
        "location",
        "user",
        "target_name",
    ),
    Index("ix_operations_status", "status", "started_at", "operation_id"),
    Index("ix_operations_target_name", "target_name", "started_at", "operation_id"),
)


def _operation_key() -> Column[str]:
    return Column(
        "operation_id",
        PLAIN_TEXT,
        ForeignKey("operations.operation_id", deferrable=True, initially="DEFERRED"),
        primary_key=True,
    )


def _upload_key() -> Column[str]:
    return Column(
        "operation_id",
        PLAIN_TEXT,
        ForeignKey(
            "uploads.operation_id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"
        ),
        primary_key=True,
    )


uploads = Table(
    "uploads",
    metadata,
    _operation_key(),
    Column("stage", PLAIN_TEXT, nullable=False),
    Column("destination", SafeText, nullable=False),
    Column("key", SafeText, nullable=False),
    Column("upload_id", SafeText),
    Column("tar_size", BigInteger, nullable=False),
    Column("part_bytes", BigInteger, nullable=False),
    Column("options", JsonText, nullable=False),
    Column("owner", SafeText),
    Column("heartbeat_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    _upload_key(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("tar_start", BigInteger, nullable=False),
    Column("tar_end", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("md5", PLAIN_TEXT, nullable=False),
    Column("crc64nvme", PLAIN_TEXT, nullable=False),
    Column("etag", PLAIN_TEXT),
    Column("segments", LargeBinary, nullable=False),
    Column("digests", JsonText, nullable=False),
)

upload_plans = Table(
    "upload_plans", metadata, _upload_key(), Column("plan", LargeBinary, nullable=False)
)

archive_indexes = Table(
    "archive_indexes",
    metadata,
    _operation_key(),
    Column("archive_index", LargeBinary, nullable=False),
)

endpoint_checks = Table(
    "endpoint_checks",
    metadata,
    Column("endpoint", SafeText, primary_key=True),
    Column("checks", JsonText, nullable=False),
    Column("checked_at", UtcTime, nullable=False),
)
