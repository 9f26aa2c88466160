"""What tells the clusters apart, in the columns as people know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.arrays import weights_for
from everloop.measure.weighted_mean import weighted_median
from everloop.model.evaluation import Cluster, Trait

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.measure.arrays import Floats
    from everloop.spec.frame import Frame

TRAITS = 4
MOST_CATEGORIES = 50
FEWEST_SHARE = 0.2


def describe(
    table: pl.DataFrame,
    labels: NDArray[np.int64],
    frame: Frame,
    counts: NDArray[np.float64] | None = None,
) -> tuple[Cluster, ...]:
    """Describes each cluster by the columns in which it differs most from all rows.

    A number differs by how many standard deviations of all rows its mean in the cluster is away, a
    category by how much more, or less, frequent it is there (in standard deviations of a share).

    Args:
        table: The rows.
        labels: The cluster of each, (n,).
        frame: The problem, with the clusters' names.
        counts: What each row counts in shares, means and medians, (n,); None where all count alike.
    """
    each = weights_for(counts, table.height)
    columns = [name for name in frame.inputs if name in table.columns]
    found = []
    for place, name in enumerate(frame.classes):
        member = labels == place
        traits = [trait for column in columns for trait in _traits(table[column], member, each)]
        strongest = sorted(traits, key=lambda one: -abs(one.distance))[:TRAITS]
        share = float(np.average(member, weights=each)) if len(member) else 0.0
        found.append(Cluster(name, int(member.sum()), share, tuple(strongest)))
    return tuple(found)


def _traits(column: pl.Series, member: NDArray[np.bool_], each: Floats) -> list[Trait]:
    if not member.any():
        return []
    if column.dtype.is_numeric():
        return _of_number(column, member, each)
    if column.dtype.is_temporal():
        return []
    return _of_category(column, member, each)


def _of_number(column: pl.Series, member: NDArray[np.bool_], each: Floats) -> list[Trait]:
    values = column.cast(float).fill_null(float("nan")).to_numpy()
    known = np.isfinite(values)
    values, inside, each = values[known], member[known], each[known]
    if not inside.any():
        return []
    middle = np.average(values, weights=each)
    spread = float(np.sqrt(np.average((values - middle) ** 2, weights=each)))
    if spread == 0.0:
        return []
    distance = float((np.average(values[inside], weights=each[inside]) - middle) / spread)
    medians = weighted_median(values[inside], each[inside]), weighted_median(values, each)
    return [Trait(column.name, None, *medians, distance)]


def _of_category(column: pl.Series, member: NDArray[np.bool_], each: Floats) -> list[Trait]:
    from everloop.table.labels import label_counts, label_texts

    texts = label_texts(column)
    traits: list[Any] = []
    for text in list(label_counts(column))[:MOST_CATEGORIES]:
        has = (texts == text).fill_null(value=False).to_numpy()
        inside = float(np.average(has[member], weights=each[member]))
        overall = float(np.average(has, weights=each))
        if max(inside, overall) >= FEWEST_SHARE and 0.0 < overall < 1.0:
            distance = (inside - overall) / float(np.sqrt(overall * (1 - overall)))
            traits.append(Trait(column.name, text, inside, overall, distance))
    return traits
