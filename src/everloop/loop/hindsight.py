"""What decisions on rows of the past were worth, since their actuals are known by now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import NotFound
from everloop.deploy.versions import champion
from everloop.table.labels import actuals_of, label_text
from everloop.table.worth import worth_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.loop.history import History
    from everloop.loop.workspace import Workspace
    from everloop.measure.worth import Worth
    from everloop.spec.frame import Frame


@dataclass(frozen=True)
class Hindsight:
    """What each decision on each row of the past would be worth, its actual known.

    Attributes:
        frame: The problem.
        worth: What decisions are worth; None where they have no price.
        actuals: Class positions or numbers, (rows,); NaN where the actual never came.
    """

    frame: Frame
    worth: Worth | None
    actuals: NDArray[np.float64]

    @classmethod
    def of(cls, workspace: Workspace, rows: History) -> Hindsight:
        """Prices the decisions on every row.

        Raises:
            NotFound: When no version serves yet, so that the classes are not known.
        """
        serving = champion(workspace.record, workspace.name)
        if serving is None:
            raise NotFound(f"No version of {workspace.name} serves yet.", hint="everloop run")
        frame = workspace.served(serving).frame
        worth = worth_of(workspace.spec.goal.value, frame, rows.rows)
        return cls(frame, worth, actuals_of(rows.facts["actual"], frame))

    @property
    def currency(self) -> str:
        """The money's name."""
        return self.worth.currency if self.worth else ""

    def values(self, places: Sequence[int] | NDArray[np.int64], predictions: Sequence[Any]) -> Any:
        """Gives what predictions on some rows were worth, (n,); NaN where that is not known."""
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
        if self.frame.task == "regression":
            return np.array([np.nan if one is None else float(one) for one in predictions])
        positions = {name: float(place) for place, name in enumerate(self.frame.classes)}
        return np.array([positions.get(str(label_text(one)), np.nan) for one in predictions])
