"""Alembic's way in. The connection, its transaction and its lock are the caller's: see infra.storage.database."""

from alembic import context

from schemas.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
