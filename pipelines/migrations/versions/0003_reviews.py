"""Items that people compare, and their votes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables."""
    when = sa.DateTime(timezone=True)
    op.create_table(
        "review_items",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("round", sa.String(64), nullable=False, index=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("item", sa.String(255), nullable=False),
        sa.Column("group", sa.String(255), nullable=False),
        sa.Column("slice", sa.String(255), nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("reference", sa.String(16), nullable=False),
        sa.Column("left", sa.String(16), nullable=False),
        sa.Column("answers", sa.JSON, nullable=False),
        sa.Column("reviewers", sa.Integer, nullable=False),
        sa.Column("created", when, nullable=False),
    )
    op.create_table(
        "review_votes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("item", sa.String(64), sa.ForeignKey("review_items.id"), nullable=False, index=True),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("choice", sa.String(16), nullable=False),
        sa.Column("rubric", sa.JSON, nullable=False),
        sa.Column("when", when, nullable=False),
    )


def downgrade() -> None:
    """Drop them again."""
    for name in ("review_votes", "review_items"):
        op.drop_table(name)
