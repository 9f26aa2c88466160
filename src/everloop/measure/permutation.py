"""Whether scores tell anything: a permutation test on rows that their model did not learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from everloop.measure.metrics import compute, metric_named


def permutation_p(
    name: str, actual: ArrayLike, predicted: ArrayLike, *, seed: int, draws: int = 299
) -> float:
    """The chance of a metric at least as good if actuals had nothing to do with what was predicted.

    The model must not have seen the actuals; then, if they tell nothing, every order of them is as likely,
    and the answer is exact: no more than a share p of such tables gives p or less.

    Args:
        name: A key of `METRICS`.
        actual: As the metric takes them, shape (n,).
        predicted: As the metric takes them, shape (n,) or (n, classes).
        seed: Of the orders.
        draws: How many orders are tried; the least answer is 1 / (draws + 1).

    Returns:
        Between 0 and 1; 1.0 where the metric is not defined.

    Source:
        Phipson and Smyth, "Permutation p-values should never be zero" (2010).
    """
    truth, given = np.asarray(actual), np.asarray(predicted)
    sign = 1.0 if metric_named(name).greater_is_better else -1.0
    found = sign * compute(name, truth, given)
    if np.isnan(found):
        return 1.0
    random = np.random.default_rng(seed)
    # A metric is computed in another order of rows each time: what differs by rounding alone is a tie.
    slack = 1e-12 * max(1.0, abs(found))
    as_good = sum(
        sign * compute(name, random.permutation(truth), given) >= found - slack for _ in range(draws)
    )
    return (1 + as_good) / (draws + 1)


def combined_p(values: Sequence[float]) -> float:
    """One chance from several tests of the same thing, however they depend on each other: twice the mean.

    Source:
        Rüschendorf, Advances in Applied Probability 14 (1982); Vovk and Wang, Biometrika 107 (2020).
    """
    return min(1.0, 2.0 * float(np.mean(values))) if len(values) > 1 else float(values[0]) if values else 1.0
