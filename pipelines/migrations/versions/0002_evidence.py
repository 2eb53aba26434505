"""Evidence that a release policy may ask for, and the webhook deliveries that were taken.

Releases that were registered before get the two kinds that their own parts hold; when these were measured was not
written down then, so that their date is the registration's.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
PARTS = {"evaluation": "report", "red_team": "redteam"}


def upgrade() -> None:
    """Create the tables and fill in what earlier releases hold."""
    when = sa.DateTime(timezone=True)
    evidence = op.create_table(
        "evidence",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("release", sa.String(64), sa.ForeignKey("releases.id"), nullable=False, index=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("when", when, nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("when", when, nullable=False),
    )
    releases = sa.table(
        "releases", sa.column("id"), sa.column("manifest", sa.JSON), sa.column("trained_by"), sa.column("created", when)
    )
    rows = [
        {
            "release": row.id,
            "kind": kind,
            "digest": row.manifest["objects"][part],
            "name": part,
            "who": row.trained_by,
            "when": row.created,
            "summary": {},
        }
        for row in op.get_bind().execute(sa.select(releases))
        for kind, part in PARTS.items()
        if part in row.manifest["objects"]
    ]
    op.bulk_insert(evidence, rows)


def downgrade() -> None:
    """Drop them again."""
    for name in ("deliveries", "evidence"):
        op.drop_table(name)
