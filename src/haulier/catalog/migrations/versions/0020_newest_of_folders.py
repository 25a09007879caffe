"""The newest files of a folder."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_stored_files_folder_newest", "stored_files", ["owner_id", "folder", "file_id"]
    )
