"""Releases, approvals, audit."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the first tables."""
    when = sa.DateTime(timezone=True)
    op.create_table(
        "releases",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("warning", sa.Text),
        sa.Column("manifest", sa.JSON, nullable=False),
        sa.Column("report_digest", sa.String(64), nullable=False),
        sa.Column("against", sa.String(64)),
        sa.Column("trained_by", sa.String(255), nullable=False),
        sa.Column("created", when, nullable=False),
        sa.Column("changed", when, nullable=False),
    )
    op.create_table(
        "approvals",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("release", sa.String(64), sa.ForeignKey("releases.id"), nullable=False, index=True),
        sa.Column("report_digest", sa.String(64), nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("identity", sa.String(16), nullable=False),
        sa.Column("when", when, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("when", when, nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    """Drop them again."""
    for name in ("audit", "approvals", "releases"):
        op.drop_table(name)
