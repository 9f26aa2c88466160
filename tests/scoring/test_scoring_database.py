"""Batch scoring from a database and into one: a table appears with all its rows, or not at all."""

import numpy as np
import polars as pl
import pytest
import sqlalchemy

from everloop.cli import main
from everloop.core.errors import SourceUnreachable, UsageFault
from everloop.data import database_table
from everloop.loop.scoring import DatabaseRows, DatabaseTable, FileRows, score_rows


@pytest.fixture
def database(home, asked):
    """A database with the rows, and what asks it."""
    engine = sqlalchemy.create_engine(f"sqlite:///{home / 'loans.db'}", poolclass=sqlalchemy.pool.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE loans (id INTEGER, amount REAL, region TEXT)"))
        connection.execute(
            sqlalchemy.text("INSERT INTO loans VALUES (:id, :amount, :region)"), asked.to_dicts()
        )
    return engine


def rows_of(engine, query):
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sqlalchemy.text(query))]


def test_from_a_table_into_a_table(package, asked, home, database, monkeypatch, capsys):
    monkeypatch.chdir(home)
    monkeypatch.setenv("LOANS", "sqlite:///loans.db")
    words = ["predict", "loans", "--from", "env:LOANS", "-o", "scored", "--to", "env:LOANS"]
    words += ["--package", str(package.folder)]
    assert main(words) == 0
    found = rows_of(database, "SELECT id, amount, region, prediction, score FROM scored ORDER BY id")
    assert [row[:3] for row in found] == asked.rows()
    scores = package.scores(asked)[:, 0]
    np.testing.assert_allclose([row[4] for row in found], scores, rtol=1e-12)
    assert [row[3] for row in found] == package.predict(asked).tolist()
    assert not list(home.glob(".*"))

    capsys.readouterr()
    assert main(words) == 2
    assert "has a table scored already" in capsys.readouterr().err
    assert main([*words, "--replace", "--keep", "id"]) == 0
    assert len(rows_of(database, "SELECT * FROM scored")[0]) == 3


def test_a_query_into_a_file(package, asked, home, database):
    rows = DatabaseRows("select * from loans where region = 'north' order by id", "sqlite:///loans.db", home)
    count = score_rows(package, rows, home / "scored.csv")
    north = asked.filter(pl.col("region") == "north")
    assert count == north.height
    assert pl.read_csv(home / "scored.csv")["id"].to_list() == north["id"].to_list()


def test_rows_of_a_query_stay_what_they_were_when_it_was_stopped(package, asked, home, database):
    rows = DatabaseRows("loans", "sqlite:///loans.db", home)

    def stop(event):
        if "500 of" in event.message:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_rows(package, rows, home / "scored.parquet", part_rows=500, progress=stop)
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("DELETE FROM loans WHERE id > 100"))
    assert score_rows(package, rows, home / "scored.parquet", part_rows=500) == asked.height


def test_a_table_that_is_refused_in_the_middle_is_not_there(package, home, database, monkeypatch):
    monkeypatch.setattr(database_table, "BATCH_ROWS", 1_000)
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE old (a INTEGER)"))
    given = sqlalchemy.Connection.execute
    calls = []

    def failing(own, statement, *more, **named):
        if str(statement).startswith("INSERT"):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
        return given(own, statement, *more, **named)

    monkeypatch.setattr(sqlalchemy.Connection, "execute", failing)
    table = DatabaseTable("old", "sqlite:///loans.db", replace=True, folder=home)
    with pytest.raises(KeyboardInterrupt):
        score_rows(package, FileRows(home / "rows.csv"), table)
    monkeypatch.undo()
    assert rows_of(database, "SELECT * FROM old") == []
    assert [row[1] for row in rows_of(database, "PRAGMA table_info(old)")] == ["a"]
    assert score_rows(package, FileRows(home / "rows.csv"), table) == 5_000
    assert rows_of(database, "SELECT count(*), count(DISTINCT id) FROM old") == [(5_000, 5_000)]


def test_what_is_wrong_is_told_before_anything_is_scored(package, home):
    with pytest.raises(SourceUnreachable, match="is not there"):
        score_rows(package, FileRows(home / "rows.csv"), DatabaseTable("x", "sqlite:///none.db", folder=home))
    with pytest.raises(UsageFault, match="address without a password") as refused:
        score_rows(package, DatabaseRows("loans", "postgresql://me:hunter2@host/db"), home / "x.csv")
    assert "hunter2" not in str(refused.value)
