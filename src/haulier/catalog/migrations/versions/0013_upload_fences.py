"""Upload sessions know the newest lock under which they were claimed."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "upload_sessions", Column("fence", BigInteger, nullable=False, server_default="0")
    )
