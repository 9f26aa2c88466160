"""A run on many rows tries configurations on a part of them, leaves the worst early and tries the best on all."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from everloop.core.clock import SimulatedClock
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.model.running import PRUNED
from everloop.model.searching import LOW_RUNG_ROWS
from everloop.model.trained import Trained
from everloop.spec import load

NOW = datetime(2024, 6, 1, tzinfo=UTC)
ROWS = 84_000
FILE = """
name: many
problem: {target: bad}
data: {sources: {rows: {file: rows.parquet}}, contract: contract.yaml, split: {by: random, test: 10%}}
model: {learners: [linear], budget: {trials: 24}, select_features: false}
"""


@pytest.mark.slow
def test_a_run_on_many_rows_prunes_and_tries_the_best_on_all(tmp_path) -> None:
    random = np.random.default_rng(0)
    x, z = random.normal(size=(2, ROWS))
    bad = x + 0.5 * z + random.normal(size=ROWS) > 0
    pl.DataFrame({"x": x, "z": z, "bad": np.where(bad, "yes", "no")}).write_parquet(tmp_path / "rows.parquet")
    (tmp_path / "everloop.yaml").write_text(FILE)
    with Workspace.open(load(tmp_path / "everloop.yaml"), clock=SimulatedClock(NOW)) as workspace:
        trials = Trained.load(run_once(workspace, until="model").steps["train"].path).trials
    assert len(trials) == 24
    low, whole = trials[:-3], trials[-3:]
    assert {trial.rows for trial in low} == {LOW_RUNG_ROWS}
    assert all(trial.rows > 2 * LOW_RUNG_ROWS and trial.score is not None for trial in whole)
    pruned = [trial for trial in low if trial.error is not None]
    assert pruned
    assert all(trial.error.startswith(PRUNED) for trial in pruned)
    tried = [trial.configuration for trial in low if trial.error is None]
    assert all(trial.configuration in tried for trial in whole)
