"""A dirty file through the front door: what was learned clean is served clean."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import everloop as el
from everloop.core.progress import Event
from everloop.runtime.routing import read_routing
from everloop.runtime.service.arms import load_routing
from everloop.table.cleaning import CleaningPlan
from everloop.table.dataset import Dataset

pytestmark = pytest.mark.slow
ROWS = 600
FILE = """
name: loans
goal: {today: {always: "no"}}
problem: {target: bad, positive: "yes"}
data:
  sources: {rows: {file: rows.csv}}
  features: {burden: "debt / nullif(income, 0)"}
  split: {by: random, validation: 20%%, test: 20%%}
%s
model: {learners: [linear], budget: {trials: 1}, select_features: false}
"""


def dirty(seed=0):
    random = np.random.default_rng(seed)
    income, debt = random.integers(1000, 9000, ROWS), random.normal(2000, 400, ROWS)
    chance = 1 / (1 + np.exp(-(debt - 0.4 * income) / 400))
    town = random.choice(["Genève", "Bern", "Basel"], ROWS)
    return pl.DataFrame(
        {
            "income": [f"{value:,}" if i % 9 else "?" for i, value in enumerate(income)],
            "debt": np.where(random.random(ROWS) < 0.1, -999.0, debt),
            "town": [name.upper() if i % 11 == 0 else name for i, name in enumerate(town)],
            "since": [f"{i % 28 + 1:02}/{i % 12 + 1:02}/2019" for i in range(ROWS)],
            "weight": np.where(random.random(ROWS) < 0.1, 0.0, random.normal(70, 9, ROWS).round(1)),
            "bad": np.where(random.random(ROWS) < chance, "yes", "no"),
        }
    )


def ran(folder, more="", table=None):
    (dirty() if table is None else table).write_csv(folder / "rows.csv")
    (folder / "everloop.yaml").write_text(FILE % more)
    told: list[Event] = []
    result = el.load(folder).run(progress=told.append)
    return result, [event.message for event in told if event.kind == "result"]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loans")
    result, lines = ran(folder)
    return folder, result, lines


def arm_of(folder):
    path = next(folder.rglob("routing.json"))
    return load_routing(read_routing(path), path.parent, None).champion


def test_what_was_done_is_told_with_counts(served):
    _, result, lines = served
    facts = result.steps["dataset"].facts
    done = {(entry["step"], entry["column"]): entry for entry in facts["cleaning"]}
    dataset = Dataset.load(result.steps["dataset"].path)
    train = dataset.train
    assert done["sentinel", "income"]["rows"] == (train["income"] == "?").sum()
    assert done["sentinel", "debt"]["rows"] == (train["debt"] == -999).sum()
    assert done["sentinel", "weight"]["rows"] == (train["weight"] == 0).sum()
    assert done["categories", "town"]["rows"] == train["town"].is_in(["GENÈVE", "BERN", "BASEL"]).sum()
    assert done["type", "income"]["rows"] == (train["income"] != "?").sum()
    assert done["type", "since"]["undo"] == "data.clean.columns.since.type: text"
    told = next(line for line in lines if line.startswith("split by"))
    assert "values taken as missing" in told
    assert "spellings merged" in told
    kept = json.loads((dataset.folder / "dataset.json").read_text())["plan"]
    assert CleaningPlan.from_dict(kept) == dataset.plan
    model = set(result.steps["train"].facts["features"])
    assert model == {"income_clean", "debt_clean", "town_clean", "since_clean", "weight_clean", "burden"}


def test_features_see_clean_columns(served):
    _, result, _ = served
    train = Dataset.load(result.steps["dataset"].path).train
    income = train["income"].str.replace(",", "").cast(pl.Float64, strict=False)
    expected = train["debt"].replace(-999.0, None) / income
    assert (train["burden"].is_null() == (train["income"].eq("?") | train["debt"].eq(-999.0))).all()
    assert train["burden"].drop_nulls().to_list() == pytest.approx(expected.drop_nulls().to_list())


@pytest.mark.parametrize(
    ("sent", "same_as"),
    [
        ({"income": "?"}, {"income": None}),
        ({"income": "5,400"}, {"income": "5400"}),
        ({"income": 5400}, {"income": "5,400"}),
        ({"income": 5400.0}, {"income": "5,400"}),
        ({"debt": -999}, {"debt": None}),
        ({"weight": 0}, {"weight": None}),
        ({"town": "BERN"}, {"town": "Bern"}),
    ],
)
def test_a_dirty_row_is_answered_as_its_clean_twin(served, sent, same_as):
    arm = arm_of(served[0])
    row = {"income": "4,000", "debt": 2100.0, "town": "Basel", "since": "03/11/2019", "weight": 70.0}
    answers = []
    for change in (sent, same_as, {}):
        values, violations = arm.normalise({**row, **change})
        assert not violations
        answers.append(arm.package.answer(values))
    assert answers[0] == answers[1] != answers[2]


def test_parity_is_proven_on_dirty_rows(served):
    parity = json.loads((arm_of(served[0]).package.folder / "parity.json").read_bytes())
    assert parity["passed"]


def test_the_graph_reads_numbers_in_text(tmp_path):
    ran(tmp_path, table=dirty().drop("since"))
    package = arm_of(tmp_path).package
    assert (package.folder / "model.onnx").exists()
    parity = json.loads((package.folder / "parity.json").read_bytes())
    assert parity["passed"]
    assert parity["runtimes"]["graph"]


def test_each_action_can_be_undone(tmp_path):
    undone = """
  clean:
    duplicates: keep
    columns:
      debt: {missing_values: [], outliers: keep}
      town: {categories: keep}
      since: {type: text}
      weight: {missing_values: [], outliers: keep}
"""
    dirty().drop("income").write_csv(tmp_path / "rows.csv")
    features = '  features: {burden: "debt / nullif(income, 0)"}\n'
    # Without the column that tells the target the goal is not feasible, which is beside the point here.
    text = (
        (FILE % undone).replace(features, "").replace('{always: "no"}}', '{always: "no"}, on_stop: continue}')
    )
    (tmp_path / "everloop.yaml").write_text(text)
    result = el.load(tmp_path).run(until="data")
    dataset = Dataset.load(result.steps["dataset"].path)
    assert dataset.plan.columns == ()
    assert {entry["step"] for entry in dataset.cleaning} <= {"excluded"}
