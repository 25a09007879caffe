"""What uploads that go to S3 have to remember."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column

from haulier.catalog.types import PLAIN_TEXT, SafeText

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("upload_sessions", Column("upload_id", SafeText))
    op.add_column("upload_sessions", Column("tail", PLAIN_TEXT))
    op.add_column("upload_chunks", Column("etag", SafeText))
