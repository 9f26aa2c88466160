"""How a score becomes a decision, as data that a package carries: training and serving both read it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from everloop.core.errors import DataFault
from everloop.core.tasks import decides_by
from everloop.table.labels import label_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


class DecisionRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What decides where one threshold, the likeliest class or the number as it is does not.

    Attributes:
        segment: Binary: the column whose value has a threshold of its own.
        thresholds: From that value's text to its threshold; others have the package's.
        matrix: Multiclass: the worth of each decided class (column) for each actual one (row); the
            class of the greatest expected worth is decided. Empty: the likeliest.
        scale: Regression: the number that is given is ``offset + scale * score``.
        offset: See `scale`.
        acted: Clustering: the clusters that are acted on, by their names, where that has a price.
    """

    segment: str | None = None
    thresholds: dict[str, float] = msgspec.field(default_factory=dict)
    matrix: tuple[tuple[float, ...], ...] = ()
    scale: float = 1.0
    offset: float = 0.0
    acted: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Gives the rule as what JSON can carry."""
        rule: dict[str, Any] = msgspec.to_builtins(self)
        return rule

    def threshold_for(self, value: Any, otherwise: float) -> float:
        """Gives the threshold of a row with this value in the segment's column."""
        text = label_text(value)
        return otherwise if text is None else self.thresholds.get(text, otherwise)

    def thresholds_for(self, values: Iterable[Any], otherwise: float) -> NDArray[np.float64]:
        """Gives the threshold of each row, (n,)."""
        return np.array([self.threshold_for(value, otherwise) for value in values], dtype=np.float64)


PLAIN = DecisionRule()
"""Nothing beyond the threshold, the likeliest class, the number."""


def decide(
    scores: NDArray[np.float64],
    task: str,
    threshold: float | NDArray[np.float64] | None,
    rule: DecisionRule = PLAIN,
) -> NDArray[Any]:
    """Turns scores into decisions.

    Args:
        scores: The chance of the positive class (n,); of each class (n, k); or the number (n,).
        task: A key of `core.tasks.TASKS`.
        threshold: Binary: positive where the score is at least this; one for all or one a row; None is 0.5.
        rule: What decides beyond it.

    Returns:
        Class positions or numbers, (n,); of a recommendation the positions of the listed items, (n, places).
    """
    if decides_by(task, "number"):
        return scores if rule.scale == 1.0 and rule.offset == 0.0 else rule.offset + rule.scale * scores
    if decides_by(task, "items"):
        return scores[:, : scores.shape[1] // 2].astype(np.int64)
    if decides_by(task, "threshold"):
        return (scores >= (0.5 if threshold is None else threshold)).astype(np.int64)
    return np.asarray(expected_worth(scores, rule).argmax(axis=1), dtype=np.int64)


def decisions_of(
    scores: NDArray[np.float64], rows: Any, task: str, threshold: float | None, rule: DecisionRule = PLAIN
) -> NDArray[Any]:
    """Turns the scores of rows into decisions, by the thresholds of their segments where they have any.

    Args:
        scores: As `decide` takes them.
        rows: A table, a path, mappings or one mapping; read where segments have thresholds.
        task: A key of `core.tasks.TASKS`.
        threshold: Binary: of rows whose segment has none of its own.
        rule: What decides beyond it.

    Raises:
        DataFault: When segments have thresholds and no rows are given.
    """
    if rule.segment is None:
        return decide(scores, task, threshold, rule)
    otherwise = 0.5 if threshold is None else threshold
    return decide(scores, task, rule.thresholds_for(_values(rows, rule.segment), otherwise), rule)


def _values(rows: Any, column: str) -> Iterable[Any]:
    """Gives a column's value in each row; None where a row does not have it."""
    if rows is None:
        raise DataFault(
            f"Decisions depend on column {column!r}; the rows were not given.",
            hint="package.decide(scores, data)",
        )
    if isinstance(rows, Mapping):
        rows = [rows]
    if isinstance(rows, (list, tuple)):
        return [row.get(column) for row in rows]
    from everloop.table.labels import label_texts
    from everloop.table.tables import as_frame

    frame = as_frame(rows)
    return label_texts(frame[column]).to_list() if column in frame.columns else [None] * frame.height


def acted_on(decisions: NDArray[Any], classes: Sequence[str], rule: DecisionRule) -> NDArray[np.float64]:
    """Says of each row whether its cluster is acted on, from the clusters' positions: 1 or 0, (n,)."""
    acted = np.array([name in rule.acted for name in classes], dtype=np.float64)
    chosen: NDArray[np.float64] = acted[np.asarray(decisions, dtype=np.int64)]
    return chosen


def expected_worth(chances: NDArray[np.float64], rule: DecisionRule) -> NDArray[np.float64]:
    """Gives what each class is worth when it is decided, (n, k); the chances where nothing has a price."""
    return chances @ np.array(rule.matrix) if rule.matrix else chances


def watched_score(scores: NDArray[np.float64], task: str) -> NDArray[np.float64]:
    """Gives the one number of each row that is watched, (n,): of several classes or items the best one's."""
    if scores.ndim == 1:
        return scores
    return scores[:, scores.shape[1] // 2] if decides_by(task, "items") else scores.max(axis=1)
