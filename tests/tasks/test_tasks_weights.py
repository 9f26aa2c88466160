"""Events that say more than others: `problem.weight`."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from everloop.core.errors import DataFault, SpecFault
from everloop.loop.support import refuse_unsupported
from everloop.model.learners.registry import learner
from everloop.model.recommending import Histories
from everloop.model.recommending.train import fitted_lists, train_recommender
from everloop.model.steps import training_settings
from everloop.model.train import Parts, TrainingSettings
from everloop.problem.frame import build_frame
from everloop.spec import parse

FILE = """
name: shop
problem: {task: TASK, target: item, entity: customer, time: at, weight: WEIGHT}
data: {sources: {rows: {file: rows.csv}}}
model: {learners: [item_item], budget: {trials: 2}}
"""


def events(count=600, seed=0):
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "customer": random.integers(0, 30, count),
            "item": [f"i{number:02d}" for number in random.integers(0, 15, count)],
            "strength": random.integers(1, 4, count),
            "at": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=place) for place in range(count)],
        }
    )


def told(task="recommendation", weight="strength"):
    return parse(FILE.replace("TASK", task).replace("WEIGHT", weight))


@pytest.mark.parametrize("name", ["item_item", "popularity"])
def test_an_event_of_weight_three_says_what_three_of_one_say(name):
    rows = events()
    repeated = rows.select(pl.all().repeat_by("strength").explode())
    one = learner(name)
    weighed, plain = (
        fitted_lists(one, one.portfolio[0], histories, TrainingSettings())
        for histories in (
            Histories.of(rows, "customer", "item", "strength"),
            Histories.of(repeated, "customer", "item"),
        )
    )
    np.testing.assert_allclose(weighed.scores, plain.scores, atol=1e-9)


def test_weights_are_what_the_matrix_of_every_learner_counts():
    rows = events()
    found = Histories.of(rows, "customer", "item", "strength")
    counted = rows.group_by("customer", "item").agg(pl.col("strength").sum())
    matrix = found.matrix().toarray()
    for who, what, times in counted.iter_rows():
        assert matrix[found.entities.index(str(who)), found.items.index(what)] == times


def test_an_event_of_weight_nothing_is_none():
    rows = events().with_columns(strength=pl.when(pl.col("item") == "i03").then(0).otherwise(1))
    found = Histories.of(rows, "customer", "item", "strength")
    assert "i03" not in found.items
    assert found.events.shape == (rows.filter(pl.col("item") != "i03").height, 2)


def test_the_file_says_what_an_event_weighs():
    rows = events().with_columns(
        item=pl.when(pl.col("customer") % 2 == 0).then(pl.lit("i99")).otherwise(pl.col("item"))
    )
    spec = told(weight="case when item = 'i99' then 0 else strength end")
    refuse_unsupported(spec)
    settings = {
        part: getattr(spec, part).model_dump(mode="json", by_alias=True)
        for part in ("goal", "problem", "model")
    }
    frame = build_frame(rows, spec.problem)
    trained = train_recommender(
        Parts(rows[:400], rows[400:500], rows[500:]),
        frame,
        training_settings(settings, SimpleNamespace(split={"by": "time"})),
    )
    assert "i99" not in trained.frame.classes


@pytest.mark.parametrize(
    ("weight", "fault", "said"),
    [
        ("-strength", DataFault, "The weight of 600 of 600 rows is negative"),
        ("strenght", SpecFault, "strenght"),
        ("strength > 1", SpecFault, "A weight is a number"),
    ],
)
def test_a_weight_that_is_none_is_named(weight, fault, said):
    with pytest.raises(fault, match=said) as raised:
        Histories.of(events(), "customer", "item", weight)
    assert raised.value.place == "problem.weight"


def test_weights_of_a_task_without_weighted_metrics_are_refused():
    with pytest.raises(SpecFault, match=r"the metrics of the task anomaly have no weighted form"):
        refuse_unsupported(told("anomaly"))
