"""Records with every field filled, and ids made at a chosen time."""

from datetime import UTC, datetime, timedelta

from haulier.core.records import (
    FileRecord,
    FileStatus,
    OperationRecord,
    OperationStatus,
    UploadRecord,
)

NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)
CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def file_id(number):
    """The id of a file recorded `number` seconds after noon."""
    milliseconds = int((NOON + timedelta(seconds=number)).timestamp() * 1000)
    value = (milliseconds << 80) + number
    return "".join(CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


def file(number=0, **changes):
    fields = {
        "id": file_id(number),
        "name": f"clip{number}.mp4",
        "path": f"/media/clip{number}.mp4",
        "location": "local",
        "size": 5 << 40,
        "mime_type": "video/mp4",
        "created_at": NOON,
        "modified_at": NOON + timedelta(microseconds=1),
        "accessed_at": NOON + timedelta(microseconds=2),
        "checksum": f"sha256:{number:064x}",
        "tags": {"upload_operation_id": "x", "n": str(number)},
        "status": FileStatus.COMPLETED,
    }
    return FileRecord(**fields | changes)


def operation(number=0, **changes):
    fields = {
        "operation_id": f"{number:08x}-0000-4000-8000-000000000000",
        "operation_type": "delete",
        "target_path": f"/media/clip{number}.mp4",
        "target_name": f"clip{number}.mp4",
        "started_at": NOON + timedelta(seconds=number),
        "status": OperationStatus.SUCCESS,
        "user": "ann",
    }
    return OperationRecord(**fields | changes)


def upload(number=0, **changes):
    fields = {
        "operation_id": f"{number:08x}-0000-4000-8000-000000000000",
        "operation_type": "upload",
        "target_path": f"/media/clip{number}.mp4",
        "target_name": f"clip{number}.mp4",
        "started_at": NOON + timedelta(seconds=number),
        "completed_at": NOON + timedelta(seconds=number + 9),
        "duration_seconds": 9.25,
        "status": OperationStatus.SUCCESS,
        "result_path": "s3://media/clip.tar.gz",
        "error_message": "none, really",
        "metadata": {"original_size": 5 << 40, "nested": {"list": [1, None, "é"]}},
        "user": "ann",
        "command_args": ["upload", "--json", "clip.mp4"],
        "compression_type": "gzip",
        "original_size": 5 << 40,
        "compressed_size": 4 << 40,
        "compression_ratio": 1.25,
        "s3_bucket": "media",
        "s3_object_key": "clip.tar.gz",
        "s3_storage_class": "STANDARD",
        "checksum_original": "sha256:00",
        "checksum_compressed": "crc64nvme:00",
        "checksum_s3_etag": "00-2",
        "completed_dir_path": "/media/completed",
        "compressed_file_path": "/media/clip.tar.gz",
        "source_file_record": file(number * 10),
        "compressed_file_record": file(number * 10 + 1, status=FileStatus.DELETED),
        "s3_file_record": file(number * 10 + 2, location="s3", path=f"clip{number}.tar.gz"),
        "completed_file_record": file(number * 10 + 3, location="completed"),
    }
    return UploadRecord(**fields | changes)
