"""What answers on held-out rows are worth, whatever the task: what the gate and a version's reference ask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.deploy.candidate import Candidate
from everloop.table.acting import acting_of
from everloop.table.labels import actuals_of
from everloop.table.list_worth import list_worth_of
from everloop.table.today import today_decisions
from everloop.table.weights import row_counts
from everloop.table.worth import worth_of

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from everloop.measure.acting import Acting
    from everloop.measure.list_worth import ListWorth
    from everloop.measure.worth import Worth
    from everloop.spec import GoalSpec
    from everloop.spec.frame import Frame


@dataclass(frozen=True)
class Stakes:
    """Rows with what answers on them are worth; by the task one of three, or none where nothing is priced.

    Attributes:
        goal: The file's `goal` part.
        rows: The rows, with their actuals.
        frame: The problem.
        worth: Of decisions that have an actual.
        listed: Of lists of items.
        acting: Of acting on clusters.
    """

    goal: GoalSpec
    rows: pl.DataFrame
    frame: Frame
    worth: Worth | None
    listed: ListWorth | None
    acting: Acting | None

    @classmethod
    def of(cls, goal: GoalSpec, rows: pl.DataFrame, frame: Frame) -> Stakes:
        """Prices rows.

        Raises:
            SpecFault: When a price cannot be evaluated.
            DataFault: When one is missing on a row.
        """
        return cls(
            goal,
            rows,
            frame,
            worth_of(goal.value, frame, rows),
            list_worth_of(goal.value, frame, rows),
            acting_of(goal, frame, rows),
        )

    def candidate(self, folder: Path) -> Candidate:
        """Holds a package against the rows."""
        counts = row_counts(self.rows, self.frame)
        return Candidate(folder, self.rows, self.frame, self.worth, self.listed, self.acting, counts)

    def today(self, candidate: Candidate) -> NDArray[np.float64] | None:
        """Gives what is done without a model is worth on the same rows; None where that is not stated.

        A list without a model is the one of what most entities had, which the package gives to strangers.
        """
        if self.listed is not None:
            return self.listed.same_for_all(candidate.popular)
        if self.acting is not None:
            return self.acting.today_values
        return self.decided_today()

    def decided_today(self) -> NDArray[np.float64] | None:
        """Gives what today's decisions are worth on labelled rows, (rows,)."""
        if self.worth is None or self.goal.today is None:
            return None
        decided = today_decisions(self.goal.today, self.rows, self.frame)
        return self.worth.values(actuals_of(self.rows[self.frame.target], self.frame), decided)
