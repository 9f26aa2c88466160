"""What users call: the reference of a version, a window's finding, drift of two tables, estimates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from everloop.measure.estimate import fit_estimator
from everloop.measure.intervals import Interval
from everloop.monitor.comparing import DriftReport, compare_tables
from everloop.monitor.detectors import detector
from everloop.monitor.judging import judge
from everloop.monitor.references import reference
from everloop.monitor.telling_apart import window_weights

__all__ = ["detector", "drift", "estimate", "judge", "reference"]


def drift(
    reference: Any,
    current: Any,
    *,
    alarms: int = 1,
    windows: int = 100,
    multivariate: bool = False,
    segments: str | Sequence[str] = (),
    seed: int = 0,
) -> DriftReport:
    """Says whether a table moved further from another than chance explains, and which columns did.

    Samples drawn again from the first table show how far chance moves each column; the threshold is set on
    the evidence of all columns together, so many columns do not make false alarms. Rows are taken as
    independent: where they have times, `reference` and `judge` also take season into account.

    Args:
        reference: The reference table: Polars, pandas, Arrow, DuckDB or a path; at least 60 rows.
        current: The current table.
        alarms: How many false alarms are acceptable ...
        windows: ... in how many comparisons.
        multivariate: Whether a learner shall also try to tell the rows of both tables apart, which finds
            what no column shows alone; it takes seconds, and half of the budget of false alarms.
        segments: A column, or several, by whose values the others are compared, too, each value apart;
            the budget is that of all of them together.
        seed: Of the sampling.

    Returns:
        The report; it shows itself in a notebook. ``statistics`` holds every distance of every column.

    Raises:
        DataFault: When a table is too small, or they share no column that can be compared.

    Example:
        >>> import polars as pl
        >>> before = pl.DataFrame({"age": [20 + i % 40 for i in range(400)]})
        >>> report = drift(before, before.with_columns(pl.col("age") + 30))
        >>> report.drifted, round(report.statistics["age"]["kolmogorov_smirnov"], 2)
        (True, 0.75)
    """
    return compare_tables(
        reference,
        current,
        alarms=alarms,
        windows=windows,
        multivariate=multivariate,
        segments=(segments,) if isinstance(segments, str) else tuple(segments),
        seed=seed,
    )


def estimate(
    scores: ArrayLike,
    reference_scores: ArrayLike,
    reference_actuals: ArrayLike,
    metric: str,
    *,
    threshold: float = 0.5,
    prices: ArrayLike | None = None,
    inputs: tuple[Any, Any] | None = None,
) -> Interval:
    """Estimates how a model does on rows whose actuals are not known yet.

    It supposes that a score still means what it meant on the reference: inputs may have moved, the
    chance of the outcome given the score not.

    Args:
        scores: Scores of the rows, shape (n,).
        reference_scores: Scores with known actuals, shape (m,), at least 20.
        reference_actuals: 0/1, shape (m,).
        metric: Such as ``roc_auc``, ``recall`` or ``value_per_decision``.
        threshold: The decision is ``score >= threshold``.
        prices: For ``value_per_decision``, shape (n, 4) or (4,).
        inputs: Two tables, the rows behind the scores and those behind the reference scores. Then rows of
            the reference count as much as they are frequent in the window, so a score may mean something
            else where the inputs have moved (PAPE); without them, what it meant on all of it (CBPE).

    Returns:
        The estimate with its 95 % interval.
    """
    weights = None if inputs is None else window_weights(inputs[1], inputs[0])
    fitted = fit_estimator(reference_scores, reference_actuals, weights=weights)
    return fitted.estimate(scores, (metric,), threshold=threshold, prices=prices)[metric]
