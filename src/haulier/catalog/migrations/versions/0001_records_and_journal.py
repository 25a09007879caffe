"""The first schema: file records, operations, and the journal of uploads."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Connection,
    Float,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    UniqueConstraint,
    column,
    insert,
    table,
)
from sqlalchemy.exc import DBAPIError

from haulier.catalog.types import BIG_KEY, PLAIN_TEXT, JsonText, SafeText, TextHead, UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_files()
    _create_file_tags()
    _create_operations()
    _create_journal()
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        _index_name_trigrams()
        _describe_usual_contents(connection)
    else:
        _index_name_trigrams_if_allowed(connection)


def _create_files() -> None:
    op.create_table(
        "files",
        Column("number", BIG_KEY, nullable=False),
        Column("block", BigInteger(), Computed("number / 2048", persisted=True), nullable=False),
        Column("id", PLAIN_TEXT, nullable=False),
        Column("name", SafeText, nullable=False),
        Column("path", SafeText, nullable=False),
        Column("path_head", TextHead, nullable=False),
        Column("location", PLAIN_TEXT, nullable=False),
        Column("size", BigInteger(), nullable=False),
        Column("is_directory", Boolean(), nullable=False),
        Column("mime_type", SafeText),
        Column("created_at", UtcTime),
        Column("modified_at", UtcTime),
        Column("accessed_at", UtcTime),
        Column("checksum", PLAIN_TEXT),
        Column("status", PLAIN_TEXT, nullable=False),
        Column("error_message", SafeText),
        PrimaryKeyConstraint("number", name="pk_files"),
        UniqueConstraint("id", name="uq_files_id"),
    )
    op.create_index(
        "ix_files_checksum", "files", ["checksum", "id", "location", "status", "is_directory"]
    )
    op.create_index("ix_files_is_directory", "files", ["is_directory", "id"])
    op.create_index(
        "ix_files_block", "files", ["block", "id", "location", "status", "is_directory", "name"]
    )
    op.create_index(
        "ix_files_location", "files", ["location", "id", "is_directory", "status", "name"]
    )
    op.create_index(
        "ix_files_location_status", "files", ["location", "status", "id", "is_directory", "name"]
    )
    op.create_index("ix_files_name", "files", ["name", "id", "location", "status", "is_directory"])
    op.create_index(
        "ix_files_path", "files", ["path_head", "id", "location", "status", "is_directory"]
    )
    op.create_index("ix_files_size", "files", ["size", "status", "location", "is_directory"])
    op.create_index("ix_files_status", "files", ["status", "id", "is_directory", "name"])
    op.create_table(
        "file_blocks",
        Column("term", BigInteger(), autoincrement=False, nullable=False),
        Column("block", BigInteger(), autoincrement=False, nullable=False),
        PrimaryKeyConstraint("term", "block", name="pk_file_blocks"),
        sqlite_with_rowid=False,
    )


def _create_file_tags() -> None:
    op.create_table(
        "file_tags",
        Column("file_id", PLAIN_TEXT, nullable=False),
        Column("key", SafeText, nullable=False),
        Column("value", SafeText, nullable=False),
        Column("value_head", TextHead, nullable=False),
        Column("location", PLAIN_TEXT, nullable=False),
        Column("status", PLAIN_TEXT, nullable=False),
        Column("is_directory", Boolean(), nullable=False),
        ForeignKeyConstraint(
            ["file_id"],
            ["files.id"],
            name="fk_file_tags_file_id",
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        PrimaryKeyConstraint("file_id", "key", name="pk_file_tags"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_file_tags_key", "file_tags", ["key", "file_id", "location", "status", "is_directory"]
    )
    op.create_index(
        "ix_file_tags_value",
        "file_tags",
        ["key", "value_head", "file_id", "location", "status", "is_directory"],
    )


def _create_operations() -> None:
    op.create_table(
        "operations",
        Column("operation_id", PLAIN_TEXT, nullable=False),
        Column("operation_type", PLAIN_TEXT, nullable=False),
        Column("target_path", SafeText, nullable=False),
        Column("target_name", SafeText, nullable=False),
        Column("started_at", UtcTime, nullable=False),
        Column("completed_at", UtcTime),
        Column("duration_seconds", Float()),
        Column("status", PLAIN_TEXT, nullable=False),
        Column("result_path", SafeText),
        Column("error_message", SafeText),
        Column("metadata", JsonText, nullable=False),
        Column("user", SafeText),
        Column("command_args", JsonText, nullable=False),
        Column("is_upload", Boolean(), nullable=False),
        Column("location", PLAIN_TEXT),
        Column("compression_type", PLAIN_TEXT),
        Column("original_size", BigInteger()),
        Column("compressed_size", BigInteger()),
        Column("compression_ratio", Float()),
        Column("s3_bucket", SafeText),
        Column("s3_object_key", SafeText),
        Column("s3_storage_class", PLAIN_TEXT),
        Column("checksum_original", PLAIN_TEXT),
        Column("checksum_compressed", PLAIN_TEXT),
        Column("checksum_s3_etag", PLAIN_TEXT),
        Column("completed_dir_path", SafeText),
        Column("compressed_file_path", SafeText),
        Column("source_file_id", PLAIN_TEXT),
        Column("compressed_file_id", PLAIN_TEXT),
        Column("s3_file_id", PLAIN_TEXT),
        Column("completed_file_id", PLAIN_TEXT),
        ForeignKeyConstraint(
            ["completed_file_id"],
            ["files.id"],
            name="fk_operations_completed_file_id",
            initially="DEFERRED",
            deferrable=True,
        ),
        ForeignKeyConstraint(
            ["compressed_file_id"],
            ["files.id"],
            name="fk_operations_compressed_file_id",
            initially="DEFERRED",
            deferrable=True,
        ),
        ForeignKeyConstraint(
            ["s3_file_id"],
            ["files.id"],
            name="fk_operations_s3_file_id",
            initially="DEFERRED",
            deferrable=True,
        ),
        ForeignKeyConstraint(
            ["source_file_id"],
            ["files.id"],
            name="fk_operations_source_file_id",
            initially="DEFERRED",
            deferrable=True,
        ),
        PrimaryKeyConstraint("operation_id", name="pk_operations"),
    )
    op.create_index("ix_operations_completed_file_id", "operations", ["completed_file_id"])
    op.create_index("ix_operations_compressed_file_id", "operations", ["compressed_file_id"])
    op.create_index("ix_operations_s3_file_id", "operations", ["s3_file_id"])
    op.create_index("ix_operations_source_file_id", "operations", ["source_file_id"])
    op.create_index(
        "ix_operations_started_at",
        "operations",
        [
            "started_at",
            "operation_id",
            "status",
            "operation_type",
            "location",
            "user",
            "target_name",
        ],
    )
    op.create_index("ix_operations_status", "operations", ["status", "started_at", "operation_id"])
    op.create_index(
        "ix_operations_target_name", "operations", ["target_name", "started_at", "operation_id"]
    )


def _create_journal() -> None:
    op.create_table(
        "uploads",
        Column("operation_id", PLAIN_TEXT, nullable=False),
        Column("stage", PLAIN_TEXT, nullable=False),
        Column("destination", SafeText, nullable=False),
        Column("key", SafeText, nullable=False),
        Column("upload_id", SafeText),
        Column("tar_size", BigInteger(), nullable=False),
        Column("part_bytes", BigInteger(), nullable=False),
        Column("options", JsonText, nullable=False),
        Column("owner", SafeText),
        Column("heartbeat_at", UtcTime),
        Column("created_at", UtcTime, nullable=False),
        ForeignKeyConstraint(
            ["operation_id"],
            ["operations.operation_id"],
            name="fk_uploads_operation_id",
            initially="DEFERRED",
            deferrable=True,
        ),
        PrimaryKeyConstraint("operation_id", name="pk_uploads"),
    )
    op.create_table(
        "upload_parts",
        Column("operation_id", PLAIN_TEXT, nullable=False),
        Column("number", Integer(), autoincrement=False, nullable=False),
        Column("tar_start", BigInteger(), nullable=False),
        Column("tar_end", BigInteger(), nullable=False),
        Column("offset", BigInteger(), nullable=False),
        Column("size_bytes", BigInteger(), nullable=False),
        Column("md5", PLAIN_TEXT, nullable=False),
        Column("crc64nvme", PLAIN_TEXT, nullable=False),
        Column("etag", PLAIN_TEXT),
        Column("segments", LargeBinary(), nullable=False),
        Column("digests", JsonText, nullable=False),
        ForeignKeyConstraint(
            ["operation_id"],
            ["uploads.operation_id"],
            name="fk_upload_parts_operation_id",
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        PrimaryKeyConstraint("operation_id", "number", name="pk_upload_parts"),
    )
    op.create_table(
        "upload_plans",
        Column("operation_id", PLAIN_TEXT, nullable=False),
        Column("plan", LargeBinary(), nullable=False),
        ForeignKeyConstraint(
            ["operation_id"],
            ["uploads.operation_id"],
            name="fk_upload_plans_operation_id",
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        PrimaryKeyConstraint("operation_id", name="pk_upload_plans"),
    )
    op.create_table(
        "archive_indexes",
        Column("operation_id", PLAIN_TEXT, nullable=False),
        Column("archive_index", LargeBinary(), nullable=False),
        ForeignKeyConstraint(
            ["operation_id"],
            ["operations.operation_id"],
            name="fk_archive_indexes_operation_id",
            initially="DEFERRED",
            deferrable=True,
        ),
        PrimaryKeyConstraint("operation_id", name="pk_archive_indexes"),
    )
    op.create_table(
        "endpoint_checks",
        Column("endpoint", SafeText, nullable=False),
        Column("checks", JsonText, nullable=False),
        Column("checked_at", UtcTime, nullable=False),
        PrimaryKeyConstraint("endpoint", name="pk_endpoint_checks"),
    )


def _index_name_trigrams() -> None:
    op.execute(
        "CREATE VIRTUAL TABLE file_names USING fts5(name, content='files',"
        " content_rowid='number', tokenize='trigram case_sensitive 1', detail='none',"
        " columnsize=0)"
    )
    op.execute(
        "CREATE TRIGGER file_names_insert AFTER INSERT ON files BEGIN"
        " INSERT INTO file_names(rowid, name) VALUES (new.number, new.name); END"
    )
    op.execute(
        "CREATE TRIGGER file_names_delete AFTER DELETE ON files BEGIN"
        " INSERT INTO file_names(file_names, rowid, name)"
        " VALUES ('delete', old.number, old.name); END"
    )
    op.execute(
        "CREATE TRIGGER file_names_update AFTER UPDATE OF name ON files"
        " WHEN old.name <> new.name BEGIN"
        " INSERT INTO file_names(file_names, rowid, name)"
        " VALUES ('delete', old.number, old.name);"
        " INSERT INTO file_names(rowid, name) VALUES (new.number, new.name); END"
    )


# What ANALYZE would find in a big catalog: rows, then rows per distinct value of the first
# column, of the first two, and so on. Given once, plans are good from the first record on
# and never change with the contents.
_USUAL_CONTENTS = (
    ("files", "sqlite_autoindex_files_1", "1000000 1"),
    ("files", "ix_files_block", "1000000 2048 1 1 1 1 1"),
    ("files", "ix_files_location", "1000000 250000 1 1 1 1"),
    ("files", "ix_files_status", "1000000 200000 1 1 1"),
    ("files", "ix_files_location_status", "1000000 250000 50000 1 1 1"),
    ("files", "ix_files_is_directory", "1000000 500000 1"),
    ("files", "ix_files_name", "1000000 4 1 1 1 1"),
    ("files", "ix_files_path", "1000000 2 1 1 1 1"),
    ("files", "ix_files_checksum", "1000000 3 1 1 1 1"),
    ("files", "ix_files_size", "1000000 4 3 2 2"),
    ("file_blocks", "file_blocks", "1000000 10 1"),  # its primary key
    ("file_tags", "file_tags", "2500000 3 1"),  # likewise
    ("file_tags", "ix_file_tags_key", "2500000 250000 1 1 1 1"),
    ("file_tags", "ix_file_tags_value", "2500000 250000 10 1 1 1 1"),
    ("operations", "sqlite_autoindex_operations_1", "200000 1"),
    ("operations", "ix_operations_started_at", "200000 1 1 1 1 1 1 1"),
    ("operations", "ix_operations_status", "200000 40000 1 1"),
    ("operations", "ix_operations_target_name", "200000 2 1 1"),
    ("operations", "ix_operations_source_file_id", "200000 1"),
    ("operations", "ix_operations_compressed_file_id", "200000 1"),
    ("operations", "ix_operations_s3_file_id", "200000 1"),
    ("operations", "ix_operations_completed_file_id", "200000 1"),
)


def _describe_usual_contents(connection: Connection) -> None:
    op.execute("ANALYZE files")
    statistics = table("sqlite_stat1", column("tbl"), column("idx"), column("stat"))
    rows = [{"tbl": name, "idx": index, "stat": stat} for name, index, stat in _USUAL_CONTENTS]
    connection.execute(insert(statistics), rows)


def _index_name_trigrams_if_allowed(connection: Connection) -> None:
    """Without the extension only globs that begin with a wildcard are slower."""
    try:
        with connection.begin_nested():
            op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DBAPIError:
        return
    op.create_index(
        "ix_files_name_trigrams",
        "files",
        ["name"],
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
