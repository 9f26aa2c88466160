"""Clusters: by which algorithm, and how many.

A trial is judged on rows that it was not fitted on: they are given to its clusters, and the silhouette
says how much nearer they lie to their own than to the next. Clusters that are not found again in another
half of the rows are none, so a trial whose halves disagree is passed over. How many normal distributions
a mixture has is settled by the Bayesian information criterion, among mixtures alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.arrays import weights_for
from everloop.measure.clusters import adjusted_rand, silhouette_values
from everloop.measure.intervals import UNKNOWN, Interval, bootstrap_interval, mean_interval
from everloop.measure.metrics import METRICS, compute
from everloop.model.evaluation import Evaluation
from everloop.model.unsupervised.describing import describe
from everloop.model.unsupervised.material import decided, fit_rows, halves, sampled
from everloop.model.unsupervised.outcome import Chosen, requirements_of, share_interval
from everloop.model.unsupervised.trials import Finding, Tried
from everloop.report.writing import plural
from everloop.table.weights import row_counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Learner
    from everloop.model.trained import Trained
    from everloop.model.training_inputs import TrainingSettings
    from everloop.model.trial import Material
    from everloop.spec.frame import Frame

MOST_CLUSTERS = 10
COMPARED_ROWS = 2_000
JUDGED_ROWS = 1_000
RESAMPLES = 3
STABLE = 0.6
"""Below this adjusted Rand index two halves of the rows tell of different clusters."""

CLEAR = 0.25
"""Kaufman and Rousseeuw ("Finding Groups in Data", 1990): below it there is no structure to speak of."""

REPEATS = 200


def proposals(learners: Sequence[Learner], seed: int) -> Iterator[tuple[Learner, dict[str, Any]]]:
    """Gives what is tried: of each learner its configurations, with every number of clusters it takes."""
    del seed
    for learner in learners:
        counted = any(item.name == "clusters" for item in learner.space)
        for configuration in learner.portfolio:
            for clusters in range(2, MOST_CLUSTERS + 1) if counted else (None,):
                number = {} if clusters is None else {"clusters": clusters}
                yield learner, {**configuration, **number}


def judge(material: Material, learner: Learner, configuration: Mapping[str, Any]) -> Finding:
    """Fits clusters on each fold and judges them by rows of the fold, then looks whether halves agree."""
    metric = material.frame.metric
    measured_by = metric if METRICS[metric].needs == "rows" else "silhouette"
    scores, bic, rows = [], [], 0
    for number, fold in enumerate(material.folds):
        fitted = fit_rows(learner, configuration, material, fold.train)
        held = fold.validation[sampled(len(fold.validation), JUDGED_ROWS, material.seed + number)]
        table = material.table[held]
        labels = decided(fitted.scores(table), material.frame.task)
        scores.append(compute(measured_by, fitted.encode(table), labels, material.counts_of(held)))
        if hasattr(fitted.estimator, "bic"):
            train = fold.train[sampled(len(fold.train), COMPARED_ROWS, material.seed)]
            X = fitted.encode(material.table[train])
            bic.append(criterion(fitted.estimator, X, material.counts_of(train)))
        rows = max(rows, len(fold.train))
    facts = {"stability": float(np.mean(agreements(material, learner, configuration)))}
    return Finding(tuple(scores), rows, facts | ({"bic": float(np.mean(bic))} if bic else {}))


def criterion(mixture: Any, X: NDArray[np.float64], counts: NDArray[np.float64] | None) -> float:
    """Gives the Bayesian information criterion of as many rows as there are, each by what it counts."""
    found = float(mixture.bic(X))
    if counts is None:
        return found
    likely = mixture.score_samples(X)
    return found + 2 * len(X) * float(likely.mean() - np.average(likely, weights=counts))


def agreements(material: Material, learner: Learner, configuration: Mapping[str, Any]) -> list[float]:
    """Gives, for each two models of two halves, how far they divide the same rows alike."""
    rows = sampled(material.table.height, JUDGED_ROWS, material.seed)
    table, counts = material.table[rows], material.counts_of(rows)
    found = []
    for pair in halves(material, RESAMPLES):
        labels = [
            decided(
                fit_rows(learner, configuration, material, half).scores(table),
                material.frame.task,
            )
            for half in pair
        ]
        found.append(max(0.0, adjusted_rand(labels[0], labels[1], counts)))
    return found


def choose(tried: Sequence[Tried], frame: Frame) -> tuple[Tried, str]:
    """Takes the clearest clusters among those that are found again, and says why these."""
    sign = 1.0 if METRICS[frame.metric].greater_is_better else -1.0
    done = [one for one in tried if one.trial.error is None]
    eligible = _by_criterion(done)
    stable = [one for one in eligible if one.facts["stability"] >= STABLE]
    best = max(stable or eligible, key=lambda one: (_rank(one, frame, sign), -one.trial.number))
    others = sorted(
        (one for one in eligible if one.learner.name == best.learner.name and one is not best),
        key=lambda one: -sign * one.score,
    )
    told = ", ".join(f"{_numbered(one)}: {one.score:.3g}" for one in others[:4])
    reason = f"{_numbered(best)} by {best.learner.name} have the best {frame.metric} on rows of a fold"
    reason += f", {best.score:.3g}{f' ({told})' if told else ''}"
    reason += f", of the {len(stable)} of {plural(len(done), 'trial')} that two halves of the rows agree on"
    reason += f"; here by {best.facts['stability']:.2f}." if stable else ": none."
    if not stable:
        reason += " Read the clusters as a way to divide the rows, not as kinds that there are."
    return best, reason


def _rank(one: Tried, frame: Frame, sign: float) -> float:
    return one.facts["stability"] if frame.metric == "stability" else sign * one.score


def _by_criterion(done: Sequence[Tried]) -> list[Tried]:
    """Keeps of the mixtures the one that the criterion prefers, and all others."""
    counted = [one for one in done if "bic" in one.facts]
    preferred = min(counted, key=lambda one: one.facts["bic"]) if counted else None
    return [one for one in done if "bic" not in one.facts or one is preferred]


def _numbered(one: Tried) -> str:
    clusters = one.trial.configuration.get("clusters")
    if clusters is not None:
        return f"{clusters} clusters"
    return "clusters of " + " ".join(f"{name} {value}" for name, value in one.trial.configuration.items())


def finish(chosen: Chosen, material: Material, settings: TrainingSettings) -> Trained:
    """Names the clusters by their number, the largest first, and says what is weak about them."""
    del material, settings
    trained = chosen.trained
    found = trained.estimator
    clusters = len(found.weights_ if hasattr(found, "weights_") else found.classes_)
    notes = trained.notes
    if chosen.best.trial.score is not None and trained.frame.metric == "silhouette":
        unclear = chosen.best.trial.score < CLEAR
        notes += (f"The clusters run into each other: a silhouette below {CLEAR}.",) if unclear else ()
    frame = replace(trained.frame, classes=tuple(str(one + 1) for one in range(clusters)))
    return replace(trained, frame=frame, notes=notes)


def judged(
    trained: Trained, chosen: Chosen, material: Material, test: pl.DataFrame, settings: TrainingSettings
) -> Evaluation:
    """Evaluates on the test part, and tells what sets each cluster apart on the rows that it was made of."""
    best = chosen.best
    metrics = measured(trained, test)
    metrics["stability"] = share_interval(agreements(material, best.learner, best.trial.configuration))
    table = material.table
    return Evaluation(
        part="test",
        rows=test.height,
        metric=trained.frame.metric,
        metrics=metrics,
        classes=trained.frame.classes,
        clusters=describe(table, trained.scores(table).argmax(axis=1), trained.frame, material.counts),
        requirements=requirements_of(settings.required, metrics),
    )


def measured(trained: Trained, table: pl.DataFrame) -> dict[str, Interval]:
    """Measures how far apart the clusters lie on rows that they were not made of."""
    rows = table[sampled(table.height, COMPARED_ROWS, trained.seed)]
    X = trained.encode(rows)
    labels = trained.scores(rows).argmax(axis=1)
    counts = weights_for(row_counts(rows, trained.frame), rows.height)
    values = silhouette_values(X, labels, counts)
    known = not np.isnan(values).any()
    found = {"silhouette": mean_interval(values, weights=counts) if known else UNKNOWN}
    for name in ("davies_bouldin", "calinski_harabasz"):
        found[name] = bootstrap_interval(
            lambda rows, labels, each, name=name: compute(name, rows, labels, each),
            X,
            labels,
            counts,
            seed=trained.seed,
            repeats=REPEATS,
        )
    return found
