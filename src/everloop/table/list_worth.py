"""From the prices of the lifecycle file to what lists of items are worth on later events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.errors import DataFault, SpecFault
from everloop.measure.list_worth import ListWorth
from everloop.measure.pricing import unpriced
from everloop.measure.recommendation import JUDGED_ITEMS
from everloop.table.labels import label_texts
from everloop.table.prices import prices_of_rows, read_price
from everloop.table.schema import schema_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from everloop.spec.frame import Frame
    from everloop.spec.goal import ValueSpec
    from everloop.table.expression import Expression

TASK = "recommendation"
FEWEST_ENTITIES = 2
"""An item that fewer entities had says nothing about others, and is not recommended."""


def list_worth_of(value: ValueSpec | None, frame: Frame, later: pl.DataFrame) -> ListWorth | None:
    """Prices lists by the events that came after they were shown.

    An item counts once for each entity, by the first of its later events: it is listed once.

    Args:
        value: `goal.value` of the lifecycle file.
        frame: The problem: its target names the item, its entity who had it.
        later: The later events, with every column that `hit` reads.

    Returns:
        What lists are worth; None where the task is another or nothing is priced.

    Raises:
        SpecFault: When a price is no number, names what is not there, or prices another task.
        DataFault: When a price is missing on an event.
    """
    import polars as pl

    if value is None or frame.task != TASK:
        return None
    hit, shown = read_list_prices(value, schema_of(later).types)
    money = prices_of_rows(later.lazy(), (hit,))[:, 0]
    texts = {"who": label_texts(later[str(frame.entity)]), "what": label_texts(later[frame.target])}
    events = pl.DataFrame(texts | {"money": pl.Series("money", money, dtype=pl.Float64)})
    if frame.time is not None:
        events = events.with_columns(later[frame.time].alias("when")).sort("when", maintain_order=True)
    known = events.drop_nulls(["who", "what"])
    lost = int(unpriced(known["money"].to_numpy()).sum())
    if lost:
        raise DataFault(
            f"The price of {lost} of {known.height} events is missing, infinite or beyond 1e100; "
            "expected a number.",
            hint=f"goal.value.hit: coalesce({value.hit}, 0)",
            place="goal.value.hit",
        )
    earned: dict[str, dict[str, float]] = {}
    for who, what, worth in known.select("who", "what", "money").iter_rows():
        earned.setdefault(who, {}).setdefault(what, worth)
    return ListWorth(earned, shown, value.currency)


def mean_hits(value: ValueSpec, frame: Frame, events: pl.DataFrame) -> dict[str, float]:
    """Gives what a hit of each item is worth on average over events: for when nothing but the item is known.

    Raises:
        SpecFault: As `list_worth_of`.
    """
    import polars as pl

    hit, _ = read_list_prices(value, schema_of(events).types)
    money = prices_of_rows(events.lazy(), (hit,))[:, 0]
    table = pl.DataFrame({"item": label_texts(events[frame.target]), "money": money}).drop_nulls()
    means = table.group_by("item").agg(pl.col("money").mean()).sort("item")
    return dict(means.iter_rows())


def read_list_prices(value: ValueSpec, types: Mapping[str, str] | None) -> tuple[Expression, float]:
    """Reads both prices of a list: the expression of a hit, and the money of each item that is shown.

    Args:
        value: `goal.value` of the lifecycle file.
        types: Of the columns of an event; None reads them without looking whether they are there.

    Raises:
        SpecFault: When one is no number, names what is not there, or another task is priced.
    """
    if value.kind != TASK:
        raise SpecFault(
            f"goal.value prices a {value.kind} decision, and the problem is a recommendation.",
            hint="goal.value: {hit: margin, shown: -0.01}    # SQL over an event; a number for each item",
            place="goal.value",
        )
    hit, shown = read_price("hit", value.hit, types), read_price("shown", value.shown, types)
    if shown.columns:
        raise SpecFault(
            f"goal.value.shown reads {', '.join(shown.columns)}; what showing an item costs is one number, "
            "since of an item that nobody took there is no event.",
            hint="goal.value: {shown: -0.01}",
            place="goal.value.shown",
        )
    return hit, float(prices_of_rows(_one_row(), (shown,))[0, 0])


def popular_items(events: pl.DataFrame, frame: Frame) -> tuple[str, ...]:
    """Gives the ten items that most entities had, the same for everyone: what is shown without a model."""
    import polars as pl

    pairs = pl.DataFrame(
        {"entity": label_texts(events[str(frame.entity)]), "item": label_texts(events[frame.target])}
    ).drop_nulls()
    return tuple(rank_items(pairs)["item"].head(JUDGED_ITEMS).to_list())


def rank_items(pairs: pl.DataFrame) -> pl.DataFrame:
    """Counts the entities of each item that can be recommended, the most popular first.

    Args:
        pairs: Texts, `entity` and `item`, none missing.
    """
    import polars as pl

    counts = pairs.group_by("item").agg(pl.col("entity").n_unique().alias("entities"), pl.len())
    counts = counts.filter(pl.col("entities") >= FEWEST_ENTITIES)
    return counts.sort(["entities", "len", "item"], descending=[True, True, False])


def _one_row() -> pl.LazyFrame:
    import polars as pl

    return pl.LazyFrame({"row": [0]})
