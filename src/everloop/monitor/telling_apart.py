"""Whether a learner can tell the rows of two tables apart: shifts that no column shows alone.

Example:
    >>> import numpy as np, polars as pl
    >>> random = np.random.default_rng(0)
    >>> a = random.normal(size=600)
    >>> before = pl.DataFrame({"a": a, "b": a + random.normal(0, 0.3, 600)})
    >>> after = pl.DataFrame({"a": a, "b": random.permutation(before["b"].to_numpy())})
    >>> found = tell_apart(before, after)
    >>> found.exceeded, sorted(found.columns)
    (True, ['a', 'b'])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from everloop.core.errors import DataFault
from everloop.core.extras import require
from everloop.measure.ranking import roc_auc
from everloop.monitor.columns import numbers_of, watched_columns
from everloop.monitor.facets import facets_of, with_facets
from everloop.table.tables import as_frame

if TYPE_CHECKING:
    import polars as pl

_MOST_ROWS = 10_000
_FEWEST_ROWS = 60
_FEWEST_DRAWS = 199
_RATIO_BOUND = 50.0
_CATEGORIES = 200

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class ToldApart:
    """How well rows of two tables can be told apart.

    Attributes:
        exceeded: Whether better than the budget of false alarms allows.
        area: The area under the curve on rows that the learner has not seen; 0.5 is not at all.
        threshold: What it was compared with: what it reaches by chance so often.
        columns: By how much the area falls when a column's values are mixed, the most telling first; those
            that tell nothing are left out.
    """

    exceeded: bool
    area: float
    threshold: float
    columns: Mapping[str, float]


def tell_apart(
    reference: Any, current: Any, *, alarms: int = 1, windows: int = 100, seed: int = 0
) -> ToldApart:
    """Learns to tell the rows of two tables apart on half of them, and tries it on the other half.

    The threshold is exact whatever the learner: on rows that it has not seen, every order of the two
    tables is as likely if they are alike. At most 10,000 rows of each are drawn.

    Args:
        reference: Polars, pandas, Arrow, DuckDB or a path; at least 60 rows.
        current: The other.
        alarms: How many false alarms are acceptable ...
        windows: ... in how many comparisons.
        seed: Of the draws and the learner.

    Raises:
        DataFault: When a table is too small, or they share no column that can be compared.
        MissingExtra: Without scikit-learn.

    Source:
        Lopez-Paz and Oquab, "Revisiting classifier two-sample tests" (ICLR 2017); the domain classifier
        of Rabanser et al., "Failing Loudly", arXiv 1810.11953.
    """
    random = np.random.default_rng(seed)
    names, rows, side = _joined(reference, current, random)
    half = random.permutation(side.size) < side.size // 2
    learner = _learner(seed).fit(rows[half], side[half])
    held, truth = rows[~half], side[~half] == 1
    told = learner.predict_proba(held)[:, 1]
    area = _area(truth, told)
    draws = int(max(_FEWEST_DRAWS, np.ceil(2 * windows / alarms)))
    by_chance = np.sort([_area(random.permutation(truth), told) for _ in range(draws)])
    rank = int(np.ceil((draws + 1) * (1 - alarms / windows) - 1e-9))
    threshold = float(by_chance[min(rank, draws) - 1])
    falls = {}
    for place, name in enumerate(names):
        mixed = held.copy()
        mixed[:, place] = random.permutation(mixed[:, place])
        falls[name] = area - _area(truth, learner.predict_proba(mixed)[:, 1])
    telling = {name: fall for name, fall in sorted(falls.items(), key=lambda one: -one[1]) if fall > 0}
    return ToldApart(area > threshold, area, threshold, telling if area > threshold else {})


def window_weights(reference: Any, current: Any, *, seed: int = 0) -> Numbers:
    """Says how much more frequent each row of the reference is in the current table, shape (rows,).

    Each half of the rows is weighed by a learner that has seen the other half alone. Weights have a mean
    of 1; none is above 50 times the mean, which keeps a few rows from deciding alone.

    Raises:
        DataFault: When a table is too small, or they share no column that can be compared.
        MissingExtra: Without scikit-learn.

    Source:
        Density ratios by classification: Bickel, Brückner and Scheffer, ICML 2007; for performance
        estimation, Bialek et al., arXiv 2401.08348.
    """
    random = np.random.default_rng(seed)
    _, rows, side = _joined(reference, current, random, most=None)
    half = random.permutation(side.size) < side.size // 2
    chance = np.empty(side.size)
    for part in (half, ~half):
        learner = _learner(seed).fit(rows[~part], side[~part])
        chance[part] = learner.predict_proba(rows[part])[:, 1]
    known = chance[side == 0]
    odds = np.clip(known, 1e-6, 1 - 1e-6) / (1 - np.clip(known, 1e-6, 1 - 1e-6))
    bounded: Numbers = np.minimum(odds / odds.mean(), _RATIO_BOUND)
    weights: Numbers = bounded / bounded.mean()
    return weights


def _area(truth: NDArray[np.bool_], told: Numbers) -> float:
    return float(roc_auc(truth, told, np.ones(truth.size)))


def _learner(seed: int) -> Any:
    ensemble = require("sklearn.ensemble", extra="train")
    return ensemble.HistGradientBoostingClassifier(
        max_iter=60, learning_rate=0.1, max_leaf_nodes=15, min_samples_leaf=20, random_state=seed
    )


def _joined(
    reference: Any, current: Any, random: np.random.Generator, *, most: int | None = _MOST_ROWS
) -> tuple[tuple[str, ...], Numbers, NDArray[np.int64]]:
    """The rows of both as numbers, (rows, columns), the reference first, and which of them each is of."""
    before, after = as_frame(reference), as_frame(current)
    for side, frame in (("reference", before), ("current", after)):
        if frame.height < _FEWEST_ROWS:
            raise DataFault(f"The {side} table has {frame.height} rows; {_FEWEST_ROWS} are needed.")
    first, second = (_drawn(frame, most, random) for frame in (before, after))
    facets = facets_of(first, second.columns)
    frames = [with_facets(first, facets, own=True), with_facets(second, facets)]
    shared = watched_columns(frames[1])
    names = tuple(name for name in watched_columns(frames[0]) if name in shared)
    if not names:
        raise DataFault("The two tables share no column that can be compared.")
    columns = [np.concatenate(_numbers(*(frame[name] for frame in frames))) for name in names]
    sizes = [frame.height for frame in frames]
    return names, np.column_stack(columns), np.repeat([0, 1], sizes).astype(np.int64)


def _drawn(frame: pl.DataFrame, most: int | None, random: np.random.Generator) -> pl.DataFrame:
    if most is None or frame.height <= most:
        return frame
    return frame[np.sort(random.choice(frame.height, most, replace=False))]


def _numbers(before: pl.Series, after: pl.Series) -> tuple[Numbers, Numbers]:
    """Numbers as they are; texts by how frequent they are on the reference, new ones as the rarest."""
    import polars as pl

    if before.dtype.is_numeric():
        return numbers_of(before), numbers_of(after)
    texts = [side.cast(pl.String) for side in (before, after)]
    ranked = texts[0].drop_nulls().value_counts(sort=True)[before.name].head(_CATEGORIES).to_list()
    place = {text: float(rank) for rank, text in enumerate(ranked)}
    sides = [
        np.array([np.nan if text is None else place.get(text, float(_CATEGORIES)) for text in side.to_list()])
        for side in texts
    ]
    return sides[0], sides[1]
