"""The portfolio that ships is what the kept measurements give, and a search starts with it."""

import json

import numpy as np
import pytest

from benchmarks.automl_tables import TABLES
from benchmarks.portfolio import LEARNED_ON, RESULTS, candidates, ordered, portfolio_of_results, regrets_of
from everloop.model.learners import learners_for
from everloop.model.search_space import LEARNED, Variants, learned_order, portfolio_of

RESULT = json.loads(RESULTS.read_text())


def test_what_ships_is_what_the_kept_measurements_give() -> None:
    assert json.loads(LEARNED.read_text()) == portfolio_of_results(RESULT)
    assert set(RESULT["tables"]) == set(LEARNED_ON)
    assert not set(LEARNED_ON) & {name for table in TABLES.values() for name in (table.name,)}
    assert all(len(one["losses"]) == len(RESULT["candidates"]) for one in RESULT["tables"].values())


def test_every_learned_configuration_is_one_that_its_learner_knows() -> None:
    known = {one.name: {item.name for item in one.space} | {"rounds"} for one in learners_for("binary")}
    for name, configuration in learned_order():
        assert set(configuration) <= known[name]


def test_the_order_is_that_of_the_least_regret_on_average() -> None:
    """The second is what is best where the first is not, and not what is second best everywhere."""
    results = {
        "candidates": [{"learner": name, "configuration": {}} for name in "abc"],
        "tables": {
            "one": {"losses": [1.0, 1.1, 3.0]},
            "two": {"losses": [1.0, 1.1, 3.0]},
            "three": {"losses": [30.0, 29.0, 1.0]},
        },
    }
    regrets = regrets_of(results)
    assert np.all(regrets >= 0)
    assert (regrets.min(axis=1) == 0).all()
    assert regrets.max() <= 2
    assert ordered(regrets)[:2] == [0, 2]
    assert sorted(ordered(regrets)) == [0, 1, 2]


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_search_starts_with_every_learner_and_goes_on_in_the_learned_order(task: str) -> None:
    learners = learners_for(task)
    plain = portfolio_of(learners)
    assert [one.name for one, _ in plain[: len(learners)]] == [one.name for one in learners]
    firsts = {(one.name, json.dumps(dict(one.portfolio[0]))) for one in learners}
    learned = [(name, each) for name, each in learned_order() if (name, json.dumps(each)) not in firsts]
    after = [(one.name, each) for one, each in plain[len(learners) :]]
    assert after[: len(learned)] == learned
    keys = [(one.name, json.dumps(each, sort_keys=True)) for one, each in plain]
    assert len(set(keys)) == len(keys)
    declared = {
        (one.name, json.dumps(dict(each), sort_keys=True)) for one in learners for each in one.portfolio
    }
    assert declared <= set(keys)
    only = portfolio_of(learners[:1])
    assert {one.name for one, _ in only} == {learners[0].name}
    scaled = portfolio_of(learners, Variants(rescales=True))
    assert [each.get("target_scale") for _, each in scaled[len(learners) : 2 * len(learners)]] == [
        "log"
    ] * len(learners)


def test_what_was_measured_is_what_would_be_measured_now() -> None:
    """Candidates are drawn by a seed from the learners' spaces: a changed space is to be measured again."""
    assert candidates() == RESULT["candidates"]
