"""Batch scoring from PostgreSQL and into it: all rows in one transaction, whatever is killed."""
# ruff: noqa: D103, E501, INP001, S101, S603, S608

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import psycopg
import pytest

from everloop.cli import main
from everloop.core.errors import SourceUnreachable
from everloop.loop.scoring import DatabaseRows, DatabaseTable, score_rows
from everloop.model import search
from everloop.runtime import Package
from everloop.testing.postgres import PostgresServer

ROWS = 3_000


@pytest.fixture(scope="module")
def url():
    with PostgresServer(fsync="off") as server:
        made = server.new_database()
        with psycopg.connect(made, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE loans AS SELECT id, CASE WHEN id % 10 > 0 THEN (id * 7919 % 1000)::numeric(12, 2) END AS amount,"
                " (ARRAY['north', 'south', NULL])[id % 3 + 1] AS region, id % 2 = 0 AS known,"
                " timestamptz '2024-01-01 00:00+05' + id * interval '1 minute' AS asked_at,"
                f" date '2024-01-01' + id % 300 AS day FROM generate_series(0, {ROWS - 1}) AS id"
            )
        yield made


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    random = np.random.default_rng(0)
    amount = random.uniform(0, 1000, 400)
    region = random.choice(["north", "south"], 400)
    actual = np.where(amount / 500 + (region == "north") + random.normal(size=400) > 1.5, "yes", "no")
    table = pl.DataFrame({"amount": amount, "region": region, "y": actual})
    folder = tmp_path_factory.mktemp("scoring") / "package"
    search(table, target="y", learners=["linear"], budget={"trials": 1}).package(folder, sample=table)
    return Package(folder)


def asked(url, query):
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_every_row_and_type_comes_back_with_its_score(url, package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOANS", url)
    words = ["predict", "loans", "--from", "env:LOANS", "-o", "scored", "--to", "env:LOANS"]
    assert main([*words, "--package", str(package.folder)]) == 0
    same = "id, amount, region, known, asked_at, day::timestamp"  # a source gives a day as a time
    assert asked(url, f"SELECT {same} FROM scored ORDER BY id") == asked(
        url, f"SELECT {same} FROM loans ORDER BY id"
    )
    rows = asked(url, "SELECT amount::float8, region, prediction, score FROM scored ORDER BY id")
    table = pl.DataFrame([row[:2] for row in rows], schema=["amount", "region"], orient="row")
    np.testing.assert_allclose([row[3] for row in rows], package.scores(table)[:, 0], rtol=1e-12)
    assert [row[2] for row in rows] == package.predict(table).tolist()
    assert main([*words, "--package", str(package.folder)]) == 2
    assert asked(url, "SELECT count(*) FROM scored") == [(ROWS,)]


CHILD = """
import sys
from everloop.data import database_table
from everloop.loop.scoring import DatabaseRows, DatabaseTable, score_rows
from everloop.runtime import Package

database_table.BATCH_ROWS = 50
url = sys.argv[2]
rows = DatabaseRows("select * from loans order by id", url)
score_rows(Package(sys.argv[1]), rows, DatabaseTable("killed", url), part_rows=300, progress=lambda event: print(event.message, flush=True))
"""


def test_killed_while_it_is_filled_the_table_is_not_there(url, package, tmp_path):
    command = [sys.executable, "-c", CHILD, str(package.folder), url]
    for pause in (0.0, 0.05, 0.1):
        child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        while "3,000 of" not in (child.stdout.readline() or "3,000 of"):
            pass
        time.sleep(pause)
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=60)
        there = asked(url, "SELECT to_regclass('killed') IS NOT NULL")[0][0]
        if there:  # it was done before the signal came
            break
    else:
        subprocess.run(
            command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL, timeout=120, env=os.environ
        )
    assert asked(url, "SELECT count(*), count(DISTINCT id) FROM killed") == [(ROWS, ROWS)]


def test_a_database_that_does_not_answer_is_told_without_its_password(package, tmp_path, monkeypatch):
    monkeypatch.setenv("GONE", "postgresql://me:geheim-77@127.0.0.1:1/none")
    for rows, table in (
        (DatabaseRows("loans", "env:GONE"), tmp_path / "scored.csv"),
        (DatabaseRows("loans", "env:GONE"), DatabaseTable("scored", "env:GONE", folder=tmp_path)),
    ):
        with pytest.raises(SourceUnreachable) as told:
            score_rows(package, rows, table)
        assert "geheim-77" not in str(told.value)
