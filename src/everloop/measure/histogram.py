"""Counts in bins that stay fixed, so that counts of parts add up to the counts of the whole.

Bins are built once from the reference and kept with it. A value that holds much of the reference (every
value of a discrete column, a peak at zero) gets a bin of its own, so ties are counted exactly. Missing
values and infinities are counted beside the bins.

Example:
    >>> bins = build_bins([1.0, 2.0, 2.0, 3.0])
    >>> count(bins, [2.0, 2.0, float("nan")]).missing
    1
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.arrays import Floats, Integers
from everloop.measure.ranks import Ranked

NUMERIC_BINS = 256
CATEGORIES = 200
_TAIL_EDGES = 16
_INSIDE, _REACH = np.arange(1, _TAIL_EDGES) / _TAIL_EDGES, np.geomspace(1.1, 16, _TAIL_EDGES)


@dataclass(frozen=True, slots=True)
class Bins:
    """Where values are counted.

    Attributes:
        kind: ``numeric`` or ``categorical``.
        edges: For numeric: rising; bin 0 is below the first edge, bin i is [edge i-1, edge i), the last
            is from the last edge on.
        categories: For categorical: bin i is category i, and one more bin holds all others.
        centre: For numeric: moments are kept of value - centre, so that they lose no digits.
    """

    kind: Literal["numeric", "categorical"]
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    centre: float = 0.0

    @property
    def size(self) -> int:
        """The number of bins."""
        return len(self.edges if self.kind == "numeric" else self.categories) + 1

    def to_dict(self) -> dict[str, Any]:
        """Gives the bins as what JSON can carry."""
        if self.kind == "categorical":
            return {"kind": self.kind, "categories": list(self.categories)}
        return {"kind": self.kind, "edges": list(self.edges), "centre": self.centre}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Bins:
        """Reads what `to_dict` gave."""
        return cls(
            data["kind"],
            tuple(float(edge) for edge in data.get("edges", ())),
            tuple(data.get("categories", ())),
            float(data.get("centre", 0.0)),
        )


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts in fixed bins, with moments.

    Attributes:
        bins: Where was counted.
        counts: One for each bin; infinite values are in the outermost bins, missing ones in none.
        missing: How many values were missing.
        infinite: How many values were +infinity or -infinity; moments leave them out.
        total: The sum of value - centre over finite values (numeric only); NaN when it is too large for
            a double, and so for ``square``.
        square: The sum of (value - centre) squared.
        low: The lowest finite value; +infinity when there is none.
        high: The highest finite value; -infinity when there is none.
    """

    bins: Bins
    counts: tuple[int, ...]
    missing: int = 0
    infinite: int = 0
    total: float = 0.0
    square: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")

    @property
    def rows(self) -> int:
        """How many values were seen, missing ones included."""
        return self.present + self.missing

    @property
    def present(self) -> int:
        """How many values were not missing."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """The mean of the finite values; NaN when there is none."""
        finite = self.present - self.infinite
        return self.bins.centre + self.total / finite if self._numeric and finite else float("nan")

    @property
    def deviation(self) -> float:
        """The standard deviation (divided by n) of the finite values; NaN when there is none."""
        finite = self.present - self.infinite
        if not (self._numeric and finite):
            return float("nan")
        return float(np.sqrt(np.maximum(0.0, self.square / finite - (self.total / finite) ** 2)))

    @property
    def _numeric(self) -> bool:
        return self.bins.kind == "numeric"

    def shares(self) -> Floats:
        """The share of the present values in each bin, shape (bins,); NaN when none is present."""
        counts = np.asarray(self.counts, dtype=np.float64)
        return counts / self.present if self.present else np.full(counts.shape, np.nan)

    def to_dict(self) -> dict[str, Any]:
        """Gives the histogram as what JSON can carry."""
        data: dict[str, Any] = {"bins": self.bins.to_dict(), "counts": list(self.counts)}
        data["missing"] = self.missing
        if self._numeric:
            data |= {
                "infinite": self.infinite,
                "total": _or_none(self.total),
                "square": _or_none(self.square),
            }
            finite = self.low <= self.high
            data |= {"low": self.low if finite else None, "high": self.high if finite else None}
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Histogram:
        """Reads what `to_dict` gave.

        Raises:
            DataFault: When the counts do not fit the bins.
        """
        bins = Bins.from_dict(data["bins"])
        counts = tuple(int(number) for number in data["counts"])
        if len(counts) != bins.size:
            raise DataFault(f"A histogram has {len(counts)} counts for {bins.size} bins; it is damaged.")
        low, high = data.get("low"), data.get("high")
        return cls(
            bins,
            counts,
            int(data["missing"]),
            int(data.get("infinite", 0)),
            _or(data.get("total", 0.0), float("nan")),
            _or(data.get("square", 0.0), float("nan")),
            _or(low, float("inf")),
            _or(high, float("-inf")),
        )


def build_bins(values: ArrayLike, *, size: int | None = None) -> Bins:
    """Builds bins that fit a reference sample.

    Numbers and booleans-as-numbers get numeric bins: edges at the sample's quantiles, and an own bin for
    each value that holds at least a quantile's share of it, or for every value when few are distinct.
    Anything else gets categorical bins: the most frequent categories (ties by name), and one for others.

    Args:
        values: Shape (n,): numbers with NaN for missing, or texts with None for missing.
        size: About how many quantiles, or how many categories at most; 256 and 200 when left out.

    Returns:
        The bins. A sample with no value gets a single bin.
    """
    if size is not None and size < 1:
        raise UsageFault(f"{size} bins were asked for; at least 1 was expected.")
    if is_numeric(values):
        return numeric_bins(Ranked.of(values), size=size or NUMERIC_BINS)
    return categorical_bins(Counter(_texts(values)), size=size or CATEGORIES)


def categorical_bins(counts: Mapping[str | None, int], *, size: int = CATEGORIES) -> Bins:
    """Builds categorical bins from how often each text occurs (None, for missing, is left out)."""
    known = {text: number for text, number in counts.items() if text is not None}
    ordered = sorted(known, key=lambda text: (-known[text], text))
    return Bins("categorical", categories=tuple(ordered[:size]))


def count(bins: Bins, values: ArrayLike) -> Histogram:
    """Counts values in bins.

    Args:
        bins: From `build_bins`.
        values: Shape (n,): numbers with NaN for missing; or texts with None for missing.

    Returns:
        The histogram.

    Raises:
        DataFault: When numbers were expected and something else came.
    """
    if bins.kind == "categorical":
        return count_categories(bins, Counter(_texts(values)))
    return count_numbers(bins, Ranked.of(values, edges=np.asarray(bins.edges)))


def count_numbers(bins: Bins, numbers: Ranked) -> Histogram:
    """Counts numbers whose ranks are known; see `count`."""
    begun = numbers.below(bins.edges) + numbers.lowest
    present = numbers.lowest + numbers.finite.size + numbers.highest
    total, square = numbers.moments(bins.centre)
    low, high = numbers.ends
    return Histogram(
        bins,
        tuple(np.diff(begun, prepend=0, append=present).tolist()),
        missing=numbers.missing,
        infinite=numbers.lowest + numbers.highest,
        total=total,
        square=square,
        low=low,
        high=high,
    )


def count_categories(bins: Bins, counts: Mapping[str | None, int]) -> Histogram:
    """Counts texts whose frequencies are known already (None is missing)."""
    place = {category: i for i, category in enumerate(bins.categories)}
    found, missing = [0] * bins.size, 0
    for text, number in counts.items():
        if text is None:
            missing += number
        else:
            found[place.get(text, -1)] += number
    return Histogram(bins, tuple(found), missing=missing)


def merge(*parts: Histogram) -> Histogram:
    """Adds histograms of the same bins: counts and extremes as if all values had been counted at once.

    The sums behind mean and deviation agree with that to rounding.

    Raises:
        UsageFault: When there is no part, or the bins differ.
    """
    if not parts:
        raise UsageFault("There is no histogram to merge; at least one was expected.")
    bins = parts[0].bins
    if any(part.bins != bins for part in parts):
        raise UsageFault("The histograms have different bins; only counts in the same bins add up.")
    counts = np.array([part.counts for part in parts], dtype=np.int64).sum(axis=0)
    return replace(
        parts[0],
        counts=tuple(counts.tolist()),
        missing=sum(part.missing for part in parts),
        infinite=sum(part.infinite for part in parts),
        total=float(np.sum([part.total for part in parts])),
        square=float(np.sum([part.square for part in parts])),
        low=min(part.low for part in parts),
        high=max(part.high for part in parts),
    )


def is_numeric(values: ArrayLike) -> bool:
    """Says whether values are numbers (booleans are categories, ``true`` and ``false``)."""
    return bool(np.issubdtype(np.asarray(values).dtype, np.number))


def text_of(value: object) -> str | None:
    """Gives a category's text: booleans as in JSON, None and NaN as missing."""
    if value is None or value != value:  # noqa: PLR0124  (NaN alone differs from itself)
        return None
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    return str(value)


def _or_none(number: float) -> float | None:
    return number if np.isfinite(number) else None


def _or(number: float | None, otherwise: float) -> float:
    return otherwise if number is None else float(number)


def _texts(values: ArrayLike) -> Iterable[str | None]:
    return map(text_of, np.asarray(values, dtype=object).tolist())


def _tails(quantiles: Floats) -> Floats:
    """Edges in the outermost bins and beyond them, where a shift moves values and no quantile lies."""
    middle = quantiles[quantiles.size // 2]
    with np.errstate(over="ignore", invalid="ignore"):  # an end beyond the doubles is dropped
        edges = [
            end
            for inner, outer in ((quantiles[1], quantiles[0]), (quantiles[-2], quantiles[-1]))
            for end in (inner + (outer - inner) * _INSIDE, middle + (outer - middle) * _REACH)
        ]
    return np.concatenate(edges)


def numeric_bins(numbers: Ranked, *, size: int = NUMERIC_BINS) -> Bins:
    """Builds numeric bins for numbers whose ranks are known; see `build_bins`."""
    count = numbers.finite.size
    if not count:
        return Bins("numeric")
    standing, equal = numbers.at(_places(count, size))
    middle, quantiles = float(standing[-1]), standing[:-1]
    heavy, light = numbers.distinct(size), np.empty(0)
    if heavy is None:
        # What holds a quantile's share of the sample is at one of its quantiles.
        heavy = np.unique(standing[equal * size >= count])
        light = np.concatenate((quantiles, _tails(quantiles)))
    # A heavy value v has the bin [v, next number after v); what is above the highest was never there.
    beyond = np.nextafter(np.append(heavy, numbers.ends[1]), np.inf)
    edges = np.unique(np.concatenate((light, heavy, beyond)))
    edges = edges[np.isfinite(edges)]
    return Bins("numeric", edges=tuple(edges.tolist()), centre=middle)


@lru_cache(maxsize=8)
def _places(count: int, size: int) -> Integers:
    """Where the quantiles stand in the rising order (the inverse of the distribution), and the middle."""
    places = np.ceil(count * np.linspace(0, 1, size + 1) - 1)
    return np.append(np.clip(places, 0, count - 1), count // 2).astype(np.int64)
