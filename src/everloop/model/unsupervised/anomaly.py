"""Anomalies: which detector, and from which score on a row is one.

With labels a detector is chosen by how it ranks them on folds; no detector learns from them. Without,
by `volume_excluded`: how little room its scores need to enclose the rows of a fold that it did not see.
In many columns every room is empty, so there a detector is judged in several draws of a few columns
each (Goix, "How to Evaluate the Quality of Unsupervised Anomaly Detection Algorithms?", 2016).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.arrays import weights_for
from everloop.measure.intervals import Interval, bootstrap_interval, proportion_interval
from everloop.measure.metrics import METRICS, compute
from everloop.measure.ranking import steps_down
from everloop.measure.weighted_mean import effective_rows
from everloop.model.evaluating import evaluate
from everloop.model.evaluation import Evaluation
from everloop.model.judged import Judged
from everloop.model.preparation import PreparationSettings, fit_preparation
from everloop.model.search_space import portfolio_of
from everloop.model.unsupervised.material import BEYOND, Fitted, fit_rows, halves, known_labels, sampled
from everloop.model.unsupervised.outcome import Chosen, requirements_of, share_interval
from everloop.model.unsupervised.trials import Finding, Tried
from everloop.report.writing import plural
from everloop.table.even_rows import CONTRAST_POINTS, even_rows
from everloop.table.weights import row_counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from everloop.core.units import Bound
    from everloop.model.learners.learner import Learner, Parameter
    from everloop.model.trained import Trained
    from everloop.model.training_inputs import TrainingSettings
    from everloop.model.trial import Material

USUAL_SHARE = 0.01
"""A review is asked for of this share of the rows where the file does not say how many can be looked at."""

DRAWN_CONFIGURATIONS = 6
COLUMNS_AT_ONCE = 5
COLUMN_DRAWS = 6
RESAMPLES = 3
FEWEST_FLAGGED = 10
ROUNDING = 1e-9
NINETEEN_OF_TWENTY = 1.6449  # the normal distribution's quantile
REPEATS = 200
MOST_ROWS = 20_000


def proposals(learners: Sequence[Learner], seed: int) -> Iterator[tuple[Learner, dict[str, Any]]]:
    """Gives what is tried: every learner's strong configurations in turn, then some drawn by chance."""
    yield from portfolio_of(tuple(learners))
    random = np.random.default_rng(seed)
    for number in range(DRAWN_CONFIGURATIONS):
        learner = learners[number % len(learners)]
        yield learner, {item.name: _drawn(item, random) for item in learner.space}


def _drawn(item: Parameter, random: np.random.Generator) -> Any:
    if item.kind == "choice":
        return item.choices[int(random.integers(len(item.choices)))]
    at = random.random()
    number = item.low * (item.high / item.low) ** at if item.log else item.low + at * (item.high - item.low)
    return round(number) if item.kind == "integer" else float(number)


def judge(material: Material, learner: Learner, configuration: Mapping[str, Any]) -> Finding:
    """Fits a detector on each fold and judges it by the problem's metric."""
    if material.frame.is_labelled:
        return _by_labels(material, learner, configuration)
    scores = [
        _enclosed(material, learner, configuration, fold.train, fold.validation, number)
        for number, fold in enumerate(material.folds)
    ]
    return Finding(tuple(scores), max(len(fold.train) for fold in material.folds))


def _by_labels(material: Material, learner: Learner, configuration: Mapping[str, Any]) -> Finding:
    metric = METRICS[material.frame.metric]
    found = []
    for fold in material.folds:
        actual = material.actual[fold.validation]
        rows = fold.validation[~np.isnan(actual)]
        counts = material.counts_of(rows)
        fitted = fit_rows(learner, configuration, material, fold.train)
        scores = fitted.scores(material.table[rows])
        if metric.needs == "decision":
            threshold = capacity_threshold(scores, labelled_share(material), counts)
            scores = (scores >= threshold).astype(np.float64)
        found.append(compute(metric.name, actual[~np.isnan(actual)], scores, counts))
    return Finding(tuple(found), max(len(fold.train) for fold in material.folds))


def _enclosed(
    material: Material,
    learner: Learner,
    configuration: Mapping[str, Any],
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    number: int,
) -> float:
    """Gives how little room the scores enclose the fold's rows in, as a mean over draws of columns."""
    from everloop.runtime.plan_table import encode_table

    settings = replace(
        PreparationSettings.of(learner.capabilities, seed=material.seed), beyond=BEYOND["anomaly"]
    )
    table = material.table.select(material.features.columns)
    train = train[sampled(len(train), learner.capabilities.most_rows or MOST_ROWS, material.seed)]
    nothing, weights = np.zeros(len(train)), material.weights_of(train)
    plan, X = fit_preparation(table[train], material.frame, material.features, settings, nothing, weights)
    held = validation[sampled(len(validation), CONTRAST_POINTS, material.seed)]
    Xv = np.asarray(encode_table(plan, table[held]))
    random = np.random.default_rng(material.seed + number)
    counts = _with_points(material.counts_of(held), CONTRAST_POINTS)
    found = []
    for columns in _column_draws(X.shape[1], random):
        estimator = learner.fit(
            X[:, columns],
            nothing,
            task="anomaly",
            configuration=configuration,
            weights=weights,
            seed=material.seed,
        )
        seen = np.concatenate([X[:, columns], Xv[:, columns]])
        low, high = np.nanmin(seen, axis=0), np.nanmax(seen, axis=0)
        points = low + random.random((CONTRAST_POINTS, len(columns))) * (high - low)
        both = np.concatenate([Xv[:, columns], points])
        if learner.capabilities.computes_in_float32:
            both = both.astype(np.float32).astype(np.float64)
        is_row = np.repeat([1.0, 0.0], [len(Xv), len(points)])
        found.append(compute("volume_excluded", is_row, -estimator.score_samples(both), counts))
    return float(np.mean(found))


def _with_points(counts: NDArray[np.float64] | None, points: int) -> NDArray[np.float64] | None:
    """Adds what each point drawn from the space counts: one."""
    return None if counts is None else np.concatenate([counts, np.ones(points)])


def _column_draws(width: int, random: np.random.Generator) -> list[NDArray[np.int64]]:
    if width <= COLUMNS_AT_ONCE:
        return [np.arange(width)]
    draws = (random.choice(width, COLUMNS_AT_ONCE, replace=False) for _ in range(COLUMN_DRAWS))
    return [np.sort(columns) for columns in draws]


def choose(tried: Sequence[Tried], frame: Any) -> tuple[Tried, str]:
    """Takes the trial with the best score, and says by what it was chosen."""
    sign = 1.0 if METRICS[frame.metric].greater_is_better else -1.0
    done = [one for one in tried if one.trial.error is None]
    best = max(done, key=lambda one: (sign * one.score, -one.trial.number))
    by = (
        f"by {frame.metric} of the labels on folds; no label was learned from"
        if frame.is_labelled
        else f"without labels, by {frame.metric}: how little room its scores need to enclose rows of a fold"
    )
    return best, f"{best.trial.learner} was chosen {by} ({best.score:.4g} of {plural(len(done), 'trial')})."


def finish(chosen: Chosen, material: Material, settings: TrainingSettings) -> Trained:
    """Sets the threshold, on rows that the scores' models had not seen."""
    share, why = capacity(material, settings.required)
    if "positive_rate" in settings.required:
        share = _kept_by_most(share, chosen.judged_rows)
    rows, scores = out_of_fold(chosen.best, material)
    threshold = capacity_threshold(scores, share, material.counts_of(rows))
    reason = f"{share:.2%} of the rows score at least this on folds that their models had not seen: {why}"
    reason += ", by 19 samples of 20." if "positive_rate" in settings.required else "."
    actual = material.actual[rows]
    return replace(
        chosen.trained,
        threshold=threshold,
        threshold_reason=reason,
        held_out_scores=scores,
        held_out_actual=actual if material.frame.is_labelled else None,
    )


def capacity(material: Material, required: Mapping[str, Bound]) -> tuple[float, str]:
    """Gives the share of rows that may be flagged, and where that comes from."""
    bound = required.get("positive_rate")
    if bound is not None and bound.comparison in ("<=", "<"):
        return bound.limit, f"positive_rate {bound} is required"
    if material.frame.is_labelled:
        return labelled_share(material), "so many of the labelled rows are anomalies"
    return USUAL_SHARE, 'no capacity is stated (goal: {require: {positive_rate: "<= 1%"}})'


def labelled_share(material: Material) -> float:
    """Gives the share of anomalies among the labelled rows, by their weights."""
    known = ~np.isnan(material.actual)
    counts = material.counts_of(np.flatnonzero(known))
    return float(np.average(material.actual[known], weights=counts))


def _kept_by_most(share: float, rows: float) -> float:
    """Gives a share that a sample of so many rows exceeds the limit with in one case of twenty."""
    error = float(np.sqrt(share * (1 - share) / max(1, rows)))
    return max(0.0, share - NINETEEN_OF_TWENTY * error)


def capacity_threshold(
    scores: NDArray[np.float64], share: float, counts: NDArray[np.float64] | None = None
) -> float:
    """Gives the least threshold from which on no more than a share of the rows lies, by what each counts."""
    each = weights_for(counts, len(scores))
    distinct, taken, _ = steps_down(scores, np.ones(len(scores), dtype=bool), each)
    within = int((np.cumsum(taken) <= (share + ROUNDING) * each.sum()).sum())
    return float(distinct[within - 1]) if within else float(np.nextafter(distinct[0], np.inf))


def out_of_fold(best: Tried, material: Material) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Scores the rows of each fold by a model of the others."""
    rows, scores = [], []
    for fold in material.folds:
        fitted = fit_rows(best.learner, best.trial.configuration, material, fold.train)
        rows.append(fold.validation)
        scores.append(fitted.scores(material.table[fold.validation]))
    return np.concatenate(rows), np.concatenate(scores)


def judged(
    trained: Trained, chosen: Chosen, material: Material, test: pl.DataFrame, settings: TrainingSettings
) -> Evaluation:
    """Evaluates on the test part: the field's metrics where labels are known, and what needs none."""
    share = capacity(material, settings.required)[0]
    found = _unlabelled(trained, test)
    found["stability"] = share_interval(agreements(chosen.best, material, share))
    base = _of_labels(trained, test, settings.required) or Evaluation(
        "test", test.height, trained.frame.metric, {}
    )
    metrics = {**base.metrics, **found}
    return replace(
        base,
        metrics=metrics,
        threshold=trained.threshold,
        classes=trained.frame.classes,
        requirements=requirements_of(settings.required, metrics),
    )


def measured(trained: Trained, table: pl.DataFrame) -> dict[str, Interval]:
    """Measures a model on a table: by its labels, where it has any, and by what needs none."""
    labelled = _of_labels(trained, table, {}) if trained.frame.target in table.columns else None
    return {**(labelled.metrics if labelled else {}), **_unlabelled(trained, table)}


def _unlabelled(trained: Trained, test: pl.DataFrame) -> dict[str, Interval]:
    """Measures what needs no labels: the share that is flagged, and the room that is excluded."""
    scores = trained.scores(test)
    flagged = scores >= (0.5 if trained.threshold is None else trained.threshold)
    counts = weights_for(row_counts(test, trained.frame), test.height)
    share, rows = float(np.average(flagged, weights=counts)), effective_rows(counts, test.height)
    points = even_rows(test, [item.name for item in trained.plan.inputs], CONTRAST_POINTS)
    both = np.concatenate([scores, trained.scores(points)])
    is_row = np.repeat([1.0, 0.0], [len(scores), points.height])
    excluded = bootstrap_interval(
        lambda actual, score, each: compute("volume_excluded", actual, score, each),
        is_row,
        both,
        np.concatenate([counts, np.ones(points.height)]),
        seed=trained.seed,
        repeats=REPEATS,
    )
    return {"positive_rate": proportion_interval(share * rows, rows), "volume_excluded": excluded}


def _of_labels(trained: Trained, test: pl.DataFrame, required: Mapping[str, Bound]) -> Evaluation | None:
    labels = known_labels(test, trained.frame)
    known = ~np.isnan(labels)
    if not known.any():
        return None
    rows = test.filter(known)
    return evaluate(
        Judged(
            frame=trained.frame,
            table=rows,
            scores=trained.scores(rows),
            actual=labels[known].astype(np.int64),
            threshold=trained.threshold,
            required=required,
            part="test",
            seed=trained.seed,
            counts=row_counts(rows, trained.frame),
        )
    )


def agreements(best: Tried, material: Material, share: float) -> list[float]:
    """Gives, for each two models of two halves, the share of what they flag that both flag, by weight."""
    rows = sampled(material.table.height, CONTRAST_POINTS, material.seed)
    table, counts = material.table[rows], weights_for(material.counts_of(rows), len(rows))
    most = min(counts.sum(), max(FEWEST_FLAGGED, round(share * counts.sum())))
    found = []
    for pair in halves(material, RESAMPLES):
        models: list[Fitted] = [
            fit_rows(best.learner, best.trial.configuration, material, half) for half in pair
        ]
        first, second = (_highest(one.scores(table), counts, most) for one in models)
        both = counts[first].sum() + counts[second].sum()
        found.append(2 * float(counts[first & second].sum() / both))
    return found


def _highest(scores: NDArray[np.float64], counts: NDArray[np.float64], most: float) -> NDArray[np.bool_]:
    """Marks the rows of the highest scores, until they count so much together."""
    order = np.argsort(-scores, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    marked = np.zeros(len(scores), dtype=bool)
    marked[order[before < (1 - ROUNDING) * most]] = True
    return marked
