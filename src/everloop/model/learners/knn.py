"""The nearest known rows, for small tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from everloop.model.learners.learner import Capabilities, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task

    Matrix = NDArray[np.float64]

STEPS = 2.0**20
"""Squared distances are ordered in steps of 1 / STEPS: below it rounding, not the rows, would decide."""

REACH, LEAST = 1.01, 1e-4
"""A row's weight falls to 0 at REACH times the squared distance of the first row left out, plus LEAST."""

DOUBT = 0.5
"""How many rows' weight the classes' own shares have in every answer: no chance is ever 0."""

PAIRS_AT_ONCE = 4_000_000


class NearestRows:
    """A fitted model of nearest rows (Fix and Hodges 1951; weights: Hechenbichler and Schliep 2004).

    Each answer is a mean over the nearest rows, weighted down to nearly nothing at the first row left
    out, so that it hardly jumps where neighbours change places. Rows at the same distance are taken in
    the order in which they were learned.

    Args:
        rows: What was learned from, scaled, (m, width).
        scale: What a row is multiplied with before it is compared, (width,).
        masses: What each row says, times its weight, then the weight alone, (m, outputs + 1).
        doubt: What is added to the sum of the masses, (outputs + 1,).
        neighbours: How many rows answer.
        classes: The class indices of the outputs; None for a number.
    """

    def __init__(
        self, rows: Matrix, scale: Matrix, masses: Matrix, doubt: Matrix, neighbours: int, classes: Any
    ) -> None:
        self.rows, self.scale, self.masses, self.doubt = rows, scale, masses, doubt
        self.squares = np.square(rows).sum(axis=1)
        self.neighbours = min(neighbours, len(rows))
        self.classes_ = classes

    @property
    def taken(self) -> int:
        """How many rows are looked at: those that answer and, where there is one, the first left out."""
        return min(self.neighbours + 1, len(self.rows))

    def predict(self, X: Matrix) -> NDArray[Any]:
        """Gives a number, or the likeliest class, for each row: (n,)."""
        answers = self._answers(X)
        return answers[:, 0] if self.classes_ is None else self.classes_[answers.argmax(axis=1)]

    def predict_proba(self, X: Matrix) -> Matrix:
        """Gives the chance of each class: (n, classes)."""
        return self._answers(X)

    def _answers(self, X: Matrix) -> Matrix:
        size = max(1, PAIRS_AT_ONCE // len(self.rows))
        parts = [self._some(X[start : start + size] * self.scale) for start in range(0, len(X), size)]
        return np.concatenate(parts) if parts else np.zeros((0, self.masses.shape[1] - 1))

    def _some(self, x: Matrix) -> Matrix:
        squares = np.square(x).sum(axis=1, keepdims=True) + self.squares
        squares = np.maximum(squares - 2.0 * (x @ self.rows.T), 0.0)
        steps = np.rint(squares * STEPS)
        last = np.partition(steps, self.taken - 1, axis=1)[:, self.taken - 1 : self.taken] / STEPS
        weights = np.where(nearest_of(steps, self.neighbours), 1.0 - squares / (REACH * last + LEAST), 0.0)
        sums = weights @ self.masses + self.doubt
        answers: Matrix = sums[:, :-1] / sums[:, -1:]
        return answers


def nearest_of(steps: Matrix, count: int) -> NDArray[np.bool_]:
    """Says for each row which columns are its least, the first of equals first."""
    border = np.partition(steps, count - 1, axis=1)[:, count - 1 : count]
    nearer, on = steps < border, steps == border
    room = count - nearer.sum(axis=1)
    crowded = np.flatnonzero(on.sum(axis=1) > room)
    on[crowded] &= on[crowded].cumsum(axis=1) <= room[crowded, None]
    chosen: NDArray[np.bool_] = nearer | on
    return chosen


class NearestNeighbours:
    """Nearest rows, of at most 4,000; columns count by how much they tell about the target alone.

    ``relevance`` is the power of that correlation which a column is scaled with: 0 counts all alike.
    """

    name: ClassVar[str] = "knn"
    capabilities: ClassVar[Capabilities] = Capabilities(wants_scaling=True, cost=12.0, most_rows=4_000)
    space: ClassVar[tuple[Parameter, ...]] = (
        Parameter("neighbours", "integer", 2, 100, log=True),
        Parameter("relevance", "number", 0.0, 1.5),
    )
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"neighbours": 15, "relevance": 0.5},
        {"neighbours": 40, "relevance": 1.0},
    )

    def fit(
        self,
        X: Matrix,
        y: NDArray[Any],
        *,
        task: Task,
        configuration: Mapping[str, Any],
        weights: Matrix | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> Any:
        """Fits; see `Learner.fit`. Nothing is drawn by chance."""
        del seed, threads
        each = np.ones(len(X)) if weights is None else np.asarray(weights, dtype=np.float64)
        known = each > 0
        X, y, each = X[known], y[known], each[known]
        classes = None if task == "regression" else np.unique(y)
        said = y[:, None].astype(np.float64) if classes is None else (y[:, None] == classes) * 1.0
        scale = _relevance(X, said, each) ** float(configuration.get("relevance", 0.5))
        masses = np.column_stack([said * each[:, None], each])
        doubt = np.zeros(masses.shape[1])
        if classes is not None:
            doubt = DOUBT * masses.sum(axis=0) / each.sum()
        return NearestRows(X * scale, scale, masses, doubt, int(configuration.get("neighbours", 15)), classes)


def _relevance(X: Matrix, said: Matrix, each: Matrix) -> Matrix:
    """Gives each column's greatest correlation, without its sign, with any of the outputs: (width,)."""
    share = each / each.sum()
    left, right = X - share @ X, said - share @ said
    spread = np.sqrt(np.outer(share @ np.square(left), share @ np.square(right)))
    together = np.abs((left * share[:, None]).T @ right)
    found = np.divide(together, spread, out=np.zeros_like(together), where=spread > 1e-12)
    greatest: Matrix = found.max(axis=1)
    return greatest
