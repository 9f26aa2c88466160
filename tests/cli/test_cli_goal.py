"""What a goal is worth, and odd targets, through the command line: a clear message or a sensible result."""

import numpy as np
import polars as pl
import pytest

FILE = """
name: odd
problem: {target: y}
data: {sources: {rows: {file: rows.csv}}, split: {by: random, validation: 20%, test: 20%}}
model: {learners: [linear], budget: {trials: 1}, select_features: false}
"""


def write(folder, y, rows: int = 300, **columns) -> None:
    random = np.random.default_rng(0)
    table = pl.DataFrame({"a": random.normal(size=rows), "b": random.choice(["u", "v"], rows), **columns})
    table.with_columns(y=pl.Series(y)).write_csv(folder / "rows.csv")
    (folder / "everloop.yaml").write_text(FILE)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def signal(rows: int = 300) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.normal(size=rows) + random.normal(0, 0.5, rows)


def test_a_check_tells_the_verdict_and_the_first_estimate(home, cli) -> None:
    file = home / "everloop.yaml"
    file.write_text(
        file.read_text().replace("  statement", "  volume: 1000 / month\n  costs: {label: 3}\n  statement")
    )
    said = cli("check")
    assert said.status == 0
    assert "go: a quick model's decisions would add" in said.out
    assert "a month" in said.out
    assert "900 EUR for the labels there are" in said.out
    worth = next(line for line in said.out.splitlines() if line.startswith("value"))
    assert all(" EUR " in part for part in worth.split(", "))
    facts = cli("check", "--json").facts
    assert facts["brief"]["outlook"]["gain_per_month"]["low"] > 0
    assert facts["labels"]["sizes"]
    assert sorted(path.name for path in home.iterdir()) == ["everloop.yaml", "rows.csv"]


@pytest.mark.slow
def test_labels_that_are_noise_end_the_run(here, cli) -> None:
    write(here, np.random.default_rng(5).choice(["no", "yes"], 300))
    assert cli("check").status == 1
    said = cli("run")
    assert said.status == 1
    assert "The goal is not feasible: the inputs tell nothing of the target" in said.err
    assert "on_stop: continue" in said.err
    assert not list((here / ".everloop").rglob("trained.json"))
    file = here / "everloop.yaml"
    file.write_text(file.read_text() + "goal: {on_stop: continue}\n")
    assert "v1" in cli("run").out


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda n: ["same"] * n, "has one class, 'same', in all 300 labelled rows"),
        (lambda n: [None] * n, "has no value in any of 300 rows"),
        (lambda n: [f"name {i}" for i in range(n)], "fits no task"),
    ],
)
def test_targets_that_cannot_be_learned_are_told(here, cli, make, said: str) -> None:
    write(here, make(300))
    for verb in ("check", "run"):
        answer = cli(verb)
        assert answer.status == 2
        assert said in answer.err
        assert "hint" in answer.err


def test_a_continuous_target_with_three_values_is_told_apart(here, cli) -> None:
    write(here, np.round(np.clip(signal() * 1.2, -1, 1)))
    frame = cli("check", "--json").facts["frame"]
    assert frame["task"] == "multiclass"
    assert "3 values only" in frame["reasons"]["task"]
    file = here / "everloop.yaml"
    file.write_text(file.read_text().replace("target: y", "target: y, task: regression"))
    assert cli("check", "--json").facts["frame"]["task"] == "regression"


def test_half_of_the_target_may_be_missing(here, cli) -> None:
    label = np.where(signal() > 0, "yes", "no").astype(object)
    label[::2] = None
    write(here, label.tolist())
    said = cli("run")
    assert said.status == 0
    assert "v1" in said.out


def test_columns_without_a_value_are_left_out(here, cli) -> None:
    nothing = pl.Series([None] * 300, dtype=pl.String)
    write(here, np.where(signal() > 0, "yes", "no"), empty=nothing, blank=nothing)
    excluded = cli("check", "--json").facts["frame"]["excluded"]
    assert excluded["empty"] == excluded["blank"] == "has no value in any row"
    assert cli("run").status == 0


def test_a_class_with_one_row_ends_in_a_version_or_a_message(here, cli) -> None:
    label = np.where(signal() > 0, "yes", "no").astype(object)
    label[7] = "maybe"
    write(here, label.tolist())
    said = cli("run")
    assert said.status in (0, 1, 2)
    assert "Traceback" not in said.err
    assert said.status == 0 or "hint" in said.err


def test_ten_thousand_classes_are_refused_at_once(here, cli) -> None:
    rows = 20_000
    write(here, [f"c{i % 10_000}" for i in range(rows)], rows)
    said = cli("check")
    assert said.status == 2
    assert "10000 different values" in said.err
