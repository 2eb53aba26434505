"""Findings that a scan of a release added, beside those of its own red team."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Say of each finding which scan found it; of those until now none."""
    op.add_column("findings", sa.Column("scan", sa.String(64)))


def downgrade() -> None:
    """Drop that again."""
    op.drop_column("findings", "scan")
