"""What decisions on rows of the past were worth, since their actuals are known by now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import NotFound
from everloop.deploy.versions import champion
from everloop.measure.recommendation import JUDGED_ITEMS
from everloop.runtime.decision import PLAIN
from everloop.table.acting import TASK as CLUSTERING
from everloop.table.acting import acting_worth
from everloop.table.labels import actuals_of, label_text, label_texts
from everloop.table.list_worth import TASK as RECOMMENDATION
from everloop.table.list_worth import read_list_prices
from everloop.table.prices import prices_of_rows
from everloop.table.schema import schema_of
from everloop.table.worth import worth_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.loop.history import History
    from everloop.loop.workspace import Workspace
    from everloop.measure.worth import Worth
    from everloop.runtime.manifest import Manifest
    from everloop.spec.frame import Frame
    from everloop.spec.goal import ValueSpec


@dataclass(frozen=True)
class Taken:
    """What was taken at each event of the past.

    Attributes:
        items: The items' texts, None where none was, (rows,).
        money: What each is worth where it stands in a list, (rows,).
        shown: What each item that is shown is worth.
    """

    items: tuple[str | None, ...]
    money: NDArray[np.float64]
    shown: float

    @classmethod
    def of(cls, value: ValueSpec, rows: History, item: str) -> Taken:
        """Prices the events by the file's `hit` and `shown`."""
        events = rows.rows.with_columns(rows.facts["actual"].alias(item))
        hit, shown = read_list_prices(value, schema_of(events).types)
        money = prices_of_rows(events.lazy(), (hit,))[:, 0]
        return cls(tuple(label_texts(events[item]).to_list()), money, shown)

    def values(self, places: Sequence[int] | NDArray[np.int64], lists: Sequence[Any]) -> NDArray[np.float64]:
        """Gives what lists were worth, each by the one event that came of it, (n,); NaN where none did."""
        found = np.full(len(places), np.nan)
        for k, (place, said) in enumerate(zip(places, lists, strict=True)):
            item = self.items[int(place)]
            if item is not None and said is not None:
                listed = list(said)[:JUDGED_ITEMS]
                found[k] = self.money[int(place)] * (item in listed) + self.shown * len(listed)
        return found


def decision_by(manifest: Manifest, prediction: Any) -> Any:
    """Gives what a version decides by its answer: the answer, or 1 where a row's cluster is acted on, else 0.

    Clusters of two versions may have the same names; which of them are acted on a version says of its own.
    """
    if manifest.task != CLUSTERING or prediction is None:
        return prediction
    return float(prediction in (manifest.decision or PLAIN).acted)


@dataclass(frozen=True)
class Hindsight:
    """What each decision on each row of the past would be worth, its actual known.

    A list is worth the item that its entity had, where it names it: that item was had anyway, so what is
    compared is how well lists foretell, not what showing them would have caused. Acting on a row's cluster
    is worth what the file's price says of the row as it came, and not acting nothing: what acting would
    have changed in the row is not known.

    Attributes:
        frame: The problem.
        worth: What decisions are worth; None where they have no price, and of lists.
        actuals: Class positions or numbers, of clusters the money of acting, (rows,); NaN where the actual
            never came.
        currency: The money's name.
        taken: Of a recommendation: what was taken, and its price.
    """

    frame: Frame
    worth: Worth | None
    actuals: NDArray[np.float64]
    currency: str = ""
    taken: Taken | None = None

    @classmethod
    def of(cls, workspace: Workspace, rows: History) -> Hindsight:
        """Prices the decisions on every row.

        Raises:
            NotFound: When no version serves yet, so that the classes are not known.
        """
        import polars as pl

        serving = champion(workspace.record, workspace.name)
        if serving is None:
            raise NotFound(f"No version of {workspace.name} serves yet.", hint="everloop run")
        frame, value = workspace.served(serving).frame, workspace.spec.goal.value
        currency = "" if value is None else value.currency
        if frame.task == RECOMMENDATION:
            taken = None if value is None else Taken.of(value, rows, frame.target)
            return cls(frame, None, np.full(len(rows), np.nan), currency, taken)
        if frame.task == CLUSTERING:
            money = rows.facts["actual"].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
            return cls(frame, None if value is None else acting_worth(currency, len(rows)), money, currency)
        worth = worth_of(value, frame, rows.rows)
        return cls(frame, worth, actuals_of(rows.facts["actual"], frame), currency)

    @property
    def is_priced(self) -> bool:
        """Whether decisions have a price."""
        return self.worth is not None or self.taken is not None

    def values(self, places: Sequence[int] | NDArray[np.int64], predictions: Sequence[Any]) -> Any:
        """Gives what predictions on some rows were worth, (n,); NaN where that is not known.

        Of clusters the predictions are as `decision_by` gives them.
        """
        if self.taken is not None:
            return self.taken.values(places, predictions)
        found = np.full(len(places), np.nan)
        if self.worth is None or not len(places):
            return found
        at = np.asarray(places, dtype=np.int64)
        decided = self._decisions(predictions)
        known = ~np.isnan(self.actuals[at]) & ~np.isnan(decided)
        rows = at[known]
        found[known] = self.worth.only(rows).values(self.actuals[rows], decided[known])
        return found

    def _decisions(self, predictions: Sequence[Any]) -> NDArray[np.float64]:
        if self.frame.task in ("regression", CLUSTERING):
            return np.array([np.nan if one is None else float(one) for one in predictions])
        positions = {name: float(place) for place, name in enumerate(self.frame.classes)}
        return np.array([positions.get(str(label_text(one)), np.nan) for one in predictions])
