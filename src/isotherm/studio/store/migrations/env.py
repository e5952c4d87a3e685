"""How alembic reaches the database: over the connection that :mod:`isotherm.studio.store.database` gives."""

from alembic import context

from isotherm.studio.store.tables import Table

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Table.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
