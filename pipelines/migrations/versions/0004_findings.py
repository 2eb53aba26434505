"""Attacks that got through in a release's red team, and who waives them.

Releases that were registered before get their findings when somebody decides on them (release/findings.py).
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables."""
    when = sa.DateTime(timezone=True)
    op.create_table(
        "findings",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("release", sa.String(64), sa.ForeignKey("releases.id"), nullable=False, index=True),
        sa.Column("finding", sa.String(64), nullable=False, index=True),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
        sa.UniqueConstraint("release", "finding"),
    )
    op.create_table(
        "waivers",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("finding", sa.String(64), nullable=False, index=True),
        sa.Column("release", sa.String(64), sa.ForeignKey("releases.id"), index=True),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("identity", sa.String(16), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("expires", sa.Date),
        sa.Column("when", when, nullable=False),
    )


def downgrade() -> None:
    """Drop them again."""
    for name in ("waivers", "findings"):
        op.drop_table(name)
