"""The history of the tables, one set for SQLite and PostgreSQL. `infra.storage.database.migrate` runs it."""
