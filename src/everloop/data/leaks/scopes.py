"""A column's numbers over the training rows, and over each set of rows that has others, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from everloop.data.leaks.parts import JUDGED_ROWS
from everloop.data.leaks.values import numbers_of

if TYPE_CHECKING:
    import polars as pl

    from everloop.data.leaks.parts import Parts
    from everloop.data.leaks.values import Floats

FEWEST_VALUES = 10
"""Different values that a column of a scale has at least."""

_LIKELIEST = 3


@dataclass(frozen=True)
class Numbers:
    """Numbers without missing ones; what several questions ask of them is computed once.

    Attributes:
        x: The numbers, (n,).
    """

    x: Floats

    @cached_property
    def mean(self) -> float:
        """Their mean."""
        return float(self.x.mean())

    @cached_property
    def deviation(self) -> float:
        """Their standard deviation (divisor n)."""
        return float(self.x.std())

    @cached_property
    def low(self) -> float:
        """The least."""
        return float(self.x.min())

    @cached_property
    def high(self) -> float:
        """The greatest."""
        return float(self.x.max())

    def most_frequent(self, share: float) -> tuple[float, int]:
        """Gives the most frequent number and how many there are of it; of several the least.

        Args:
            share: Of many numbers, one that makes up less than this share is seldom found.

        Returns:
            The number and its count; (NaN, 0) where none may have the share.
        """
        if len(self.x) <= JUDGED_ROWS:
            values, counts = np.unique(self.x, return_counts=True)
            return float(values[counts.argmax()]), int(counts.max())
        drawn = np.random.default_rng(0).choice(self.x, JUDGED_ROWS)
        values, counts = np.unique(drawn, return_counts=True)
        likely = np.argsort(-counts, kind="stable")[:_LIKELIEST]
        # One that has the share is drawn half as often with a chance below one in a million.
        likely = likely[counts[likely] >= share / 2 * JUDGED_ROWS]
        found = [(float(values[i]), int(np.count_nonzero(self.x == values[i]))) for i in np.sort(likely)]
        return max(found, key=lambda one: one[1], default=(float("nan"), 0))


@dataclass(frozen=True)
class Scopes:
    """One column.

    Attributes:
        train: The training rows.
        later: The rows of each later part.
        wider: Sets of rows on which a constant may have been fitted, by name; the training rows are
            among them, and others.
    """

    train: Numbers
    later: Mapping[str, Numbers]
    wider: Mapping[str, Numbers]


def scopes_of(parts: Parts, name: str) -> Scopes | None:
    """Reads a column; None where the training rows have too few values to tell.

    The rows of a table before any was left out are a scope of their own: it may be these that were
    fitted on.
    """
    train = _known(parts.train[name])
    if train is None or len(np.unique(train[:1000])) < FEWEST_VALUES:
        return None
    # The training rows lie in the middle, so that every scope is a part of one array.
    order = ("validation", "train", "test")
    held = {part: train if part == "train" else _later(parts, part, name) for part in order}
    x = np.concatenate([held[part] for part in order])
    before, after = len(held["validation"]), len(held["validation"]) + len(train)
    later = {"validation": x[:before], "test": x[after:]}
    wider = {"training and validation": x[:after], "training and test": x[before:], "all": x}
    wider = {scope: rows for scope, rows in wider.items() if len(rows) > len(train) or scope == "all"}
    if parts.whole is not None and name in parts.whole.columns:
        whole = _known(parts.whole[name])
        if whole is not None:
            wider["all, before any was left out,"] = whole
    return Scopes(
        Numbers(x[before:after]),
        {part: Numbers(rows) for part, rows in later.items()},
        {scope: Numbers(rows) for scope, rows in wider.items()},
    )


def _later(parts: Parts, part: str, name: str) -> Floats:
    table = parts.tables.get(part)
    found = None if table is None or name not in table.columns else _known(table[name])
    return np.empty(0) if found is None else found


def _known(column: pl.Series) -> Floats | None:
    numbers = numbers_of(column)
    if numbers is None:
        return None
    missing = np.isnan(numbers)
    return numbers[~missing] if missing.any() else numbers
