"""Runs the migrations on the connection that the database adapter passes in. It never opens one itself."""

from __future__ import annotations

from alembic import context

from edge_fleet.records.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    compare_type=False,
)
with context.begin_transaction():
    context.run_migrations()
