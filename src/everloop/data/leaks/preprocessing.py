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
from everloop.data.leaks.values import numbers_of

if TYPE_CHECKING:
    from everloop.data.leaks.parts import Parts
    from everloop.data.leaks.values import Floats

KIND = "preprocessing"
FEWEST_ROWS = 30
FEWEST_VALUES = 10
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
    """

    off: Callable[[Floats], float]
    told: str
    by_extremes: bool = False


def _moments(x: Floats) -> float:
    deviations = (float(x.std()), float(x.std(ddof=1)))
    return max(abs(float(x.mean())), min(abs(one - 1) for one in deviations))


def _unit_norm(x: Floats) -> float:
    centred = abs(float(x.mean())) * float(np.sqrt(len(x)))
    return max(centred, abs(float(np.sqrt((x**2).sum())) - 1))


def _quartiles(x: Floats) -> float:
    low, middle, high = np.quantile(x, (0.25, 0.5, 0.75))
    return float(max(abs(middle), abs(high - low - 1)))


SCALINGS: dict[str, Scaling] = {
    "standardised": Scaling(_moments, "a mean of 0 and a standard deviation of 1"),
    "normalised": Scaling(_unit_norm, "a mean of 0 and squares that sum to 1"),
    "scaled by quartiles": Scaling(_quartiles, "a median of 0 and quartiles 1 apart"),
    "scaled to 0 and 1": Scaling(
        lambda x: float(max(abs(x.min()), abs(x.max() - 1))), "least 0 and greatest 1", by_extremes=True
    ),
    "scaled to -1 and 1": Scaling(
        lambda x: float(max(abs(x.min() + 1), abs(x.max() - 1))), "least -1 and greatest 1", by_extremes=True
    ),
}


def find(parts: Parts) -> Iterator[LeakFinding]:
    """Finds inputs whose constants were fitted on more rows than the training part's."""
    floats = [name for name in parts.candidates if parts.schema[name].is_float()]
    if parts.train.height < FEWEST_ROWS or not parts.pairs():
        return
    for name in floats:
        scopes = _scopes(parts, name)
        if scopes is not None:
            yield from _scaled(name, scopes)
            yield from _scaled_apart(parts, name, scopes["training"])
            yield from _filled(name, scopes)
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


def _scopes(parts: Parts, name: str) -> Mapping[str, Floats] | None:
    """Gives a column's numbers of the training rows, and of each set of rows that has others, too.

    The rows of a table before any was left out are one of them: it may be these that were fitted on.
    """
    columns = {part: numbers_of(column) for part, column in parts.column(name).items()}
    known = {part: x[~np.isnan(x)] for part, x in columns.items() if x is not None}
    if len(np.unique(known["train"][:1000])) < FEWEST_VALUES:
        return None
    scopes = {"training": known["train"]}
    for part in ("validation", "test"):
        if len(known.get(part, ())):
            scopes[f"training and {part}"] = np.concatenate([known["train"], known[part]])
    scopes["all"] = np.concatenate(list(known.values()))
    if parts.whole is not None and name in parts.whole.columns:
        whole = numbers_of(parts.whole[name])
        if whole is not None:
            scopes["all, before any was left out,"] = whole[~np.isnan(whole)]
    return scopes


def _scaled(name: str, scopes: Mapping[str, Floats]) -> Iterator[LeakFinding]:
    train = scopes["training"]
    for how, scaling in SCALINGS.items():
        own = scaling.off(train)
        if own < PRECISION:
            return  # fitted on the training part, as it should be
        fitted = {scope: scaling.off(x) for scope, x in scopes.items() if scope != "training"}
        scope = min(fitted, key=lambda one: fitted[one])
        if fitted[scope] > PRECISION or own < APART * max(fitted[scope], PRECISION / APART):
            continue
        written = scaling.by_extremes and _is_written(train)
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
                "rows": len(train),
            },
        )
        return


def _scaled_apart(parts: Parts, name: str, train: Floats) -> Iterator[LeakFinding]:
    """Finds a later part that was scaled with constants of its own."""
    for how, scaling in SCALINGS.items():
        if scaling.by_extremes or scaling.off(train) > PRECISION:
            continue
        for part, column in parts.column(name).items():
            x = numbers_of(column)
            if part == "train" or x is None or len(x) < FEWEST_ROWS:
                continue
            off = scaling.off(x[~np.isnan(x)])
            if off <= PRECISION:
                yield LeakFinding(
                    KIND,
                    name,
                    "error",
                    f"{name} was {how} in the {part} part with that part's own rows: they have "
                    f"{scaling.told}, "
                    "and so have the training rows. In production there is no such part to fit on.",
                    {"scaling": how, "fitted on": part, "off": off},
                )
                return


def _is_written(x: Floats) -> bool:
    return bool((np.abs(x - np.round(x, WRITTEN_DIGITS)) < 1e-12).all())


def _filled(name: str, scopes: Mapping[str, Floats]) -> Iterator[LeakFinding]:
    """Finds missing values that were filled with a mean over more than the training rows."""
    train = scopes["training"]
    values, counts = np.unique(train, return_counts=True)
    value, rows = float(values[counts.argmax()]), int(counts.max())
    if rows < max(FEWEST_VALUES, FILLED * len(train)) or abs(value - round(value, 3)) < 1e-9:
        return
    spread = float(train.std()) or 1.0
    right = float(train[train != value].mean())
    for scope, x in scopes.items():
        off = abs(float(x[x != value].mean()) - value) / spread
        if scope != "training" and off < 1e-9 and abs(right - value) / spread > 1e-6:
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
