"""The engine that the file names, through the front door."""

import pandas as pd
import polars as pl
import pytest

from everloop import data
from everloop.cli import main
from everloop.core.clock import SimulatedClock
from everloop.loop.support import refusals
from everloop.spec import load
from everloop.table.dataset import Dataset
from everloop.testing.engine_suite import START, frame_of, loans

SPEC = """
name: loans
problem: {target: defaulted, time: at}
data:
  sources: {loans: {file: loans.parquet}}
  table: select * exclude (id, known) from loans
  features: {ratio: "debt / nullif(income, 0)"}
engine: {data: %s}
"""


def lifecycle(folder, engine):
    folder.mkdir(exist_ok=True)
    loans().write_parquet(folder / "loans.parquet")
    path = folder / "everloop.yaml"
    path.write_text(SPEC % engine)
    return path


@pytest.mark.slow
def test_a_run_in_duckdb_prepares_what_a_run_in_polars_prepares(tmp_path, capsys):
    prepared = []
    for engine in ("polars", "duckdb"):
        path = lifecycle(tmp_path / engine, engine)
        assert main(["run", "--until", "data", "--as-of", "2014-01-01", "--file", str(path)]) == 0
        (found,) = (tmp_path / engine).rglob("dataset.json")
        prepared.append(Dataset.load(found.parent))
    ours, theirs = prepared
    assert theirs.to_dict() == ours.to_dict()
    for part in ours.counts:
        assert theirs.table(part).equals(ours.table(part))


def test_pandas_goes_in_and_comes_out_and_is_no_engine(tmp_path):
    spec = load(lifecycle(tmp_path, "pandas"))
    (refused,) = refusals(spec)
    assert "engine.data is pandas, in which nothing is computed" in refused.message
    given = loans().to_pandas()
    before = given.copy()
    clock = SimulatedClock(START.replace(year=2014))
    taken = data.snapshot(spec, tmp_path / "s", clock=clock, tables={"loans": given})
    dataset = data.prepare(taken, frame_of(excluded={}), spec, tmp_path / "d")
    back = dataset.train.to_pandas()
    assert isinstance(back, pd.DataFrame)
    assert pl.from_pandas(back)["debt"].to_list() == dataset.train["debt"].to_list()
    pd.testing.assert_frame_equal(given, before)
