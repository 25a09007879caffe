"""What can be done inside one transaction of the catalog."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from haulier.catalog import journal_rows, listing, queries
from haulier.catalog.account_rows import UserRows
from haulier.catalog.audit_rows import AuditRows
from haulier.catalog.change_rows import ChangeRows
from haulier.catalog.content_key_rows import ContentKeyRows
from haulier.catalog.filters import FileFilter, OperationFilter, Page
from haulier.catalog.folder_rows import FolderRows
from haulier.catalog.grant_rows import GrantRows
from haulier.catalog.job_rows import JobRows
from haulier.catalog.journal import JournalStage, PartRow, UploadJournal
from haulier.catalog.search_rows import SearchRows
from haulier.catalog.session_rows import SessionRows
from haulier.catalog.share_rows import ShareRows
from haulier.catalog.stored_rows import StoredRows
from haulier.catalog.token_rows import TokenRows
from haulier.catalog.totals import Totals, read_totals
from haulier.catalog.upload_link_rows import UploadLinkRows
from haulier.catalog.visibility import Sight, count_visible, find_roots
from haulier.catalog.watch_rows import WatchRows
from haulier.catalog.webhook_rows import WebhookRows
from haulier.core.records import FileRecord, OperationRecord


class Tx:
    """One transaction, handed to the function given to `Catalog.transaction` or `.read`.

    Everything is synchronous, runs in that transaction and is invalid after it. Whatever
    the database refuses leaves `Catalog` as CatalogError or StorageFull.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._afterwards: list[Callable[[], None]] = []

    def after_commit(self, call: Callable[[], None]) -> None:
        """Have `call` called, in the transaction's thread, once this is committed.

        It must be quick and not fail; when the process dies first it is never called.
        """
        self._afterwards.append(call)

    def savepoint(self) -> AbstractContextManager[object]:
        """Take back, when the block raises, what was done in it; for `Catalog` alone."""
        return self._connection.begin_nested()

    def committed(self) -> None:
        """Do what was to be done after the commit; for `Catalog` alone."""
        for call in self._afterwards:
            call()

    @property
    def jobs(self) -> JobRows:
        """Work that follows from other rows."""
        return JobRows(self._connection)

    @property
    def sessions(self) -> SessionRows:
        """Upload sessions: files on their way in."""
        return SessionRows(self._connection)

    @property
    def users(self) -> UserRows:
        """Accounts of the server."""
        return UserRows(self._connection)

    @property
    def stored(self) -> StoredRows:
        """Files that users keep on the server."""
        return StoredRows(self._connection)

    @property
    def shares(self) -> ShareRows:
        """Links by which files are shared."""
        return ShareRows(self._connection)

    @property
    def upload_links(self) -> UploadLinkRows:
        """Links by which others bring files into folders."""
        return UploadLinkRows(self._connection)

    @property
    def grants(self) -> GrantRows:
        """What people let others do with these."""
        return GrantRows(self._connection)

    def sight(self, user_id: str, grantees: tuple[str, ...], *, sees_all: bool) -> Sight:
        """Return who looks, with what is granted to them now; see `haulier.files.access`."""
        roots = () if sees_all else find_roots(self._connection, grantees)
        return Sight(user_id=user_id, grantees=grantees, sees_all=sees_all, roots=roots)

    def count_visible(self, sight: Sight, most: int) -> int:
        """Return about how many files are seen and not in the trash; no more than `most`."""
        return count_visible(self._connection, sight, most)

    @property
    def audit(self) -> AuditRows:
        """The audit log."""
        return AuditRows(self._connection)

    @property
    def folders(self) -> FolderRows:
        """The folders that these lie in."""
        return FolderRows(self._connection)

    @property
    def changes(self) -> ChangeRows:
        """What changed of them."""
        return ChangeRows(self._connection)

    @property
    def search(self) -> SearchRows:
        """By what they are found."""
        return SearchRows(self._connection)

    @property
    def tokens(self) -> TokenRows:
        """Tokens of files that chats have already."""
        return TokenRows(self._connection)

    @property
    def content_keys(self) -> ContentKeyRows:
        """Keys that contents are sealed with."""
        return ContentKeyRows(self._connection)

    @property
    def webhooks(self) -> WebhookRows:
        """Addresses that are told of events."""
        return WebhookRows(self._connection)

    @property
    def watch(self) -> WatchRows:
        """What all processes count together, and queues that are too long."""
        return WatchRows(self._connection)

    def totals(self) -> Totals:
        """Return what there is in all on a server."""
        return read_totals(self._connection)

    def put_operation(self, operation: OperationRecord) -> None:
        """Insert or update `operation`; the file records of an upload are written too."""
        queries.put_operation(self._connection, operation)

    def get_operation(self, operation_id: str) -> OperationRecord | None:
        """Return the operation with exactly that id."""
        return queries.get_operations(self._connection, [operation_id]).get(operation_id)

    def resolve_operation(self, reference: str) -> OperationRecord:
        """Return the operation by its id or an unambiguous prefix of at least 6 characters.

        Raises UnknownReference when none or several match.
        """
        return queries.resolve_operation(self._connection, reference)

    def list_operations(self, wanted: OperationFilter) -> Page[OperationRecord]:
        """Return a page of operations, newest first; raises UsageError for a bad cursor."""
        return listing.list_operations(self._connection, wanted)

    def put_file(self, record: FileRecord) -> None:
        """Insert or update one file record with its tags."""
        queries.put_files(self._connection, [record])

    def put_files(self, records: Sequence[FileRecord]) -> None:
        """Insert or update many file records at once."""
        queries.put_files(self._connection, records)

    def get_file(self, file_id: str) -> FileRecord | None:
        """Return the file record with that id."""
        return queries.get_files(self._connection, [file_id]).get(file_id)

    def list_files(self, wanted: FileFilter) -> Page[FileRecord]:
        """Return a page of file records, newest first."""
        return listing.list_files(self._connection, wanted)

    def has_uploaded(self, size: int, *, is_directory: bool) -> bool:
        """Return whether a completed `local` or `completed` record of `size` bytes is there."""
        return queries.has_uploaded(self._connection, size, is_directory=is_directory)

    def find_uploaded(self, checksum: str, *, is_directory: bool, limit: int) -> list[FileRecord]:
        """Return the newest completed `local` and `completed` records with `checksum`."""
        return queries.find_uploaded(
            self._connection, checksum, is_directory=is_directory, limit=limit
        )

    def put_upload(self, journal: UploadJournal) -> None:
        """Insert or update the journal of an operation that is recorded already.

        `owner` and `heartbeat_at` are written only when the journal is new: afterwards
        only `claim_upload`, `heartbeat` and `release_upload` change the lease.
        """
        journal_rows.put_upload(self._connection, journal)

    def get_upload(self, operation_id: str) -> UploadJournal | None:
        """Return the journal of an unfinished upload."""
        return journal_rows.get_upload(self._connection, operation_id)

    def list_uploads(self, stages: Collection[JournalStage] | None = None) -> list[UploadJournal]:
        """Return unfinished uploads, oldest first, of `stages` or of all."""
        return journal_rows.list_uploads(self._connection, stages)

    def delete_upload(self, operation_id: str) -> None:
        """Forget a journal with its parts and plan; the index of the archive stays."""
        journal_rows.delete_upload(self._connection, operation_id)

    def claim_upload(
        self, operation_id: str, owner: str, now: datetime, stale_before: datetime
    ) -> bool:
        """Take the lease and return True if it is free, ours, or older than `stale_before`.

        Of several that try at once one succeeds. False when there is no such journal.
        """
        return journal_rows.claim_upload(self._connection, operation_id, owner, now, stale_before)

    def heartbeat(self, operation_id: str, owner: str, now: datetime) -> bool:
        """Renew the lease; False when it is not `owner`'s any more."""
        return journal_rows.heartbeat(self._connection, operation_id, owner, now)

    def release_upload(self, operation_id: str, owner: str) -> None:
        """Give the lease back; nothing happens when it is not `owner`'s."""
        journal_rows.release_upload(self._connection, operation_id, owner)

    def put_part(self, row: PartRow) -> None:
        """Insert or update a part of an upload."""
        journal_rows.put_part(self._connection, row)

    def get_parts(self, operation_id: str) -> list[PartRow]:
        """Return the parts of an upload, by number."""
        return journal_rows.get_parts(self._connection, operation_id)

    def mark_part_stored(self, operation_id: str, number: int, etag: str) -> None:
        """Record that the store has the part."""
        journal_rows.mark_part_stored(self._connection, operation_id, number, etag)

    def delete_parts(self, operation_id: str, from_number: int = 1) -> None:
        """Forget the parts from `from_number` on."""
        journal_rows.delete_parts(self._connection, operation_id, from_number)

    def put_plan(self, operation_id: str, blob: bytes) -> None:
        """Keep the plan of an upload that has a journal."""
        journal_rows.put_plan(self._connection, operation_id, blob)

    def get_plan(self, operation_id: str) -> bytes | None:
        """Return the plan of an unfinished upload."""
        return journal_rows.get_plan(self._connection, operation_id)

    def put_index(self, operation_id: str, blob: bytes) -> None:
        """Keep the index of an operation's archive; it outlives the journal."""
        journal_rows.put_index(self._connection, operation_id, blob)

    def get_index(self, operation_id: str) -> bytes | None:
        """Return the index of an operation's archive."""
        return journal_rows.get_index(self._connection, operation_id)

    def put_checks(self, endpoint: str, checks: dict[str, Any], now: datetime) -> None:
        """Keep what `endpoint` was found to check (the fields of `StoreChecks`)."""
        journal_rows.put_checks(self._connection, endpoint, checks, now)

    def get_checks(self, endpoint: str, newer_than: datetime) -> dict[str, Any] | None:
        """Return what `endpoint` was found to check, if that was after `newer_than`."""
        return journal_rows.get_checks(self._connection, endpoint, newer_than)
