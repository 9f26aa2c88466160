"""The record's format: made, compared, brought up to date."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from everloop.record.database_faults import Address
from everloop.record.faults import RecordTooNew
from everloop.record.tables import METADATA, REVISIONS, VERSION_TABLE

MIGRATIONS = Path(__file__).parent / "migrations"

_LOCK = 0x65766C6F  # "evlo": the number of the advisory lock under which PostgreSQL's format changes


def bring_up_to_date(engine: sa.Engine, address: Address) -> None:
    """Makes the tables where there are none, or migrates an older format; usually one query.

    Raises:
        RecordTooNew: When the format is one that this version does not know.
    """
    with engine.connect() as connection:
        if _stored(connection) == REVISIONS[-1]:
            return
    with engine.connect() as connection:
        writing = connection.execution_options(everloop_writes=True)
        with writing.begin():
            if engine.dialect.name == "postgresql":
                writing.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            _change(writing, _stored(writing), address)


def _change(connection: sa.Connection, stored: str | None, address: Address) -> None:
    if stored == REVISIONS[-1]:  # another process was faster
        return
    if stored is None:
        METADATA.create_all(connection, checkfirst=False)
        version = sa.Table(
            VERSION_TABLE, sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True)
        )
        version.create(connection)
        connection.execute(sa.insert(version), {"version_num": REVISIONS[-1]})
    elif stored in REVISIONS:
        migrate(connection)
    else:
        raise RecordTooNew(
            f"The record {address.place} has the format {stored!r}, which a newer Everloop wrote; "
            f"this one knows formats up to {REVISIONS[-1]!r}.",
            hint="pip install --upgrade everloop",
        )


def migrate(connection: sa.Connection, to: str = "head") -> None:
    """Runs the migrations on an open connection, inside its transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _stored(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).first()  # noqa: S608
    return None if found is None else str(found[0])
