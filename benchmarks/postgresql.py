"""A PostgreSQL table as a snapshot, beside the same query read into memory by ADBC and nothing more."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import Figure, Options, Report
from benchmarks.timing import interleave, timed
from everloop import data
from everloop.spec import LifecycleSpec, parse
from everloop.testing.postgres import PostgresServer, programs

LATER = datetime(2100, 1, 1, tzinfo=UTC)
# Ten columns: keys, numbers, decimals, texts of few and of many values, booleans, times.
TABLE = """
create table rows as select
  g::bigint as id, (g % 1000) / 7.0::double precision as amount, g * 0.37::double precision as balance,
  'customer ' || g % 5000 as customer, md5(g::text) as note, g % 3 = 0 as paid,
  timestamptz '2013-01-01' + g * interval '1 second' as at, (g % 77)::int as branch,
  case when g % 5 = 0 then null else g * 1.5::double precision end as limit_left,
  (g % 100000)::numeric(12, 2) as price
from generate_series(1, {rows}) g
"""


def run(options: Options) -> Report:
    """Reads the table both ways in turns; the snapshot is typed, sorted, digested and durable."""
    if programs() is None:
        return Report((), ("PostgreSQL's server is not installed: apt-get install postgresql",))
    import psycopg

    rows = 50_000 if options.quick else 1_000_000
    with PostgresServer(fsync="off") as server, tempfile.TemporaryDirectory() as name:
        url = server.new_database()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(TABLE.format(rows=rows))
            connection.execute("vacuum analyze rows")
        works = {"snapshot": snapshot(Path(name), url, rows), "bare": lambda: bare(url, rows)}
        took = interleave({label: timed(work) for label, work in works.items()}, 3 if options.quick else 7)
    seconds = Figure(
        f"snapshot of {rows:,} x 10",
        **took["snapshot"].scaled(1),
        unit="s",
        beside="ADBC read into memory",
        other=took["bare"].median,
    )
    share = Figure(
        "throughput as a share of the bare read",
        took["bare"].median / took["snapshot"].median,
        "",
        goal="" if options.quick else ">= 0.5",
    )
    return Report((seconds, share))


def snapshot(folder: Path, url: str, rows: int) -> Callable[[], None]:
    """Gives work that takes a whole new snapshot: nothing of the last one is known to it."""
    file = (
        "name: loans\nproblem: {target: paid, time: at}\ndata: {sources: {rows: {sql: rows, url: 'URL'}}}\n"
    )
    spec: LifecycleSpec = parse(file.replace("URL", url), folder)

    def work() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            taken = data.snapshot(spec, place, LATER)
            if taken.rows != rows:
                raise RuntimeError(f"{taken.rows} rows were taken of {rows}")

    return work


def bare(url: str, rows: int) -> None:
    """Reads all batches, and keeps none."""
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("select * from rows")
        read = sum(batch.num_rows for batch in cursor.fetch_record_batch())
    if read != rows:
        raise RuntimeError(f"{read} rows were read of {rows}")
