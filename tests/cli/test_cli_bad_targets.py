"""A target or a column that nothing can be made of ends in a clear message, and every other in a model."""

import numpy as np
import polars as pl
import pytest

from everloop.cli import main

ROWS = 400
FILE = """
name: odd
problem: {target: y}
data: {sources: {rows: {file: rows.csv}}, split: {by: stratified, validation: 20%, test: 20%}}
model: {learners: [linear], budget: {trials: 1}, select_features: false}
"""


def table(**columns):
    random = np.random.default_rng(0)
    a = random.normal(size=ROWS)
    told = np.where(a + random.normal(0, 0.5, ROWS) > 0, "yes", "no")
    return pl.DataFrame({"a": a, "b": random.normal(size=ROWS), "y": told}).with_columns(
        **{name: pl.Series(values) for name, values in columns.items()}
    )


def many_classes():
    return pl.DataFrame(
        {"a": np.random.default_rng(0).normal(size=12_000), "y": [f"c{i % 10_000}" for i in range(12_000)]}
    )


def half_missing():
    return table().with_columns(y=pl.when(pl.int_range(ROWS) % 2 == 0).then(pl.col("y")).otherwise(None))


def passed(capsys, folder, monkeypatch, rows):
    rows.write_csv(folder / "rows.csv")
    (folder / "everloop.yaml").write_text(FILE)
    monkeypatch.chdir(folder)
    status = main(["run", "--until", "model"])
    said = "".join(capsys.readouterr())
    assert "Traceback" not in said
    return status, said


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (lambda: table(y=["yes"] * ROWS), "one class, 'yes', in all 400 labelled rows"),
        (many_classes, "10000 different values) fits no task"),
    ],
    ids=["constant", "ten thousand classes"],
)
def test_a_target_that_nothing_can_be_made_of_is_named(capsys, tmp_path, monkeypatch, rows, said):
    status, told = passed(capsys, tmp_path, monkeypatch, rows())
    assert status == 2
    assert said in told
    assert "hint:" in told


@pytest.mark.slow
@pytest.mark.parametrize(
    "rows",
    [
        half_missing,
        lambda: table(y=np.append(np.where(table()["a"].to_numpy()[:-1] > 0, "u", "v"), "lonely")),
        lambda: table(empty=[None] * ROWS),
    ],
    ids=["half missing", "a class of one row", "a column all missing"],
)
def test_what_can_be_learned_from_comes_to_a_model(capsys, tmp_path, monkeypatch, rows):
    status, told = passed(capsys, tmp_path, monkeypatch, rows())
    assert status == 0, told
    assert "parity proven" in told


@pytest.mark.slow
def test_a_target_of_three_numbers_that_are_noise_ends_in_stop(capsys, tmp_path, monkeypatch):
    random = np.random.default_rng(1)
    noise = table(y=random.choice([0.5, 1.25, 7.0], ROWS), a=random.normal(size=ROWS))
    status, told = passed(capsys, tmp_path, monkeypatch, noise)
    assert status == 1
    assert "The goal is not feasible: the inputs tell nothing of the target" in told
