"""Alembic's entry point: runs on the connection that the store hands over, never on one of its own."""

from __future__ import annotations

from alembic import context

from analysis.history.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
