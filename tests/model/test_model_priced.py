"""Features that are paid for: one stays where it earns more than it costs, and the reason says both."""

import numpy as np
import polars as pl
import pytest

from everloop.core.errors import SpecFault
from everloop.loop.support import refusals
from everloop.measure.worth import Worth
from everloop.model.quick_frame import quick_frame
from everloop.model.searching import Budget
from everloop.model.train import train
from everloop.model.trained import Trained
from everloop.model.training_inputs import Parts, Stakes, TrainingSettings
from everloop.spec import parse
from everloop.table.expression import parse as parse_expression
from everloop.table.feature import FeatureDefinition

STAKES = Stakes(lambda table: Worth("binary", prices=(10.0, -10.0, 0.0, 0.0), size=table.height))


def bought(rows: int = 1_500) -> pl.DataFrame:
    """Gives rows whose bought score tells most, whose own numbers tell some, and whose noise tells nothing."""
    random = np.random.default_rng(0)
    own, score = random.normal(size=rows), random.normal(size=rows)
    chance = 1 / (1 + np.exp(-(own + 2 * score)))
    return pl.DataFrame(
        {
            "own": own,
            "score": score,
            "noise": random.normal(size=rows),
            "bad": np.where(random.random(rows) < chance, "yes", "no"),
        }
    )


def trained_with(
    costs: dict[str, float], stakes: Stakes = STAKES, table: pl.DataFrame | None = None
) -> Trained:
    table = bought() if table is None else table
    double = FeatureDefinition("double", parse_expression("score * 2", {"score": "number"}))
    settings = TrainingSettings(learners=("linear",), budget=Budget(trials=1), feature_costs=costs)
    return train(Parts(table, definitions=(double,)), quick_frame(table, "bad"), settings, stakes=stakes)


def test_a_feature_stays_while_it_earns_more_than_it_costs() -> None:
    """The score is worth about a unit a decision here; with it goes what is computed from it."""
    cheap, dear = trained_with({"score": 0.2}), trained_with({"score": 5.0})
    assert "score" in cheap.columns
    assert dear.columns == ("own",) or set(dear.columns) == {"own", "noise"}
    reasons = {choice.name: choice for choice in dear.features}
    assert not reasons["score"].kept
    assert not reasons["double"].kept
    assert "a decision" in reasons["score"].reason
    assert "costs 5" in reasons["score"].reason
    assert "reads score" in reasons["double"].reason or "no more than noise" in reasons["double"].reason
    earned = float(reasons["score"].reason.split("earns ")[1].split(" ")[0])
    assert 0.2 < earned < 5.0


def test_noise_is_not_worth_a_price() -> None:
    assert "noise" not in trained_with({"noise": 0.5}).columns


def test_a_price_needs_a_column_and_decisions_that_earn() -> None:
    with pytest.raises(SpecFault, match="no column or feature") as raised:
        trained_with({"scores": 1.0})
    assert raised.value.place == "goal.costs.features"
    with pytest.raises(SpecFault, match="decisions have none"):
        trained_with({"score": 1.0}, Stakes())


def test_a_file_that_prices_a_feature_and_no_decision_is_refused() -> None:
    text = "name: loans\nproblem: {target: bad}\ngoal: {costs: {features: {score: 0.2}}%s}\n"
    value = ", value: {true_positive: 10, false_positive: -10, false_negative: 0, true_negative: 0}"
    faults = [fault.place for fault in refusals(parse(text % ""))]
    assert "goal.costs.features" in faults
    priced = parse(text % value)
    assert priced.goal.costs.features == {"score": 0.2}
    assert "goal.costs.features" not in [fault.place for fault in refusals(priced)]
