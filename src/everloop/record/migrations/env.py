"""How Alembic runs our migrations: on the connection it is given, inside its transaction."""

from alembic import context

from everloop.record.tables import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
