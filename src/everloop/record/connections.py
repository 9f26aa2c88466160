"""Connections to the databases that can hold a record."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from everloop.core.extras import require

_POOL = {"pool_size": 5, "max_overflow": 20}


def sqlite_engine(path: Path, wait: float, *, durable: bool = True) -> sa.Engine:
    """Makes the engine for a SQLite file: write-ahead log, every commit on the disk.

    Args:
        path: The file; its folder must exist.
        wait: How long a statement waits for another process, in seconds.
        durable: Whether commits wait for the disk.
    """
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": wait, "check_same_thread": False},
        poolclass=QueuePool,
        pool_timeout=wait,
        **_POOL,
    )

    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not guessed by the driver
        _write_ahead(connection, wait)
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
        connection.execute("PRAGMA foreign_keys=ON")

    def begin(connection: sa.Connection) -> None:
        # A writer takes its lock at once: a lock that is raised later may fail without waiting.
        writes = connection.get_execution_options().get("everloop_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    sa.event.listen(engine, "connect", prepare)
    sa.event.listen(engine, "begin", begin)
    return engine


def postgresql_engine(url: sa.URL, wait: float) -> sa.Engine:
    """Makes the engine for a PostgreSQL database.

    Args:
        url: The address as the user wrote it.
        wait: How long a statement waits for another one's lock, in seconds.

    Raises:
        MissingExtra: When the driver is not installed.
    """
    require("psycopg", extra="postgresql")
    options = f"-c lock_timeout={round(wait * 1000)} -c timezone=UTC"
    return sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={"connect_timeout": max(2, round(wait)), "options": options},
        pool_pre_ping=True,
        pool_timeout=wait,
        **_POOL,
    )


def _write_ahead(connection: Any, wait: float) -> None:
    """Turns the write-ahead log on; SQLite does not wait by itself when two processes do it at once."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    start = time.perf_counter()
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except connection.OperationalError as error:
            busy = str(getattr(error, "sqlite_errorname", "")).startswith("SQLITE_BUSY")
            if not busy or time.perf_counter() - start > wait:
                raise
            time.sleep(0.01)
        else:
            return
