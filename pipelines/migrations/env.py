"""Alembic's entry: migrations run on the connection that store.py hands over."""

from alembic import context

from pipelines.store import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata)
context.run_migrations()
