"""Each guard: harm where there is some, fine where that is shown, and undecided where nothing is known."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rollout_simulation import Errors, guard_errors
from everloop.core.errors import SpecFault
from everloop.deploy.guards import (
    GUARDS,
    Budget,
    Look,
    Requests,
    guarded,
    look_at,
    require_known,
    seen,
    split_finding,
)
from everloop.deploy.guards.latency import running_quantile
from everloop.deploy.guards.look import Asked, Known
from everloop.deploy.guards.scores import kolmogorov_smirnov
from everloop.loop.support import refusals
from everloop.measure.worth import Worth
from everloop.spec import DeploySpec, parse
from everloop.spec.frame import Frame

FRAME = Frame.from_dict(
    {"task": "binary", "target": "bad", "classes": ("no", "yes"), "positive": "yes", "metric": "roc_auc"}
)
PRICES = (10.0, -10.0, -10.0, 10.0)  # whoever knows the chances does best from one half on


@dataclass(frozen=True)
class Version:
    """What guards read of a candidate, given as arrays."""

    scores: np.ndarray
    actual: np.ndarray
    worth: Worth | None
    frame: Frame = FRAME

    @property
    def rows(self):
        return pl.DataFrame({"score": self.scores})

    @property
    def decisions(self):
        return (self.scores >= 0.5).astype(float)

    @cached_property
    def values(self):
        return None if self.worth is None else self.worth.values(self.actual, self.decisions)


def requests(count=4000, share=0.5, seed=0, **changes):
    random = np.random.default_rng(seed)
    second = random.random(count) < share
    fields = {
        "second": second,
        "chance": np.full(count, share),
        "unit": np.arange(count).astype(str),
        "failed": np.zeros(count, bool),
        "refused": np.zeros(count, bool),
        "seconds": random.gamma(2, 0.005, count),
        "scores": random.random(count),
    }
    return Requests(**(fields | changes))


def versions(count=3000, noise=0.0, seed=0, *, priced=True):
    """A champion that knows the chances, and a challenger that sees them through noise."""
    random = np.random.default_rng(seed)
    chance = random.beta(1, 3, count)
    actual = (random.random(count) < chance).astype(float)
    worth = Worth("binary", prices=PRICES, size=count) if priced else None
    blurred = np.clip(chance + noise * random.normal(size=count), 0, 1)
    return Version(chance, actual, worth), Version(blurred, actual, worth)


def look(strategy="canary", asked=None, noise=0.0, count=3000, *, priced=True, usual=4.0, named=()):
    champion, challenger = versions(count, noise, priced=priced)
    asked = asked or requests()
    random = np.random.default_rng(9)
    second = random.random(count) < 0.5
    known = Known(champion, challenger, second, np.full(count, 0.5), np.arange(count).astype(str))
    before = versions(3000, noise, seed=77)
    references = tuple((version.scores, version.actual) for version in before)
    return Look(strategy, asked, known, Asked(champion, challenger, references), usual, named)


def answer(name, required, seen, strategy="canary"):
    spec = DeploySpec.model_validate({"guard": {name: required}, "strategy": strategy})
    return look_at(spec, seen)[0].answer


def struck(asked, of_second, of_first, seed=1):
    random = np.random.default_rng(seed)
    return random.random(asked.second.size) < np.where(asked.second, of_second, of_first)


@pytest.mark.parametrize("field", ["failed", "refused"])
@pytest.mark.parametrize(
    ("of_second", "of_first", "required", "said"),
    [
        (0.10, 0.05, "not worse", "harm"),
        (0.10, 0.05, "not worse by 1%", "harm"),
        (0.10, 0.05, "not worse by 30%", "fine"),
        (0.02, 0.02, "not worse by 5%", "fine"),
        (0.02, 0.10, "better", "fine"),
        (0.10, 0.10, "better", "undecided"),
        (0.0, 0.0, "not worse", "fine"),
        (0.0, 0.0, "<= 1%", "fine"),
        (0.05, 0.0, "<= 1%", "harm"),
        (0.05, 0.05, "<= 5%", "undecided"),
    ],
)
def test_rates(field, of_second, of_first, required, said):
    asked = requests()
    asked = replace(asked, **{field: struck(asked, of_second, of_first)})
    name = "error_rate" if field == "failed" else "contract_violations"
    assert answer(name, required, look(asked=asked)) == said


def test_one_entity_that_always_fails_is_no_harm():
    asked = requests()
    asked = replace(
        asked,
        unit=np.where(asked.second, "merchant 7", asked.unit),
        failed=asked.second & struck(asked, 0.2, 0),
    )
    assert answer("error_rate", "not worse", look(asked=asked)) != "harm"
    assert answer("error_rate", "<= 1%", look(asked=asked)) == "harm"


@pytest.mark.parametrize(
    ("slower", "required", "said"),
    [
        (1.0, "not worse", "undecided"),
        (3.0, "not worse", "harm"),
        (1.0, "<= 200ms", "fine"),
        (1.0, "<= 5ms", "harm"),
        (0.2, "better", "fine"),
    ],
)
def test_latency(slower, required, said):
    asked = requests(8000)
    asked = replace(asked, seconds=asked.seconds * np.where(asked.second, slower, 1.0))
    assert answer("latency_p95", required, look(asked=asked)) == said


@pytest.mark.parametrize(("name", "required"), [("error_rate", "<= 5%"), ("latency_p99", "<= 50ms")])
def test_a_bound_says_of_no_requests_that_nothing_is_known(name, required):
    spec = DeploySpec.model_validate({"guard": {name: required}, "strategy": "canary"})
    found = look_at(spec, look(asked=requests(0)))[0]
    assert (found.answer, found.found) == ("undecided", "not known yet: no rows")


@given(st.integers(1, 400), st.floats(0.1, 0.9))
def test_a_running_quantile_knows_the_past_alone(count, quantile):
    seconds = np.random.default_rng(count).random(count)
    limits = running_quantile(seconds, np.ones(count, bool), quantile)
    changed = seconds.copy()
    changed[count // 2 :] = 99.0
    again = running_quantile(changed, np.ones(count, bool), quantile)
    np.testing.assert_array_equal(limits[: count // 2 + 1], again[: count // 2 + 1])
    assert np.isnan(limits[:50]).all()


def test_score_distribution_and_agreement():
    same = look()
    assert answer("score_distribution", "<= 0.2", same) == "fine"
    moved = requests()
    moved = replace(moved, scores=np.where(moved.second, moved.scores**4, moved.scores))
    assert answer("score_distribution", "<= 0.1", look(asked=moved)) == "harm"
    assert answer("score_distribution", "<= 0.1", look(asked=requests(40))) == "undecided"
    assert answer("agreement", ">= 90%", same) == "fine"
    assert answer("agreement", ">= 90%", look(noise=0.5)) == "harm"


def test_the_distance_of_scores_is_scipys():
    from scipy.stats import ks_2samp

    random = np.random.default_rng(0)
    first, second = random.random(300), random.random(200).round(2)
    assert kolmogorov_smirnov(first, second) == pytest.approx(ks_2samp(first, second).statistic)


@pytest.mark.parametrize("name", ["value_per_decision", "estimated_performance"])
@pytest.mark.parametrize("strategy", ["canary", "shadow", "bandit", "blue_green"])
def test_value_from_actuals_and_before_them(name, strategy):
    assert answer(name, "not worse", look(strategy, noise=0.6), strategy) == "harm"
    assert answer(name, "not worse", look(strategy, noise=0.001), strategy) == "fine"
    assert answer(name, "better", look(strategy), strategy) == "undecided"
    assert answer(name, "not worse", look(strategy, priced=False), strategy) == "undecided"
    assert answer(name, "not worse", look(strategy, count=0), strategy) == "undecided"


def test_value_of_the_arms_themselves():
    champion, _ = versions(20_000)
    blind = replace(champion, scores=1 - champion.scores)
    random = np.random.default_rng(3)
    second, chance = random.random(20_000) < 0.5, np.full(20_000, 0.5)
    unit = np.arange(20_000).astype(str)
    base = look("ab")
    worse = replace(base, known=Known(champion, blind, second, chance, unit))
    assert answer("value_per_decision", "not worse", worse, "ab") == "harm"
    better = replace(base, known=Known(blind, champion, second, chance, unit))
    assert answer("value_per_decision", "better", better, "ab") == "fine"
    one = replace(base, known=Known(champion, blind, second, chance, np.full(20_000, "c1")))
    assert answer("value_per_decision", "not worse", one, "ab") == "undecided", "one entity is one draw"


def test_an_estimate_gives_way_to_actuals():
    both = look(noise=0.6, named=("estimated_performance", "value_per_decision"))
    assert answer("estimated_performance", "not worse", both) == "fine"
    assert answer("value_per_decision", "not worse", both) == "harm"


@pytest.mark.parametrize(
    ("name", "noise", "required", "said"),
    [
        ("accuracy", 0.6, "not worse", "harm"),
        ("accuracy", 0.0, ">= 60%", "fine"),
        ("accuracy", 0.0, ">= 99%", "harm"),
        ("recall", 0.0, "not worse by 5%", "fine"),
        ("brier", 0.6, "not worse", "harm"),
        ("mae", 0.0, "not worse", "undecided"),
    ],
)
def test_metrics_from_actuals(name, noise, required, said):
    assert answer(name, required, look(noise=noise)) == said


@pytest.mark.parametrize("name", sorted(GUARDS))
def test_no_data_is_never_fine(name):
    guard = GUARDS[name]
    empty = look(asked=requests(0), count=0)
    for required in (["<= 1%", ">= 99%"] if guard.bounds else []) + (
        ["not worse", "better", "not worse by 2%"] if guard.compares else []
    ):
        assert answer(name, required, empty) == "undecided", required


def test_rows_that_the_log_does_not_show_whole_are_not_scored_again():
    hidden = replace(look(noise=0.6), hidden=("income",))
    for name in ("value_per_decision", "estimated_performance", "accuracy"):
        assert answer(name, "not worse", hidden) == "undecided"
    assert answer("error_rate", "<= 1%", hidden) == "fine"
    assert "agreement" not in seen(replace(hidden, strategy="shadow"))


def test_a_split_that_was_not_meant_stops_the_rollout():
    assert split_finding(look(asked=requests(share=0.3))).answer == "fine"
    asked = requests(share=0.3)
    assert split_finding(look(asked=replace(asked, chance=np.full(4000, 0.4)))).answer == "harm"
    assert split_finding(look(asked=replace(asked, chance=asked.second.astype(float)))) is None
    assert split_finding(replace(look(asked=asked), has_entities=False)) is None
    repeated = replace(asked, unit=np.where(asked.second, asked.unit, "bot"))
    assert split_finding(look(asked=repeated)).answer == "harm", "one entity is one unit"


def test_a_shadow_is_summed_up():
    told = seen(look("shadow", noise=0.3))
    assert told["challenger"]["requests"] + told["champion"]["requests"] == 4000
    assert 0.5 < told["agreement"] < 1
    assert told["score_moved_by"] > abs(told["score_shift"]) > 0
    assert (told["value_difference"] < 0, told["actuals"]) == (True, 3000)
    assert seen(look("shadow", asked=requests(0), count=0))["champion"]["latency_p99"] is None


def test_guards_say_what_the_simulation_decides():
    for seed in range(40):
        asked = requests(800, seed=seed)
        failed = struck(asked, 0.12, 0.06, seed)
        said = look_at(
            DeploySpec.model_validate({"guard": {"error_rate": "not worse"}}),
            look(asked=replace(asked, failed=failed)),
        )[0].answer
        drawn = Errors(asked.second[None], failed[None], np.full(800, 0.5))
        assert (said == "harm") == np.isfinite(guard_errors(drawn).back[0])


def test_the_error_is_shared():
    assert Budget.of(4).back == Budget.of(1).back / 4
    assert Budget.of(4).on == Budget.of(1).on
    assert Budget.of(1).back + 0.01 <= 0.05


@pytest.mark.parametrize(
    ("goal", "task", "guard", "said"),
    [
        ("{}", "binary", "value_per_decision", "have no price"),
        ("{}", "binary", "estimated_performance", "have no price"),
        ("{}", "binary", "mae", "does not judge the task binary"),
        ("{}", "regression", "recall_at_10", "does not judge the task regression"),
        ("{}", "regression", "mae", None),
        ("{value: {true_positive: 1, false_positive: -1}}", "binary", "value_per_decision", None),
        ("{value: {true_positive: 1, false_positive: -1}}", "binary", "estimated_performance", None),
        (
            "{value: {over_prediction: -1}}",
            "regression",
            "estimated_performance",
            "of the task regression it",
        ),
        ("{value: {over_prediction: -1}}", "null", "estimated_performance", "of the task regression it"),
        ("{value: {otherwise: -1}}", "multiclass", "estimated_performance", "of the task multiclass it"),
        ("{value: {otherwise: -1}}", "null", "estimated_performance", None),
    ],
)
def test_a_guard_that_could_never_answer_is_refused(goal, task, guard, said):
    file = f"{{name: a, goal: {goal}, problem: {{target: y, task: {task}}}, deploy: {{guard: {{{guard}: not worse}}}}}}"
    found = [fault for fault in refusals(parse(file)) if fault.place == f"deploy.guard.{guard}"]
    assert len(found) == (said is not None)
    assert said is None or said in found[0].message


def test_an_estimate_may_stand_beside_what_it_gives_way_to():
    guards = "{estimated_performance: not worse, value_per_decision: not worse}"
    value = "{over_prediction: -1, under_prediction: -3}"
    file = f"{{name: a, goal: {{value: {value}}}, problem: {{target: y}}, deploy: {{guard: {guards}}}}}"
    assert not [fault for fault in refusals(parse(file)) if "guard" in str(fault.place)]


@pytest.mark.parametrize(("strategy", "refused"), [("blue_green", 1), ("shadow", 0), ("canary", 0)])
def test_scores_are_compared_where_both_arms_give_them(strategy, refused):
    deploy = f"{{strategy: {strategy}, guard: {{score_distribution: <= 0.2}}}}"
    found = refusals(parse(f"{{name: a, problem: {{target: y}}, deploy: {deploy}}}"))
    assert [one.place for one in found].count("deploy.guard.score_distribution") == refused


@pytest.mark.parametrize(
    ("strategy", "guard", "said"),
    [
        ("canary", {"luck": "<= 1%"}, "there are error_rate"),
        ("canary", {"value_per_decision": ">= 1"}, "compares with the champion"),
        ("canary", {"agreement": "not worse"}, "needs a bound"),
        ("blue_green", {"error_rate": "not worse"}, "draws none"),
        ("shadow", {"latency_p99": "better"}, "draws none"),
    ],
)
def test_what_cannot_be_guarded_is_refused(strategy, guard, said):
    with pytest.raises(SpecFault, match=said):
        require_known(DeploySpec.model_validate({"strategy": strategy, "guard": guard}))


def of_lists(of_second, of_first, count=3000, seed=0, **changes):
    """A look at lists: how often the item that was taken stood in those of each arm."""
    random = np.random.default_rng(seed)
    second = random.random(count) < 0.5
    hits = (random.random(count) < np.where(second, of_second, of_first)).astype(float)
    own = {"recall_at_10": hits, "ndcg_at_10": hits * random.random(count), "value_per_decision": 3 * hits}
    known = replace(look(count=count).known, second=second, own=own, **changes)
    return replace(look(count=count), known=known)


@pytest.mark.parametrize(
    ("of_second", "of_first", "required", "said"),
    [
        (0.2, 0.4, "not worse", "harm"),
        (0.2, 0.4, "not worse by 5%", "harm"),
        (0.4, 0.4, "not worse by 20%", "fine"),
        (0.5, 0.3, "better", "fine"),
        (0.4, 0.4, "better", "undecided"),
        (0.4, 0.4, ">= 20%", "fine"),
        (0.1, 0.4, ">= 20%", "harm"),
    ],
)
def test_lists_by_what_was_taken_of_them(of_second, of_first, required, said):
    seen_lists = of_lists(of_second, of_first)
    assert answer("recall_at_10", required, seen_lists) == said
    if not required.startswith(">="):
        assert answer("ndcg_at_10", required, seen_lists) in (said, "undecided")
    if "by" not in required and not required.startswith(">="):
        assert answer("value_per_decision", required, seen_lists) == said


def test_lists_of_one_arm_alone_or_of_one_entity_say_nothing():
    assert answer("recall_at_10", "not worse", of_lists(0.0, 0.9, chance=np.ones(3000))) == "undecided"
    assert answer("recall_at_10", "not worse", of_lists(0.0, 0.9, unit=np.full(3000, "one"))) == "undecided"
    assert answer("recall_at_10", "not worse", look()) == "undecided"


@pytest.mark.parametrize(
    ("required", "worse", "wrong"), [("not worse", 0.0, "harm"), ("not worse by 10%", 0.1, "fine")]
)
def test_lists_are_judged_wrongly_no_oftener_than_the_budget_says(required, worse, wrong):
    """Of 200 rollouts at the edge of what is allowed, looked at when they end: 4 and 5 in a hundred at most."""
    found = [answer("recall_at_10", required, of_lists(0.4 - worse, 0.4, 1500, seed)) for seed in range(200)]
    assert found.count(wrong) <= 200 * (0.04 if wrong == "harm" else 0.05) + 5


def test_who_draws_by_value_asks_for_it_at_the_end_whatever_the_file_states():
    only_errors = DeploySpec.model_validate({"guard": {"error_rate": "<= 1%"}, "strategy": "bandit"})
    assert guarded(only_errors, by_value=False).guard == only_errors.guard
    both = guarded(only_errors, by_value=True)
    assert {name: str(required) for name, required in both.guard.items()} == {
        "error_rate": str(only_errors.guard["error_rate"]),
        "value_per_decision": "not worse",
    }
    found = {one.name: one.answer for one in look_at(both, look("bandit", noise=0.6))}
    assert found["value_per_decision"] == "harm"
    better = DeploySpec.model_validate({"guard": {"value_per_decision": "better"}, "strategy": "bandit"})
    assert guarded(better, by_value=True) == better
