"""Counterfactuals: they flip the decision of what serves, by the least change, and touch nothing fixed."""

import numpy as np
import polars as pl
import pytest

from everloop.core.errors import ModelFault, UsageFault
from everloop.model import search
from everloop.runtime import Package
from everloop.spec.frame import Frame
from everloop.table.contract import ColumnRule, Contract, row_checker

ROWS = 1500
RULES = (
    ColumnRule("income", "number", minimum=0.0, maximum=100.0),
    ColumnRule("debts", "integer", minimum=0, maximum=12),
    ColumnRule("job", "text", allowed=("none", "part", "full")),
    ColumnRule("sex", "text", allowed=("f", "m")),
)
REFUSED = {"income": 20.0, "debts": 6, "job": "none", "sex": "m"}


def table_of(seed=0):
    random = np.random.default_rng(seed)
    table = pl.DataFrame(
        {
            "income": random.uniform(0, 100, ROWS),
            "debts": random.integers(0, 13, ROWS),
            "job": random.choice(["none", "part", "full"], ROWS),
            "sex": random.choice(["f", "m"], ROWS),
        }
    )
    odds = (
        (table["income"] - 50) / 12
        - (table["debts"] - 5) / 2
        + (table["job"] == "full").cast(float)
        + 2.0 * (table["sex"] == "f").cast(float)
        - 1.0
    ).to_numpy()
    return table.with_columns(
        granted=pl.Series(np.where(random.random(ROWS) < 1 / (1 + np.exp(-odds)), "yes", "no"))
    )


@pytest.fixture(scope="module", params=["linear", "hist_gradient_boosting"])
def package(request, tmp_path_factory):
    frame = Frame(
        task="binary", target="granted", classes=("no", "yes"), positive="yes", metric="roc_auc",
        sensitive=("sex",), inputs=("income", "debts", "job", "sex"),
    )  # fmt: skip
    model = search(
        table_of(), frame=frame, learners=[request.param], budget={"trials": 1}, seed=0, select_features=False
    )
    folder = tmp_path_factory.mktemp(request.param) / "package"
    model.package(folder, sample=table_of(1).head(200), contract=Contract(RULES))
    return Package(folder)


def test_a_refused_row_is_granted_after_the_change(package):
    assert package.answer(REFUSED).prediction == "no"
    found = package.counterfactual(REFUSED)
    assert found.prediction == "yes"
    assert package.answer(found.row) == (found.prediction, found.score)
    assert found.row["sex"] == "m"
    assert {change.column for change in found.changes} == {
        name for name in REFUSED if found.row[name] != REFUSED[name]
    }
    assert row_checker(package.contract)(found.row) == []


def test_a_random_row_is_flipped_by_as_few_columns_as_trying_all_single_changes_says(package):
    rows = table_of(7).drop("granted").head(25).to_dicts()
    grids = {
        "income": np.linspace(0, 100, 201).tolist(),
        "debts": list(range(13)),
        "job": ["none", "part", "full"],
    }
    for row in rows:
        before = package.answer(row).prediction
        found = package.counterfactual(row)
        assert found is not None
        assert package.answer(found.row).prediction != before
        assert found.row["sex"] == row["sex"]
        tried = [{**row, name: value} for name, values in grids.items() for value in values]
        flips = [
            one
            for one, answer in zip(tried, package.answers(tried), strict=True)
            if answer.prediction != before
        ]
        if flips:
            nearest = min(
                1.0
                if one["job"] != row["job"]
                else abs(one["income"] - row["income"]) / 100 + abs(one["debts"] - row["debts"]) / 12
                for one in flips
            )
            assert len(found.changes) == 1
            # A step of the grid is the slack.
            assert found.distance <= nearest + 0.01


def test_what_is_stated_as_fixed_stays(package):
    found = package.counterfactual(REFUSED, fixed=["income"])
    assert found is None or found.row["income"] == REFUSED["income"]
    with pytest.raises(UsageFault, match="'height' is no input"):
        package.counterfactual(REFUSED, fixed=["height"])
    assert package.counterfactual(REFUSED, fixed=["income", "debts", "job"]) is None


def test_types_and_missing_values_are_respected(package):
    found = package.counterfactual({"income": None, "debts": 12, "job": None, "sex": "m"})
    assert found is not None
    assert isinstance(found.row["debts"], int)


def test_the_wanted_class_is_checked(package):
    with pytest.raises(UsageFault, match="decided 'no' already"):
        package.counterfactual(REFUSED, "no")
    with pytest.raises(UsageFault, match="'maybe' is no class"):
        package.counterfactual(REFUSED, "maybe")


def test_the_least_change_of_a_linear_model_is_where_its_line_is_crossed(package):
    if "TreeEnsemble" in (package.folder / "score.onnx").read_bytes().decode("latin-1"):
        pytest.skip("in steps there is no line to cross")
    found = package.counterfactual(REFUSED, fixed=["debts", "job"])
    (change,) = found.changes
    just_below = {**REFUSED, "income": change.to - 0.02}
    assert package.answer(just_below).prediction == "no"


def test_several_classes_need_a_wish_and_numbers_have_none(tmp_path):
    random = np.random.default_rng(0)
    x = random.uniform(0, 10, 600)
    table = pl.DataFrame({"x": x, "y": np.array(["low", "mid", "top"])[np.digitize(x, [3, 7])], "n": 2 * x})
    contract = Contract((ColumnRule("x", "number", minimum=0.0, maximum=10.0),))
    for target in ("y", "n"):
        model = search(
            table.select("x", target),
            target=target,
            learners=["linear"],
            budget={"trials": 1},
            select_features=False,
        )
        model.package(tmp_path / target, sample=table.select("x"), contract=contract)
    classes = Package(tmp_path / "y")
    with pytest.raises(UsageFault, match="must be said"):
        classes.counterfactual({"x": 1.0})
    found = classes.counterfactual({"x": 1.0}, "top")
    assert found.prediction == "top"
    assert 6 < found.row["x"] < 8
    with pytest.raises(ModelFault, match="A number is not decided"):
        Package(tmp_path / "n").counterfactual({"x": 1.0})
