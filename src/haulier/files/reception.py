"""What becomes of uploads: quota set aside while they run, a stored file when they are whole."""

from __future__ import annotations

from haulier.catalog.transaction import Tx
from haulier.core.accounts import StoredFile
from haulier.core.records import utc_now
from haulier.core.sessions.session import Order, UploadSession, WholeFile
from haulier.errors import QuotaExceeded


class Reception:
    """The session engine's hooks: quota and stored files, in the engine's transactions."""

    def started(self, tx: Tx, session: UploadSession) -> None:
        """Set the announced size aside."""
        self.grew(tx, session, session.size_bytes or 0)

    def grew(self, tx: Tx, session: UploadSession, size_bytes: int) -> None:
        """Set more aside.

        Raises:
            QuotaExceeded: it does not fit into what is left.
        """
        if not tx.users.reserve(session.owner_id, size_bytes):
            raise QuotaExceeded(f"{session.name} does not fit into what is left of your quota")

    def completed(self, tx: Tx, session: UploadSession, whole: WholeFile) -> None:
        """Record the file, and count it where it was set aside before."""
        assert session.file_id is not None
        now = utc_now()
        tx.users.release(session.owner_id, whole.size_bytes, whole.size_bytes)
        tx.stored.put(
            StoredFile(
                file_id=session.file_id,
                owner_id=session.owner_id,
                name=session.name,
                folder=session.folder or "",
                size_bytes=whole.size_bytes,
                mime_type=session.mime_type,
                crc64nvme=f"{whole.crc64nvme:016x}",
                crc32=f"{whole.crc32:08x}",
                sha256=_sha256_of(session),
                tags=session.tags,
                created_at=now,
                modified_at=now,
            )
        )

    def ended(self, tx: Tx, session: UploadSession) -> None:
        """Give back what was set aside."""
        reserved = session.size_bytes
        if reserved is None and session.order is Order.SEQUENTIAL:
            reserved = session.offset
        elif reserved is None:
            chunks = tx.sessions.chunks(session.session_id).values()
            reserved = sum(one.span.length for one in chunks)
        tx.users.release(session.owner_id, reserved)


def _sha256_of(session: UploadSession) -> str | None:
    # A file is only completed when the checksum its client named was found right.
    algorithm, _, digest = (session.wanted_checksum or "").partition(":")
    return digest if algorithm == "sha256" else None
