"""Alembic's entry point: runs revisions on the connection and transaction it is handed."""

from alembic import context

from haulier.catalog.schema import VERSION_TABLE
from haulier.catalog.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
