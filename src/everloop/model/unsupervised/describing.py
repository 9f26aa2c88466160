"""What tells the clusters apart, in the columns as people know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.model.evaluation import Cluster, Trait

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec.frame import Frame

TRAITS = 4
MOST_CATEGORIES = 50
FEWEST_SHARE = 0.2


def describe(table: pl.DataFrame, labels: NDArray[np.int64], frame: Frame) -> tuple[Cluster, ...]:
    """Describes each cluster by the columns in which it differs most from all rows.

    A number differs by how many standard deviations of all rows its mean in the cluster is away, a
    category by how much more, or less, frequent it is there (in standard deviations of a share).

    Args:
        table: The rows.
        labels: The cluster of each, (n,).
        frame: The problem, with the clusters' names.
    """
    columns = [name for name in frame.inputs if name in table.columns]
    found = []
    for place, name in enumerate(frame.classes):
        member = labels == place
        traits = [trait for column in columns for trait in _traits(table[column], member)]
        strongest = sorted(traits, key=lambda one: -abs(one.distance))[:TRAITS]
        share = float(member.mean()) if len(member) else 0.0
        found.append(Cluster(name, int(member.sum()), share, tuple(strongest)))
    return tuple(found)


def _traits(column: pl.Series, member: NDArray[np.bool_]) -> list[Trait]:
    if not member.any():
        return []
    if column.dtype.is_numeric():
        return _of_number(column, member)
    if column.dtype.is_temporal():
        return []
    return _of_category(column, member)


def _of_number(column: pl.Series, member: NDArray[np.bool_]) -> list[Trait]:
    values = column.cast(float).fill_null(float("nan")).to_numpy()
    inside, known = values[member & np.isfinite(values)], values[np.isfinite(values)]
    spread = float(known.std()) if len(known) else 0.0
    if not len(inside) or spread == 0.0:
        return []
    distance = float((inside.mean() - known.mean()) / spread)
    return [Trait(column.name, None, float(np.median(inside)), float(np.median(known)), distance)]


def _of_category(column: pl.Series, member: NDArray[np.bool_]) -> list[Trait]:
    from everloop.table.labels import label_counts, label_texts

    texts = label_texts(column)
    traits: list[Any] = []
    for text in list(label_counts(column))[:MOST_CATEGORIES]:
        has = (texts == text).fill_null(value=False).to_numpy()
        inside, overall = float(has[member].mean()), float(has.mean())
        if max(inside, overall) >= FEWEST_SHARE and 0.0 < overall < 1.0:
            distance = (inside - overall) / float(np.sqrt(overall * (1 - overall)))
            traits.append(Trait(column.name, text, inside, overall, distance))
    return traits
