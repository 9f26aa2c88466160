"""What each entity had, as numbers; and what lists are worth against what came later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault
from everloop.measure.recommendation import held
from everloop.model.interactions import matrix_of
from everloop.table.labels import label_texts
from everloop.table.list_worth import FEWEST_ENTITIES, rank_items
from everloop.table.weights import weights_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

BATCH = 500


@dataclass(frozen=True, slots=True)
class Histories:
    """Events as numbers.

    Attributes:
        entities: The entities' texts, in the order of their numbers.
        items: The items' texts, the most frequent first.
        events: Numbers of entity and item of each event, (n, 2).
        weights: How much each event says, (n,); None where all say the same.
    """

    entities: tuple[str, ...]
    items: tuple[str, ...]
    events: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, table: pl.DataFrame, entity: str, item: str, weight: str | None = None) -> Histories:
        """Numbers the entities and items of a table; rows without one, and rare items, are left out.

        Args:
            table: The events.
            entity: The column that names who.
            item: The column that names what.
            weight: How much an event says, SQL over it; one of weight 0 is left out.

        Raises:
            DataFault: When no item is left that two entities had, or a weight is negative or missing.
            SpecFault: When the weight cannot be read.
        """
        import polars as pl

        pairs = _pairs(table, entity, item, weight)
        items = rank_items(pairs)["item"].to_list()
        if len(items) < 2:
            raise DataFault(
                f"{len(items)} values of {item!r} were had by {FEWEST_ENTITIES} or more of {entity!r}: "
                "there is nothing to recommend.",
                hint="look at problem.target (the item) and problem.entity (who had it)",
            )
        kept = pairs.filter(pl.col("item").is_in(items))
        entities = kept["entity"].unique().sort().to_list()
        numbers = [
            kept[name].replace_strict(texts, list(range(len(texts))), return_dtype=pl.Float64).to_numpy()
            for name, texts in (("entity", entities), ("item", items))
        ]
        weights = None if weight is None else kept["weight"].to_numpy()
        return cls(tuple(entities), tuple(items), np.column_stack(numbers), weights)

    def matrix(self) -> Any:
        """Gives how often each entity had each item, by weight, sparse (entities, items)."""
        return matrix_of(self.events, self.weights)


@dataclass(frozen=True, slots=True)
class Lists:
    """The best items for each known entity, and last for strangers: positions and scores."""

    items: NDArray[np.int64]
    scores: NDArray[np.float64]


def lists_of(estimator: Any, histories: Histories, *, repeats: bool, listed: int) -> Lists:
    """Lists the best items for each entity; strangers get what most entities had.

    Args:
        estimator: Gives ``scores(rows)``, (m, items).
        histories: What each entity had.
        repeats: Whether an item that an entity had comes into its list again.
        listed: How many items a list has, where there are as many.
    """
    rows = histories.matrix()
    places = min(listed, len(histories.items))
    items, scores = [], []
    for start in range(0, rows.shape[0], BATCH):
        part = rows[start : start + BATCH]
        found = estimator.scores(part)
        if not repeats:
            had = part.nonzero()
            found[had] -= 2 * np.abs(found).max() + 1.0  # last, should all else run out
        best = np.argsort(-found, axis=1, kind="stable")[:, :places]
        items.append(best)
        scores.append(np.take_along_axis(found, best, axis=1))
    popular = np.asarray((rows > 0).sum(axis=0), dtype=np.float64).ravel()[np.newaxis]
    best = np.argsort(-popular, axis=1, kind="stable")[:, :places]
    items.append(best)
    scores.append(np.take_along_axis(popular / max(1.0, rows.shape[0]), best, axis=1))
    return Lists(np.concatenate(items), np.concatenate(scores))


def judged_lists(
    lists: Mapping[str, tuple[str, ...]],
    strangers: tuple[str, ...],
    later: pl.DataFrame,
    entity: str,
    item: str,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Holds lists against what came later.

    Args:
        lists: An entity's text -> its items' texts, the best first.
        strangers: The list of an entity that has none.
        later: The later events.
        entity: The column that names who.
        item: The column that names what.

    Returns:
        1 where the item at a place came later, (entities, places), and how many different items came,
        (entities,), for every entity that had something later, in the order of their texts.
    """
    import polars as pl

    pairs = pl.DataFrame(
        {"entity": label_texts(later[entity]), "item": label_texts(later[item])}
    ).drop_nulls()
    truth = pairs.group_by("entity").agg(pl.col("item").unique()).sort("entity")
    return held({who: set(what) for who, what in truth.iter_rows()}, lists, strangers)


def _pairs(table: pl.DataFrame, entity: str, item: str, weight: str | None) -> pl.DataFrame:
    import polars as pl

    pairs = pl.DataFrame({"entity": label_texts(table[entity]), "item": label_texts(table[item])})
    if weight is not None:
        pairs = pairs.with_columns(pl.Series("weight", weights_of(table, weight)))
        pairs = pairs.filter(pl.col("weight") > 0)
    return pairs.drop_nulls()
