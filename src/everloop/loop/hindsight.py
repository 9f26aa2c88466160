"""What decisions on rows of the past were worth, since their actuals are known by now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from everloop.core.errors import NotFound
from everloop.deploy.versions import champion
from everloop.loop.steps import prices_of
from everloop.measure.value import decision_values
from everloop.table.labels import class_indices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.loop.history import History
    from everloop.loop.workspace import Workspace


@dataclass(frozen=True)
class Hindsight:
    """What each decision on each row of the past would be worth, its actual known.

    Attributes:
        positive: The positive class; None where decisions have no price.
        if_positive: What deciding positive is worth, (rows,); NaN where the actual never came.
        if_negative: The same of deciding negative.
        currency: The money's name.
    """

    positive: str | None
    if_positive: NDArray[np.float64]
    if_negative: NDArray[np.float64]
    currency: str

    @classmethod
    def of(cls, workspace: Workspace, rows: History) -> Hindsight:
        """Prices both decisions on every row.

        Raises:
            NotFound: When no version serves yet, so that the classes are not known.
        """
        serving = champion(workspace.record, workspace.name)
        if serving is None:
            raise NotFound(f"No version of {workspace.name} serves yet.", hint="everloop run")
        frame = workspace.served(serving).frame
        prices = prices_of(workspace.spec.goal, rows.rows)
        if prices is None or frame.task != "binary":
            return cls(None, np.empty(0), np.empty(0), "")
        actual = class_indices(rows.facts["actual"], frame.classes)
        known = ~np.isnan(actual)
        table = prices.of_table(rows.rows)
        worth = [np.full(len(rows), np.nan) for _ in range(2)]
        for decided, values in enumerate(worth):
            values[known] = decision_values(
                actual[known] == 1.0, np.full(int(known.sum()), decided == 1), table[known]
            )
        return cls(frame.positive, worth[1], worth[0], prices.currency)

    def worth(self, place: int, prediction: str) -> float | None:
        """Gives what a decision was worth; None where that is not known."""
        if self.positive is None:
            return None
        value = float((self.if_positive if prediction == self.positive else self.if_negative)[place])
        return None if np.isnan(value) else value
