"""What the columns that moved cost: ranked by the estimated loss of each, in the goal's money.

Example:
    >>> from everloop.monitor.causes import ChangeCauses, ColumnCause
    >>> parts = (ColumnCause("income", -2.5, 0.1), ColumnCause("age", 0.0, 0.1))
    >>> causes = ChangeCauses(-2.5, -2.5, parts, segments=())
    >>> ranking = rank_moved({"age": 9.0, "income": 4.0}, causes, predictions=100, currency="EUR")
    >>> print(ranking.sentence())
    income costs 2.5 EUR a decision (250 EUR in this window), age costs nothing
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from everloop.core.values import to_jsonable
from everloop.monitor.causes import ChangeCauses

_TOLD = 3
_UNPRICED = "no loss is estimated"


@dataclass(frozen=True, slots=True)
class MovedColumn:
    """A column that moved further than the alarm budget allows, and what that is estimated to cost.

    Attributes:
        column: Its name.
        standardised: How far it moved: how rare that is on the reference, in powers of ten.
        loss: What a decision is expected to lose by its move, in the goal's money; below 0 it gains. None
            where that cannot be estimated.
        error: The standard error of that, from the rows that were drawn.
    """

    column: str
    standardised: float
    loss: float | None = None
    error: float | None = None


@dataclass(frozen=True, slots=True)
class LossRanking:
    """The columns that moved, the dearest first.

    Attributes:
        columns: The columns: by loss where it is estimated, those without an estimate after them; by how
            far they moved where nothing is.
        predictions: How many decisions the window had.
        currency: The goal's money; empty where none is stated.
        reason: Why no loss is estimated; empty where it is.
    """

    columns: tuple[MovedColumn, ...]
    predictions: int
    currency: str = ""
    reason: str = ""

    @property
    def loss(self) -> float | None:
        """What the window's decisions are estimated to lose by all that moved; None where not known."""
        known = [one.loss for one in self.columns if one.loss is not None]
        return sum(known) * self.predictions if known else None

    def sentence(self) -> str:
        """Says what the dearest cost; empty where no column moved."""
        if not self.columns:
            return ""
        if self.reason:
            return f"{_UNPRICED}: {self.reason}"
        named = [one for one in self.columns if one.loss is not None][:_TOLD]
        if not named:
            return f"{_UNPRICED}: what moved is no input of its own"
        return ", ".join(self._told(one) for one in named)

    def _told(self, one: MovedColumn) -> str:
        loss = one.loss or 0.0
        if not loss:
            return f"{one.column} costs nothing"
        verb = "costs" if loss > 0 else "gains"
        unit = f" {self.currency}".rstrip()
        whole = abs(loss) * self.predictions
        return f"{one.column} {verb} {abs(loss):.3g}{unit} a decision ({whole:,.4g}{unit} in this window)"

    def to_dict(self) -> dict[str, Any]:
        """Gives the ranking as what JSON can carry."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return dict(to_jsonable(fields | {"loss": self.loss}))


def rank_moved(
    moved: Mapping[str, float],
    causes: ChangeCauses | None,
    *,
    predictions: int,
    currency: str = "",
    reason: str = "",
) -> LossRanking:
    """Ranks the columns that moved by what their moves are estimated to cost.

    The loss of a column is its part of the change in what a decision is expected to be worth (Shapley over
    the shift), the other way round. It supposes that chances still mean what they meant on the reference.

    Args:
        moved: How far each column moved; the score and the actuals are no cause of their own, and rank
            behind the inputs.
        causes: What explains the change, in money; None where that is not known.
        predictions: How many decisions the window had.
        currency: The goal's money.
        reason: Why no loss can be estimated, where it cannot.
    """
    parts = {} if causes is None or reason else {one.column: one for one in causes.columns}
    found = []
    for column, standardised in moved.items():
        part = parts.get(column)
        loss, error = (None, None) if part is None else (0.0 - part.amount, part.error)
        found.append(MovedColumn(column, standardised, loss, error))
    found.sort(key=lambda one: (one.loss is None, -(one.loss or 0.0), -one.standardised))
    return LossRanking(tuple(found), predictions, currency, reason)
