"""Slices: what was hidden in the rows is found, and what is not there is not told."""

import numpy as np
import polars as pl
import pytest

from everloop.model.judged import Judged
from everloop.model.slices import worst_slices
from everloop.spec.frame import Frame


def judged(seed, rows=6000, *, metric="roc_auc", broken=None):
    """Rows whose scores are right, but for the rows where `broken` holds: there they are noise."""
    random = np.random.default_rng(seed)
    table = pl.DataFrame(
        {
            "region": random.choice(["north", "south", "east", "west"], rows),
            "kind": random.choice(["x", "y", "z"], rows),
            "age": random.integers(18, 80, rows),
            "noise": random.normal(size=rows),
        }
    )
    chance = random.beta(1, 2, rows)
    actual = (random.random(rows) < chance).astype(int)
    scores = chance.copy()
    if broken is not None:
        mask = table.select(broken).to_series().to_numpy()
        scores[mask] = random.permutation(scores[mask])
    classes = ("no", "yes")
    frame = Frame(
        task="binary", target="y", classes=classes, positive="yes", metric=metric, inputs=tuple(table.columns)
    )
    return Judged(frame=frame, table=table, scores=scores, actual=actual, threshold=0.5, seed=seed)


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "log_loss", "accuracy", "f1"])
def test_a_slice_of_two_columns_is_found(metric):
    both = (pl.col("region") == "south") & (pl.col("kind") == "y")
    found = worst_slices(judged(0, metric=metric, broken=both))
    assert set(found.slices[0].conditions) == {("region", "south"), ("kind", "y")}
    assert found.slices[0].chance < 0.01
    # Each slice of one value, and each pair of two columns' values.
    assert found.looked_at == 4 + 3 + 4 + 4 + (12 + 16 + 16 + 12 + 12 + 16)


def test_a_slice_of_one_column_is_told_by_one_column():
    found = worst_slices(judged(1, broken=pl.col("kind") == "z"))
    assert found.slices[0].conditions == (("kind", "z"),)
    assert found.slices[0].name == "kind is z"


def test_a_missing_value_is_a_slice():
    one = judged(2, broken=pl.col("age") < 30)
    hidden = pl.when(pl.col("age") < 30).then(None).otherwise(pl.col("age")).alias("age")
    one = Judged(
        **{name: getattr(one, name) for name in one.__slots__}
        | {"table": one.table.select(pl.exclude("age"), hidden)}
    )
    assert worst_slices(one).slices[0].conditions == (("age", "(missing)"),)


def test_where_nothing_is_worse_nothing_is_told():
    told = [bool(worst_slices(judged(seed, 2000)).slices) for seed in range(40)]
    # At 5 % for the family two of forty are expected; six or more have a chance of 1 in 70.
    assert sum(told) <= 5


def test_few_rows_have_no_slices():
    assert worst_slices(judged(0, 150)).slices == ()


def test_numbers_have_slices_too():
    random = np.random.default_rng(0)
    table = pl.DataFrame({"kind": random.choice(["x", "y"], 2000), "z": random.normal(size=2000)})
    actual = random.normal(size=2000)
    scores = actual + random.normal(size=2000) * np.where(table["kind"] == "x", 1.0, 0.2)
    frame = Frame(task="regression", target="y", metric="rmse", inputs=("kind", "z"))
    found = worst_slices(Judged(frame=frame, table=table, scores=scores, actual=actual))
    assert found.slices[0].conditions == (("kind", "x"),)
    assert found.slices[0].score.estimate == pytest.approx(1.0, abs=0.1)
