"""Links by who made them."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_shares_creator_id", "shares", ["creator_id", "share_id"])
    op.create_index("ix_upload_links_creator_id", "upload_links", ["creator_id", "link_id"])
