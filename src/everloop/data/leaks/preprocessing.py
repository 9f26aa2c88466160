"""Columns that were scaled, centred, filled or turned with what other parts than training hold.

A fitted constant leaves its trace: what was standardised has a mean of 0 and a deviation of 1 on just
the rows that the constants came from. Where these are the rows of all parts, and the training rows alone
have another mean, the constants were fitted outside the training part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from everloop.data.leaks.components import turned
from everloop.data.leaks.finding import LeakFinding
from everloop.data.leaks.scopes import FEWEST_VALUES, Numbers, Scopes, scopes_of

if TYPE_CHECKING:
    from everloop.data.leaks.parts import Parts
    from everloop.data.leaks.values import Floats

KIND = "preprocessing"
FEWEST_ROWS = 30
PRECISION = 1e-5
"""Numbers written with six digits keep a mean of 0 to this."""

APART = 20.0
"""The training rows' own constants are so many times further off, or nothing is said."""

FILLED = 0.005
WRITTEN_DIGITS = 6
"""Numbers of at most so many decimals were written by hand or published; a computed scale has all 16."""


@dataclass(frozen=True)
class Scaling:
    """A way to scale, known by what it makes of the rows that it was fitted on.

    Attributes:
        off: How far rows are from what the scaling makes; 0 where it was fitted on them.
        told: What it makes of them.
        by_extremes: It rests on the least and the greatest value alone.
        may: Whether rows may be what it makes, told without putting them in order.
    """

    off: Callable[[Numbers], float]
    told: str
    by_extremes: bool = False
    may: Callable[[Numbers], bool] = lambda rows: len(rows.x) > 0

    def made(self, rows: Numbers) -> bool:
        """Tells whether rows are what the scaling makes of those that it is fitted on."""
        return self.may(rows) and self.off(rows) < PRECISION


def _moments(rows: Numbers) -> float:
    n = len(rows.x)
    deviations = (rows.deviation, rows.deviation * float(np.sqrt(n / max(n - 1, 1))))
    return max(abs(rows.mean), min(abs(one - 1) for one in deviations))


def _unit_norm(rows: Numbers) -> float:
    centred = abs(rows.mean) * float(np.sqrt(len(rows.x)))
    return max(centred, abs(float(np.sqrt(rows.x @ rows.x)) - 1))


def _quartiles(rows: Numbers) -> float:
    low, middle, high = np.quantile(rows.x, (0.25, 0.5, 0.75))
    return float(max(abs(middle), abs(high - low - 1)))


def _may_have_median_zero(rows: Numbers) -> bool:
    most = len(rows.x) / 2 + 1
    beyond = (np.count_nonzero(rows.x > PRECISION), np.count_nonzero(rows.x < -PRECISION))
    return len(rows.x) > 0 and bool(max(beyond) <= most)


SCALINGS: dict[str, Scaling] = {
    "standardised": Scaling(_moments, "a mean of 0 and a standard deviation of 1"),
    "normalised": Scaling(_unit_norm, "a mean of 0 and squares that sum to 1"),
    "scaled by quartiles": Scaling(
        _quartiles, "a median of 0 and quartiles 1 apart", may=_may_have_median_zero
    ),
    "scaled to 0 and 1": Scaling(
        lambda rows: max(abs(rows.low), abs(rows.high - 1)), "least 0 and greatest 1", by_extremes=True
    ),
    "scaled to -1 and 1": Scaling(
        lambda rows: max(abs(rows.low + 1), abs(rows.high - 1)), "least -1 and greatest 1", by_extremes=True
    ),
}


def find(parts: Parts) -> Iterator[LeakFinding]:
    """Finds inputs whose constants were fitted on more rows than the training part's."""
    floats = [name for name in parts.candidates if parts.schema[name].is_float()]
    if parts.train.height < FEWEST_ROWS or not parts.pairs():
        return
    for name in floats:
        scopes = scopes_of(parts, name)
        if scopes is not None:
            yield from _scaled(name, scopes.wider, scopes.train)
            yield from _scaled_apart(name, scopes)
            yield from _filled(name, scopes.wider, scopes.train)
    for name, evidence in turned(parts, floats).items():
        yield LeakFinding(
            KIND,
            name,
            "error",
            f"{name} has no correlation with {len(evidence['with'])} other columns over "
            f"{evidence['fitted on']} "
            f"rows, and up to {evidence['training']:.2g} over the training rows: it is a component that "
            "was fitted "
            "with the rows of other parts.",
            evidence,
        )


def _scaled(name: str, wider: Mapping[str, Numbers], train: Numbers) -> Iterator[LeakFinding]:
    for how, scaling in SCALINGS.items():
        if scaling.made(train):
            return  # fitted on the training part, as it should be
        fitted = {scope: scaling.off(rows) for scope, rows in wider.items() if scaling.may(rows)}
        scope = min(fitted, key=lambda one: fitted[one], default="")
        if not scope or fitted[scope] > PRECISION:
            continue
        own = scaling.off(train)
        if own < APART * max(fitted[scope], PRECISION / APART):
            continue
        written = scaling.by_extremes and _is_written(train.x)
        maybe = " Its limits may be known ones and not fitted." if written else ""
        yield LeakFinding(
            KIND,
            name,
            "warn" if written else "error",
            f"{name} was {how} with the rows of other parts: {scope} rows have {scaling.told} (to "
            f"{fitted[scope]:.0e}), the training rows alone are off by {own:.2g}.{maybe}",
            {
                "scaling": how,
                "fitted on": scope,
                "off": fitted[scope],
                "training off": own,
                "rows": len(train.x),
            },
        )
        return


def _scaled_apart(name: str, scopes: Scopes) -> Iterator[LeakFinding]:
    """Finds a later part that was scaled with constants of its own."""
    for how, scaling in SCALINGS.items():
        if scaling.by_extremes or not scaling.made(scopes.train):
            continue
        for part, rows in scopes.later.items():
            if len(rows.x) >= FEWEST_ROWS and scaling.made(rows):
                yield LeakFinding(
                    KIND,
                    name,
                    "error",
                    f"{name} was {how} in the {part} part with that part's own rows: they have "
                    f"{scaling.told}, "
                    "and so have the training rows. In production there is no such part to fit on.",
                    {"scaling": how, "fitted on": part, "off": scaling.off(rows)},
                )
                return


def _is_written(x: Floats) -> bool:
    return bool((np.abs(x - np.round(x, WRITTEN_DIGITS)) < 1e-12).all())


def _filled(name: str, wider: Mapping[str, Numbers], train: Numbers) -> Iterator[LeakFinding]:
    """Finds missing values that were filled with a mean over more than the training rows."""
    value, rows = train.most_frequent(FILLED)
    if rows < max(FEWEST_VALUES, FILLED * len(train.x)) or abs(value - round(value, 3)) < 1e-9:
        return
    spread = train.deviation or 1.0
    right = float(train.x[train.x != value].mean())
    for scope, numbers in wider.items():
        off = abs(float(numbers.x[numbers.x != value].mean()) - value) / spread
        if off < 1e-9 and abs(right - value) / spread > 1e-6:
            yield LeakFinding(
                KIND,
                name,
                "error",
                f"{name} is {value:.6g} in {rows:,} training rows, which is the mean of the other values of "
                f"{scope} rows; of the training rows it would be {right:.6g}. Missing values were filled "
                "with "
                "the rows of other parts.",
                {"fill": value, "rows": rows, "fitted on": scope},
            )
            return
