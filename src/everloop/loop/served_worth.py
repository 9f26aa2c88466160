"""What served lists, and served clusters, turned out to be worth: their decisions and actuals as numbers.

A row of such a task has no class or number that comes true. What is fed back is what came of it: of a list
the item that was taken, of a row in a cluster the money that it brought to act on it. The decision is then
whether the list is the model's (1) or the one that everyone would get (0), or whether the row is acted on.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from everloop.measure.recommendation import JUDGED_ITEMS
from everloop.measure.worth import Worth
from everloop.runtime.decision import PLAIN, acted_on
from everloop.table.acting import TASK as CLUSTERING
from everloop.table.acting import acting_worth
from everloop.table.labels import class_indices, label_texts
from everloop.table.list_worth import TASK as RECOMMENDATION
from everloop.table.list_worth import read_list_prices
from everloop.table.today import rows_where

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from everloop.loop.served import ServedRows, ServedVersion
    from everloop.spec import GoalSpec
    from everloop.spec.goal import ValueSpec

    Floats = NDArray[np.float64]

ITEM_WORTH = "item_worth"
"""The name under which a reference keeps what each item's hit is worth."""


def taken_values(value: ValueSpec, money: Floats, taken: Floats, lists: NDArray[np.int64]) -> Floats:
    """Prices lists by the one item that came of each, (n,).

    Args:
        value: `goal.value` of the lifecycle file.
        money: What each item that was taken is worth, (n,).
        taken: Its place among the items, NaN where it is none of them, (n,).
        lists: The places of the listed items, the best first, (n, places).
    """
    shown, listed = read_list_prices(value, None)[1], lists[:, :JUDGED_ITEMS]
    hit = (listed == taken[:, np.newaxis]).any(axis=1)
    return np.asarray(hit * money + shown * listed.shape[1])


def usual_list_value(version: ServedVersion, goal: GoalSpec) -> float | None:
    """Gives what a list is worth when one item is taken, by what was known of the version before it served.

    An item that is taken stands in the list as often as items that came later did: that is its recall.
    """
    prices, recall = version.reference.facts.get(ITEM_WORTH), version.row.metrics.get("recall_at_10")
    if goal.value is None or not prices or recall is None:
        return None
    shown = read_list_prices(goal.value, None)[1]
    return float(recall) * float(np.mean(list(prices.values()))) + shown * JUDGED_ITEMS


def served_actuals(rows: ServedRows) -> Floats:
    """Gives what came of each row in money, NaN where that is not known yet, (n,).

    Of a list the item that was taken, at its usual price; an item without one, or a word for none, is 0.
    """
    import polars as pl

    said = rows.lines["actual"].cast(pl.String)
    if rows.by.frame.task == CLUSTERING:
        return said.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    prices = _item_worth(rows)
    found = [float("nan") if item is None else prices.get(item, 0.0) for item in said]
    return np.array(found, dtype=np.float64)


def served_decisions(rows: ServedRows) -> Floats:
    """Gives 1 for each list, or where a row's cluster is acted on, (n,)."""
    if rows.by.frame.task == RECOMMENDATION:
        return np.ones(rows.lines.height)
    manifest = rows.by.package.manifest
    places = class_indices(rows.lines["prediction"], manifest.classes)
    known = ~np.isnan(places)
    acted = np.zeros(len(places))
    acted[known] = acted_on(places[known], manifest.classes, manifest.decision or PLAIN)
    return acted


def served_today(rows: ServedRows, goal: GoalSpec) -> Floats | None:
    """Gives what would be decided without the model, in the form of `served_decisions`, (n,)."""
    if goal.value is None:
        return None
    count = rows.lines.height
    if rows.by.frame.task == RECOMMENDATION:
        return np.zeros(count)
    if goal.today is not None and goal.today.rule is not None:
        return rows_where(goal.today.rule, rows.inputs).astype(np.float64)
    if goal.today is not None:
        return np.full(count, float(goal.today.always == "all"))
    return np.full(count, float((rows.by.reference.facts.get("today") or 0.0) > 0.0))


def _acting(rows: ServedRows, goal: GoalSpec) -> Worth | None:
    """Acting on a row is worth what was fed back; not acting nothing."""
    if goal.value is None:
        return None
    return acting_worth(goal.value.currency, rows.lines.height)


def _lists(rows: ServedRows, goal: GoalSpec) -> Worth | None:
    """A list is worth its hit, if the item that was taken stood in it, less what showing costs."""
    if goal.value is None or not _item_worth(rows):
        return None
    shown = read_list_prices(goal.value, None)[1]
    popular = np.asarray(rows.by.package.answer({}).prediction).tolist()[:JUDGED_ITEMS]
    taken = label_texts(rows.lines["actual"]).to_list()
    lists = [json.loads(text)[:JUDGED_ITEMS] for text in rows.lines["prediction"].fill_null("[]")]
    ours = np.array([item in said for item, said in zip(taken, lists, strict=True)], dtype=np.float64)
    theirs = np.array([item in popular for item in taken], dtype=np.float64)
    counts = np.array([len(said) for said in lists], dtype=np.float64)

    def money_of(places: NDArray[np.int64], money: Floats, model: Floats) -> Floats:
        hit = np.where(model > 0, ours[places], theirs[places])
        listed = np.where(model > 0, counts[places], len(popular))
        return np.asarray(hit * money + shown * listed)

    return Worth(RECOMMENDATION, errors=money_of, size=rows.lines.height, currency=goal.value.currency)


def _item_worth(rows: ServedRows) -> dict[str, float]:
    return dict(rows.by.reference.facts.get(ITEM_WORTH) or {})


SERVED_WORTH: dict[str, Callable[[ServedRows, GoalSpec], Worth | None]] = {
    RECOMMENDATION: _lists,
    CLUSTERING: _acting,
}
"""A task whose rows have no actual of their own -> what its answers are worth by what came of them."""
