"""Alembic migrations of the SQL database (store.py)."""
