"""A small package and the rows that it is asked about."""

import numpy as np
import polars as pl
import pytest

from everloop.model import search
from everloop.runtime import Package

ROWS = 5_000


def made(rows, seed):
    random = np.random.default_rng(seed)
    amount = random.gamma(2.0, 100.0, rows)
    region = random.choice(["north", "south", "east"], rows)
    odds = amount / 100 + (region == "north") - 2
    return pl.DataFrame(
        {
            "id": np.arange(rows),
            "amount": np.where(random.random(rows) < 0.1, np.nan, amount),
            "region": region,
            "y": np.where(random.random(rows) < 1 / (1 + np.exp(-odds)), "yes", "no"),
        },
        nan_to_null=True,
    )


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scoring") / "package"
    training = made(600, seed=0)
    search(training.drop("id"), target="y", learners=["linear"], budget={"trials": 1}).package(
        folder, sample=training.drop("id")
    )
    return Package(folder)


@pytest.fixture(scope="session")
def asked():
    return made(ROWS, seed=1).drop("y")


@pytest.fixture
def home(tmp_path, asked):
    """A folder with the rows as a file of each format."""
    asked.write_parquet(tmp_path / "rows.parquet", row_group_size=700)
    asked.write_csv(tmp_path / "rows.csv")
    asked.write_ndjson(tmp_path / "rows.jsonl")
    return tmp_path
