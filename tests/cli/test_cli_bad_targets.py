"""A target or a column that nothing can be made of ends in a clear message, and every other in a model."""

import ctypes
import re
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from everloop.cli import main
from everloop.table.stored import _groups, aggregate

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


def passed(capsys, folder, monkeypatch, rows, file=FILE):
    rows.write_csv(folder / "rows.csv")
    (folder / "everloop.yaml").write_text(file)
    monkeypatch.chdir(folder)
    status = main(["run", "--until", "model"])
    said = "".join(capsys.readouterr())
    assert "Traceback" not in said
    return status, said


def numbers(*odd):
    return [*odd, *(f"{value:.4f}" for value in table()["a"].to_list()[len(odd) :])]


NO_INPUT = "No column is left to learn from: a: has no value in any row; b: has no value in any row"
REFUSED = {
    "constant": (lambda: table(y=["yes"] * ROWS), "one class, 'yes', in all 400 labelled rows"),
    "a constant number": (lambda: table(y=[3.5] * ROWS), "one class, '3.5', in all 400 labelled rows"),
    "ten thousand classes": (many_classes, "10000 different values) fits no task"),
    "without a label": (lambda: table(y=[None] * ROWS), "has no value in any of 400 rows"),
    "every column missing": (lambda: table(a=[None] * ROWS, b=[None] * ROWS), NO_INPUT),
    "nothing but a target": (lambda: table().select("y"), "No column is left to learn from"),
    "no row": (lambda: table().head(0), "The sources gave no row"),
    "one row": (lambda: table().head(1), "one class, "),
    "a rare class of one row": (
        lambda: table(y=["no"] * (ROWS - 1) + ["yes"]),
        "the rarest class has about ",
    ),
    "a word among the numbers of a target": (
        lambda: table(y=numbers("oops")),
        'try_cast("y" as double) as "y"',
    ),
}


def test_ten_thousand_classes_are_refused_before_they_are_looked_at(capsys, tmp_path, monkeypatch):
    stated = FILE.replace("target: y", "target: y, task: multiclass")
    status, told = passed(capsys, tmp_path, monkeypatch, many_classes(), stated)
    assert status == 2
    assert "has 10,000 classes in 12,000 rows; at most 1,000 can be told apart" in told
    assert "hint: merge rare classes into one" in told


@pytest.mark.parametrize(("rows", "said"), REFUSED.values(), ids=REFUSED)
def test_a_target_that_nothing_can_be_made_of_is_named(capsys, tmp_path, monkeypatch, rows, said):
    status, told = passed(capsys, tmp_path, monkeypatch, rows())
    assert status == 2
    assert said in told
    assert "hint:" in told


NOISE = {
    "classes": lambda random: random.choice(["u", "v"], ROWS),
    "three numbers": lambda random: random.choice([0.5, 1.25, 7.0], ROWS),
    "a number": lambda random: random.normal(size=ROWS),
}


@pytest.mark.parametrize("drawn", NOISE.values(), ids=NOISE)
def test_labels_that_are_noise_end_in_stop_and_no_model(capsys, tmp_path, monkeypatch, drawn):
    random = np.random.default_rng(1)
    noise = table(y=drawn(random), a=random.normal(size=ROWS))
    status, told = passed(capsys, tmp_path, monkeypatch, noise)
    assert status == 1
    assert "The goal is not feasible: the inputs tell nothing of the target" in told
    assert "v1 compiled" not in told


def thirds():
    odd = np.random.default_rng(3).normal(0, 0.4, ROWS)
    return table(y=np.digitize(table()["a"].to_numpy() + odd, [-0.5, 0.5]) * 0.75 + 0.5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "rows",
    [
        half_missing,
        lambda: table(y=np.append(np.where(table()["a"].to_numpy()[:-1] > 0, "u", "v"), "lonely")),
        lambda: table(empty=[None] * ROWS),
        thirds,
        lambda: table(a=numbers("n/a?")),
    ],
    ids=[
        "half missing",
        "a class of one row",
        "a column all missing",
        "a number with three values",
        "a word among numbers",
    ],
)
def test_what_can_be_learned_from_comes_to_a_model(capsys, tmp_path, monkeypatch, rows):
    status, told = passed(capsys, tmp_path, monkeypatch, rows())
    assert status == 0, told
    assert "parity proven" in told


@pytest.mark.slow
def test_a_table_of_more_columns_than_rows_goes_through(capsys, tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    wide = pl.DataFrame({f"c{place}": random.normal(size=100) for place in range(120)})
    told = wide.with_columns(y=pl.Series(np.where(random.normal(size=100) > 0, "u", "v")))
    status, said = passed(capsys, tmp_path, monkeypatch, told)
    assert status in (0, 1), said


def test_aggregates_of_many_columns_are_planned_a_few_at_a_time():
    # The plan of one query over all columns takes the square of their number: minutes, and many gigabytes.
    wide = pl.DataFrame({f"c{place}": [1.0, 2.0] for place in range(350)})
    expressions = [pl.col(name).sum().alias(name) for name in wide.columns]
    groups = list(_groups(expressions, wide.height))
    assert [len(group) for group in groups] == [100, 100, 100, 50]
    assert aggregate(wide.lazy(), expressions) == dict.fromkeys(wide.columns, 3.0)


class Broken:
    """A learner that fails in a way of its own, as one does that looks for a GPU where there is none."""

    space: ClassVar = ()
    portfolio: ClassVar = ({},)

    def __init__(self, name):
        from everloop.model.learners import Capabilities

        self.name = name
        self.capabilities = Capabilities(cost=0.01)

    def fit(self, X, y, *, task, configuration, weights=None, seed=0, threads=1):
        if self.name == "crashes":
            ctypes.string_at(0)
        if self.name == "eats":
            return [bytearray(2**28) for _ in range(2**10)]
        if self.name == "cuda":
            from xgboost import DMatrix, train

            return train({"device": "cuda", "verbosity": 2, "tree_method": "gpu_hist"}, DMatrix(X, y), 1)
        from lightgbm import Dataset, train

        return train({"device_type": "cuda", "verbose": -1}, Dataset(X, y), 1)


BROKEN = {"crashes": "SIGSEGV", "eats": "", "cuda": "", "lightgbm_cuda": "CUDA"}


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_a_trial_that_breaks_is_named_and_the_search_goes_on(capsys, tmp_path, monkeypatch, name):
    from everloop.model import contained
    from everloop.model.learners import registry

    # The least that a trial may use: to fill most of a machine's memory takes half a minute.
    monkeypatch.setattr(contained, "MEMORY_SHARE", 0.0)
    known, plain = registry.known_learners, registry.learner
    monkeypatch.setattr(registry, "known_learners", lambda: {**known(), name: "tests"})
    monkeypatch.setattr(registry, "learner", lambda one: Broken(one) if one in BROKEN else plain(one))
    table().write_csv(tmp_path / "rows.csv")
    (tmp_path / "everloop.yaml").write_text(
        FILE.replace("[linear], budget: {trials: 1}", f"[{name}, linear], budget: {{trials: 2}}")
    )
    monkeypatch.chdir(tmp_path)
    status = main(["run", "--until", "model"])
    said = "".join(capsys.readouterr())
    assert status == 0, said
    assert "Traceback" not in said
    failed = re.search(rf"1 trial failed \({name}: (.*)", said)
    assert failed, said
    assert BROKEN[name] in failed[1]
    assert "parity proven" in said


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        ("a", "rows is negative, missing or infinite"),
        ("aa + 1", "no column 'aa'"),
        ("y", "'y' gives text.\n  at: everloop.yaml:"),
    ],
)
def test_weights_that_are_none_are_told_when_the_file_is_checked(capsys, tmp_path, monkeypatch, weight, told):
    table().write_csv(tmp_path / "rows.csv")
    (tmp_path / "everloop.yaml").write_text(FILE.replace("target: y", f"target: y, weight: {weight}"))
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) != 0
    assert told in capsys.readouterr().err
