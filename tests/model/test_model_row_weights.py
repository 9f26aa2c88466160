"""Rows that count more than others, `problem.weight`: a row of weight 2 is two rows, one of 0 is none."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

from everloop.core.errors import DataFault, ModelFault
from everloop.core.units import Bound
from everloop.measure.choices import choose_classes, choose_move
from everloop.measure.metric_intervals import metric_difference, metric_interval
from everloop.measure.metrics import OF_ROWS, metrics_of
from everloop.measure.segments import choose_segment_thresholds
from everloop.measure.value import choose_threshold
from everloop.measure.worth import Worth
from everloop.model.ageing import WEIGHT, weighable
from everloop.model.budget import Budget
from everloop.model.decision import Choosing, calibration_that_pays, choose_decision
from everloop.model.evaluating import evaluate
from everloop.model.judged import Judged
from everloop.model.train import train
from everloop.model.training_inputs import Parts, TrainingSettings
from everloop.spec.frame import Frame
from everloop.table.weights import row_counts, weights_of

ROWS = 300
PRICES = (30.0, -8.0, -25.0, 1.0)


def rows_of(task: str, seed: int = 0):
    """Gives actuals, scores, and weights of 1 to 3."""
    random = np.random.default_rng(seed)
    weights = random.integers(1, 4, ROWS).astype(float)
    if task == "regression":
        actual = random.gamma(2.0, 10.0, ROWS)
        return actual, actual + random.normal(0, 5, ROWS), weights
    if task == "binary":
        chance = random.random(ROWS).round(2)
        return (random.random(ROWS) < chance).astype(int), chance, weights
    chances = random.dirichlet(np.ones(6), ROWS)
    return np.array([random.choice(6, p=row) for row in chances]), chances, weights


def frame_of(task: str, weight: str | None = None) -> Frame:
    classes = {"binary": ("no", "yes"), "multiclass": tuple("abcdef"), "regression": ()}[task]
    metric = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}[task]
    positive = "yes" if task == "binary" else None
    return Frame(task, "y", classes, positive, metric, inputs=("x",), weight=weight)


def judged(task: str, actual, scores, counts=None) -> Judged:
    table = pl.DataFrame({"x": np.arange(len(actual)) % 7})
    worth = {
        "binary": lambda: Worth("binary", prices=np.tile(PRICES, (len(actual), 1)), size=len(actual)),
        "multiclass": lambda: Worth("multiclass", prices=np.eye(6) * 5 - 1, size=len(actual)),
        "regression": lambda: Worth(
            "regression", errors=lambda _rows, real, said: -np.abs(said - real), size=len(actual)
        ),
    }[task]()
    threshold = 0.5 if task == "binary" else None
    today = np.full(len(actual), 1.0)
    return Judged(
        frame_of(task), table, scores, actual, threshold=threshold, worth=worth, today=today, counts=counts
    )


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_metrics_and_values_of_weighed_rows_are_those_of_repeated_rows(task):
    actual, scores, weights = rows_of(task)
    again = np.repeat(np.arange(ROWS), weights.astype(int))
    weighed = evaluate(judged(task, actual, scores, weights / weights.mean()))
    repeated = evaluate(judged(task, actual[again], scores[again]))
    for name, found in weighed.metrics.items():
        expected = repeated.metrics[name].estimate
        assert found.estimate == pytest.approx(expected, rel=1e-9, nan_ok=True), name
    assert weighed.value is not None
    assert repeated.value is not None
    assert weighed.value.estimate == pytest.approx(repeated.value.estimate)
    assert weighed.gain.estimate == pytest.approx(repeated.gain.estimate)
    assert weighed.best_possible == pytest.approx(repeated.best_possible)
    # Weights are no evidence: repeating rows makes an interval narrower, weighing them does not.
    assert weighed.value.high - weighed.value.low > repeated.value.high - repeated.value.low
    for name in ("roc_curve", "precision_curve", "gain_curve", "reliability"):
        for axis, numbers in getattr(weighed, name).items():
            if axis != "weight":
                np.testing.assert_allclose(numbers, getattr(repeated, name)[axis], atol=1e-12)


@pytest.mark.parametrize(
    ("name", "judge"),
    [
        ("roc_auc", metrics.roc_auc_score),
        ("average_precision", metrics.average_precision_score),
        ("log_loss", metrics.log_loss),
        ("brier", metrics.brier_score_loss),
        ("f1", lambda a, s, sample_weight: metrics.f1_score(a, s >= 0.5, sample_weight=sample_weight)),
        ("mcc", lambda a, s, sample_weight: metrics.matthews_corrcoef(a, s >= 0.5, sample_weight=sample_weight)),
        ("accuracy", lambda a, s, sample_weight: metrics.accuracy_score(a, s >= 0.5, sample_weight=sample_weight)),
    ],
)  # fmt: skip
def test_weighed_metrics_with_their_intervals_agree_with_sklearn(name, judge):
    actual, scores, weights = rows_of("binary")
    needs = {one.name: one.needs for one in metrics_of("binary")}
    given = (scores >= 0.5).astype(int) if needs[name] == "decision" else scores
    found = metric_interval(name, actual, given, weights=weights)
    assert found.estimate == pytest.approx(judge(actual, scores, sample_weight=weights))
    assert found.low < found.estimate < found.high


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_constant_weight_changes_no_comparison_and_zeros_are_absent(task):
    actual, scores, weights = rows_of(task)
    other = scores[::-1].copy()
    weights[::3] = 0.0
    kept = weights > 0
    for one in metrics_of(task):
        if one.needs in OF_ROWS and one.name != "max_error":
            first, second = (
                (np.asarray(s).argmax(axis=1) if s.ndim == 2 else s >= 0.5) * 1
                if one.needs == "decision"
                else s
                for s in (scores, other)
            )
            every = metric_difference(one.name, actual, first, second, weights=weights)
            some = metric_difference(
                one.name, actual[kept], first[kept], second[kept], weights=7.0 * weights[kept]
            )
            assert every.estimate == pytest.approx(some.estimate, rel=1e-9, nan_ok=True), one.name


def test_the_threshold_of_weighed_rows_is_that_of_repeated_rows():
    actual, scores, weights = rows_of("binary")
    weights[:40] = 0.0
    again = np.repeat(np.arange(ROWS), weights.astype(int))
    bounds = [("positive_rate", Bound.parse("<= 0.4")), ("recall", Bound.parse(">= 0.3"))]
    weighed = choose_threshold(scores, actual, PRICES, constraints=bounds, weights=weights)
    repeated = choose_threshold(scores[again], actual[again], PRICES, constraints=bounds)
    assert weighed.threshold == repeated.threshold
    assert weighed.value_per_decision == pytest.approx(repeated.value_per_decision)
    assert dict(weighed.attained) == pytest.approx(dict(repeated.attained))
    assert (weighed.satisfied, weighed.reason) == (repeated.satisfied, repeated.reason)


def test_segments_and_unpriced_thresholds_go_by_weight():
    random = np.random.default_rng(3)
    scores = random.random(1200)
    segments = np.repeat(["shop", "web"], 600)
    # By number rows of the web say 0.8; those that count say 0.3.
    heavy = np.arange(1200) % 3 == 0
    actual = scores > np.where(heavy, 0.3, 0.8)
    weights = np.where(heavy, 1000.0, 1.0)
    found = choose_segment_thresholds(scores, actual, (1, -1, 0, 0), segments.tolist(), weights=weights)
    assert found.threshold == pytest.approx(0.3, abs=0.02)
    plain = Choosing(frame_of("binary"), scores, actual.astype(int), counts=weights / weights.mean())
    assert choose_decision(plain).threshold == pytest.approx(0.3, abs=0.02)


def test_decisions_between_classes_and_moves_of_numbers_go_by_weight():
    chances, actual = np.full((4, 2), 0.5), np.array([0, 0, 0, 1])
    worth = Worth("multiclass", prices=[[1, 0], [0, 1]], size=4)
    assert choose_classes(chances, actual, worth).interval.estimate == pytest.approx(0.75)
    heavy = worth.weighed([1 / 3, 1 / 3, 1 / 3, 3.0])
    assert choose_classes(chances, actual, heavy).interval.estimate == pytest.approx(0.75)
    number, said = np.array([10.0, 10.0, 10.0, 20.0] * 50), np.full(200, 10.0)
    errors = Worth("regression", errors=lambda _rows, real, given: -np.abs(given - real), size=200)
    counts = np.tile([0.1, 0.1, 0.1, 3.7], 50)
    assert choose_move(said, number, errors).offset == 0.0
    moved = choose_move(said, number, errors.weighed(counts))
    assert moved.offset + moved.scale * 10.0 == pytest.approx(20.0)
    assert errors.weighed(counts).only(np.arange(4)).values(number[:4], said[:4]).tolist() == [0, 0, 0, -37]


def test_a_calibration_is_that_of_the_rows_that_count():
    random = np.random.default_rng(5)
    scores = random.random(4000)
    off = random.random(4000) < 0.5
    actual = (random.random(4000) < np.where(off, scores**3, scores)).astype(int)
    counts = np.where(off, 1.9, 0.1)
    found = calibration_that_pays(scores, actual, counts=counts)
    assert found is not None
    assert found.apply([0.5])[0] == pytest.approx(0.125, abs=0.06)


@pytest.mark.parametrize("learner", ["linear", "lightgbm"])
def test_a_row_of_weight_nothing_is_as_good_as_absent(learner):
    random = np.random.default_rng(1)
    x = random.normal(size=260)
    table = pl.DataFrame(
        {"x": x, "y": np.where(random.random(260) < 1 / (1 + np.exp(-2 * x)), "yes", "no"), "w": 1.0}
    )
    noise = pl.DataFrame({"x": np.full(80, 9.0), "y": ["no"] * 80, "w": 0.0})
    settings = TrainingSettings(learners=(learner,), budget=Budget(trials=1), select=False)
    whole = train(
        Parts(pl.concat([noise, table[:200]]), test=pl.concat([table[200:], noise])), frame_of("binary", "w"), settings
    )  # fmt: skip
    without = train(Parts(table[:200], test=table[200:]), frame_of("binary"), settings)
    np.testing.assert_allclose(whole.scores(table), without.scores(table), rtol=1e-9)
    assert whole.threshold == pytest.approx(without.threshold, abs=0.05)
    assert whole.evaluation.rows == without.evaluation.rows
    assert whole.evaluation.score.estimate == pytest.approx(without.evaluation.score.estimate)


def test_a_fit_follows_the_rows_that_count():
    x = np.random.default_rng(4).normal(size=200)
    heavy = np.arange(200) % 4 < 2  # two halves that say the opposite
    y = np.where(heavy, x > 0, x < 0)
    table = pl.DataFrame({"x": x, "y": np.where(y, "yes", "no"), "w": np.where(heavy, 9.0, 1.0)})
    trained = train(
        Parts(table),
        frame_of("binary", "w"),
        TrainingSettings(learners=("linear",), budget=Budget(trials=1), select=False),
    )
    low, high = trained.scores(pl.DataFrame({"x": [-2.0, 2.0]}))
    assert low < 0.25
    assert high > 0.75


def test_learners_that_cannot_weigh_are_named():
    own = SimpleNamespace(name="own", capabilities=SimpleNamespace(takes_weights=False))
    with pytest.raises(ModelFault, match=r"problem\.weight weighs rows, which own cannot"):
        weighable((own,), WEIGHT)


def test_weights_are_sql_over_the_row_with_the_mean_one():
    table = pl.DataFrame({"x": [1.0, 3.0, None]})
    assert weights_of(table, "coalesce(x, 0) * 2").tolist() == [2.0, 6.0, 0.0]
    counts = row_counts(table, frame_of("binary", "coalesce(x, 0)"))
    assert counts == pytest.approx([0.75, 2.25, 0.0])
    with pytest.raises(DataFault, match="1 of 3 rows is negative, missing or infinite"):
        weights_of(table, "x")
