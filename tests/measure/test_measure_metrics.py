import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as judge

from everloop.core.errors import DataFault, SpecFault
from everloop.measure import METRICS, compute
from everloop.measure.metrics import metrics_of
from everloop.measure.recommendation import LIST_METRICS

RANDOM = np.random.default_rng(7)
N = 400
ACTUAL = (RANDOM.random(N) < 0.3).astype(int)
SCORES = np.clip(np.round(RANDOM.normal(0.3 + 0.3 * ACTUAL, 0.2), 2), 0.01, 0.99)  # many ties
DECISION = (SCORES >= 0.5).astype(int)
WEIGHTS = RANDOM.random(N) * 3
WEIGHTS[:20] = 0


def binned_error(chance, happened, weights):
    """The calibration error by its definition: ten bins of equal weight, tied scores together."""
    weights = np.ones(len(chance)) if weights is None else weights
    used = weights > 0
    chance, happened, weights = chance[used], happened[used], weights[used]
    bins = {}
    below = 0.0
    for score in np.unique(chance):
        rows = chance == score
        number = min(9, int((below + weights[rows].sum() / 2) / weights.sum() * 10))
        bins.setdefault(number, []).append(
            (weights[rows].sum(), score, np.average(happened[rows], weights=weights[rows]))
        )
        below += weights[rows].sum()
    total = 0.0
    for parts in bins.values():
        weight, score, rate = np.array(parts).T
        total += weight.sum() * abs(np.average(score, weights=weight) - np.average(rate, weights=weight))
    return total / weights.sum()


BINARY = {
    "roc_auc": (judge.roc_auc_score, SCORES),
    "average_precision": (judge.average_precision_score, SCORES),
    "log_loss": (judge.log_loss, SCORES),
    "brier": (judge.brier_score_loss, SCORES),
    "accuracy": (judge.accuracy_score, DECISION),
    "precision": (judge.precision_score, DECISION),
    "recall": (judge.recall_score, DECISION),
    "f1": (judge.f1_score, DECISION),
    "balanced_accuracy": (judge.balanced_accuracy_score, DECISION),
    "specificity": (lambda a, d, sample_weight=None: judge.recall_score(1 - a, 1 - d, sample_weight=sample_weight), DECISION),
    "positive_rate": (lambda a, d, sample_weight=None: np.average(d, weights=sample_weight), DECISION),
    "mcc": (judge.matthews_corrcoef, DECISION),
    "kappa": (judge.cohen_kappa_score, DECISION),
    "calibration_error": (lambda a, p, sample_weight=None: binned_error(p, a, sample_weight), SCORES),
    "kolmogorov_smirnov": (lambda a, p, sample_weight=None: np.ptp(np.subtract(*judge.roc_curve(a, p, sample_weight=sample_weight, drop_intermediate=False)[1::-1])), SCORES),
}  # fmt: skip


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", BINARY)
def test_a_binary_metric_equals_scikit_learn(name, weights):
    function, predicted = BINARY[name]
    expected = function(ACTUAL, predicted, sample_weight=weights)
    assert compute(name, ACTUAL, predicted, weights) == pytest.approx(expected, rel=1e-12)


def test_every_binary_metric_is_compared():
    assert set(BINARY) == {metric.name for metric in metrics_of("binary")}


CLASSES = RANDOM.integers(0, 7, N)
PROBABILITIES = RANDOM.dirichlet(np.ones(7), N) + 0.5 * np.eye(7)[CLASSES]
PROBABILITIES /= PROBABILITIES.sum(axis=1, keepdims=True)
MULTICLASS = {
    "accuracy": lambda a, p, w: judge.accuracy_score(a, p.argmax(1), sample_weight=w),
    "balanced_accuracy": lambda a, p, w: judge.balanced_accuracy_score(a, p.argmax(1), sample_weight=w),
    "log_loss": lambda a, p, w: judge.log_loss(a, p, sample_weight=w),
    "roc_auc_ovr": lambda a, p, w: judge.roc_auc_score(a, p, multi_class="ovr", sample_weight=w),
    "mcc": lambda a, p, w: judge.matthews_corrcoef(a, p.argmax(1), sample_weight=w),
    "kappa": lambda a, p, w: judge.cohen_kappa_score(a, p.argmax(1), sample_weight=w),
    "brier": lambda a, p, w: np.average(((p - np.eye(p.shape[1])[a]) ** 2).sum(1), weights=w),
    "calibration_error": lambda a, p, w: binned_error(p.max(1), p.argmax(1) == a, w),
    "top_3_accuracy": lambda a, p, w: judge.top_k_accuracy_score(a, p, k=3, sample_weight=w),
    "top_5_accuracy": lambda a, p, w: judge.top_k_accuracy_score(a, p, k=5, sample_weight=w),
    **{
        f"{name}_{average}": lambda a, p, w, function=function, average=average: function(
            a, p.argmax(1), average=average, sample_weight=w
        )
        for name, function in (
            ("precision", judge.precision_score),
            ("recall", judge.recall_score),
            ("f1", judge.f1_score),
        )
        for average in ("macro", "micro", "weighted")
    },
}


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", [metric.name for metric in metrics_of("multiclass")])
def test_a_multiclass_metric_equals_scikit_learn(name, weights):
    expected = MULTICLASS[name](CLASSES, PROBABILITIES, weights)
    assert compute(name, CLASSES, PROBABILITIES, weights) == pytest.approx(expected, rel=1e-12)


NUMBER = np.abs(RANDOM.normal(10, 3, N))
GUESS = np.abs(NUMBER + RANDOM.normal(0, 1, N))
REGRESSION = {
    "rmse": judge.root_mean_squared_error,
    "mae": judge.mean_absolute_error,
    "mape": judge.mean_absolute_percentage_error,
    "r2": judge.r2_score,
    "median_absolute_error": judge.median_absolute_error,
    "smape": lambda a, p, sample_weight=None: np.average(
        2 * abs(a - p) / (abs(a) + abs(p)), weights=sample_weight
    ),
    "rmsle": judge.root_mean_squared_log_error,
    "max_error": lambda a, p, sample_weight=None: (
        judge.max_error(a, p)
        if sample_weight is None
        else judge.max_error(a[sample_weight > 0], p[sample_weight > 0])
    ),
    "pinball_10": lambda a, p, sample_weight=None: judge.mean_pinball_loss(
        a, p, alpha=0.1, sample_weight=sample_weight
    ),
    "pinball_90": lambda a, p, sample_weight=None: judge.mean_pinball_loss(
        a, p, alpha=0.9, sample_weight=sample_weight
    ),
    "explained_variance": judge.explained_variance_score,
}


@pytest.mark.parametrize("name", [metric.name for metric in metrics_of("regression")])
def test_a_regression_metric_equals_scikit_learn(name):
    assert compute(name, NUMBER, GUESS) == pytest.approx(REGRESSION[name](NUMBER, GUESS), rel=1e-12)
    if name != "median_absolute_error":
        expected = REGRESSION[name](NUMBER, GUESS, sample_weight=WEIGHTS)
        assert compute(name, NUMBER, GUESS, WEIGHTS) == pytest.approx(expected, rel=1e-12)


ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8), st.integers(0, 3)), min_size=1, max_size=25)


@given(rows=ROWS)
@settings(max_examples=80, deadline=None, derandomize=True)
@pytest.mark.parametrize(
    "name", [name for name in METRICS if METRICS[name].tasks != ("multiclass",) and name not in LIST_METRICS]
)
def test_a_whole_weight_equals_the_row_repeated(name, rows):
    actual, score, weight = (np.array(column) for column in zip(*rows, strict=True))
    predicted = (score >= 4) if METRICS[name].needs == "decision" else score / 8
    repeated = compute(name, np.repeat(actual, weight), np.repeat(predicted, weight))
    assert compute(name, actual, predicted, weight) == pytest.approx(repeated, rel=1e-9, nan_ok=True)


@given(rows=ROWS)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_roc_auc_equals_counting_every_pair(rows):
    actual, score, _ = (np.array(column) for column in zip(*rows, strict=True))
    pairs = [np.sign(p - q) / 2 + 0.5 for p in score[actual == 1] for q in score[actual == 0]]
    expected = np.mean(pairs) if pairs else np.nan
    assert compute("roc_auc", actual, score) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("name", ["roc_auc", "balanced_accuracy", "mcc"])
@pytest.mark.parametrize("only", [0, 1])
def test_one_class_only_is_not_known(name, only):
    assert np.isnan(compute(name, [only] * 5, [0, 1, 1, 0, 1]))


@pytest.mark.parametrize("name", METRICS)
def test_no_rows_is_not_known(name):
    empty = np.empty((0, 3)) if METRICS[name].tasks == ("multiclass",) else []
    assert np.isnan(compute(name, [], empty))


def test_what_has_no_denominator_is_not_known():
    assert np.isnan(compute("precision", [0, 1], [0, 0]))
    assert np.isnan(compute("recall", [0, 0], [0, 1]))
    assert np.isnan(compute("r2", [2.0, 2.0], [1.0, 3.0]))
    assert np.isnan(compute("mape", [0.0, 0.0], [1.0, 3.0]))
    assert compute("mape", [0.0, 2.0], [1.0, 3.0]) == 0.5
    assert compute("mcc", [0, 1, 1], [1, 1, 1]) == 0


def test_a_class_with_no_row_is_left_out_of_the_mean():
    actual = np.array([0, 0, 1, 1])
    chances = np.array([[0.6, 0.2, 0.2], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.4, 0.5, 0.1]])
    areas = [judge.roc_auc_score(actual == k, chances[:, k]) for k in (0, 1)]
    assert compute("roc_auc_ovr", actual, chances) == pytest.approx(np.mean(areas))


def test_large_counts_keep_mcc_exact():
    actual = np.array([0, 0, 1, 1])
    decision = np.array([0, 1, 0, 1])
    weights = np.array([3e6, 1e6, 1e6, 3e6])
    assert compute("mcc", actual, decision, weights) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("roc_auc", [0, 1], [0.1]), "1 predictions for 2 rows"),
        (("roc_auc", [0, 2], [0.1, 0.2]), "only 0 .* and 1"),
        (("roc_auc", [0, 1], [0.1, np.nan]), "1 of 2 scores are missing"),
        (("recall", [0, 1], [0.4, 0.6]), "decisions hold 0.4"),
        (("rmse", [0, 1], ["a", "b"]), "not numbers"),
        (("log_loss", [0, 5], [[0.5, 0.5], [0.5, 0.5]]), "of class 5"),
        (("accuracy", [0, 1], [0, 1], [1, -1]), "negative or infinite"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, says):
    with pytest.raises(DataFault, match=says):
        compute(*arguments)


def test_an_unknown_metric_names_the_nearest():
    with pytest.raises(SpecFault, match="not a metric") as fault:
        compute("roc_acu", [0, 1], [0, 1])
    assert fault.value.hint == "did you mean roc_auc?"
