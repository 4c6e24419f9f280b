"""Alembic's entry: runs inside the connection and for the store that `telerehab.db.migrate` hands in."""

from alembic import context
from sqlalchemy.sql.schema import SchemaItem

from telerehab.db.migrate import version_table
from telerehab.db.tables import Table

connection = context.config.attributes["connection"]
store: str = context.config.attributes["store"]


def is_of_this_store(
    item: SchemaItem, name: str | None, kind: str, is_reflected: bool, compared_to: SchemaItem | None
) -> bool:
    """Return whether Alembic shall look at a table: not at those of the other store, nor at version tables."""
    if kind != "table":
        return True
    if name is not None and name.startswith("alembic_version"):
        return False
    known = Table.metadata.tables.get(name or "")
    return known is None or known.info["store"] == store


context.configure(
    connection=connection,
    target_metadata=Table.metadata,
    include_object=is_of_this_store,
    version_table=version_table(store),
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations(store=store)
