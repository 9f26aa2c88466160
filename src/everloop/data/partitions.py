"""Parts of a table that are unlike all earlier parts: likely corrupted, and kept out of training.

Each part is summarised by numbers for its volume and, column by column, for what is missing, where the
values lie and how often the most frequent come. A number of a new part is compared with that number of
every earlier part: its score is how far it lies beyond all of them, as a multiple of how much it moves
from one part to the next (nine times of ten; the tenth time is what the bar is for).

A part is unlike the others where a number's score is beyond the bar of its sort, and beyond `MARGIN`
times the score that this number had in any earlier part when that was new. So what differs by itself
(season, growth, rare values) sets its own bar, and a number has to move by more than its floor in any
case: drift is for the monitor, this is for what cannot be right. Less missing, or values that differ
more, is no corruption.

Reference: Shankar, Fawaz, Gyllstrom, Parameswaran, "Automatic and Precise Data Validation for Machine
Learning" (arXiv 2303.06094): partition summaries, compared with the nearest of the earlier ones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from everloop.table.schema import schema_of
from everloop.table.tables import as_lazy

if TYPE_CHECKING:
    import polars as pl

FEWEST_PARTS = 12
"""A part is judged when there are so many before it."""
WARM_UP = 6
FEWEST_ROWS = 30
MARGIN = 2.0
MOST_TEXTS = 8
FEW_VALUES = 20
MOVES = 0.9
CONSTANT = 0.99
# A number may move by so many standard errors of itself before that counts as one step; that of a
# median of normal values is used for all that is measured in standard deviations.
NOISE = 1.5
QUANTILE_VARIANCE = np.pi / 2
_PART, _ROWS = "__part", "__rows"


@dataclass(frozen=True)
class Sort:
    """A sort of number.

    Attributes:
        floor: The least scale that its differences are measured on.
        words: What it is.
        only_up: Whether less of it is no corruption.
        bar: The score that it may have in any case.
    """

    floor: float
    words: str
    only_up: bool = False
    bar: float = 3.0


SORTS = {
    "volume": Sort(0.15, "rows"),
    "missing": Sort(0.05, "share missing", only_up=True),
    "mode": Sort(0.1, "share of its most frequent value", only_up=True),
    "share": Sort(0.1, "share of {value!r}"),
    "true": Sort(0.1, "share of true"),
    "q10": Sort(0.5, "10 % quantile", bar=6.0),
    "q50": Sort(0.5, "median", bar=6.0),
    "q90": Sort(0.5, "90 % quantile", bar=6.0),
    "mean": Sort(0.5, "mean"),
    "length": Sort(0.5, "mean length", bar=6.0),
}
"""Volume is compared by its logarithm, what is in `SPREAD` in standard deviations, the rest as shares."""
SPREAD = ("q10", "q50", "q90", "mean", "length")


@dataclass(frozen=True)
class Unlike:
    """A number of a part that lies beyond those of all earlier parts.

    Attributes:
        column: The column, or the empty text for the volume.
        what: Which number, in words.
        value: What it is in this part.
        low: The least that it was in an earlier part.
        high: The most.
        score: How far beyond it lies, as a multiple of how much it moves by itself.
        bar: The score that it may have.
    """

    column: str
    what: str
    value: float
    low: float
    high: float
    score: float
    bar: float

    def sentence(self) -> str:
        """Says it in a line."""
        name = f"{self.column}: " if self.column else ""
        return f"{name}{self.what} {self.value:.4g}, and {self.low:.4g} to {self.high:.4g} in earlier parts"


@dataclass(frozen=True)
class Part:
    """One part of a table and what came of looking at it.

    Attributes:
        name: The part.
        rows: How many rows it has.
        judged: Whether there were enough earlier parts and enough rows to judge it.
        unlike: The numbers beyond their bars, the most unlike first.
        released: Whether a person said that it is right.
    """

    name: str
    rows: int
    judged: bool = False
    unlike: tuple[Unlike, ...] = ()
    released: bool = False

    @property
    def quarantined(self) -> bool:
        """Whether it is kept out."""
        return bool(self.unlike) and not self.released

    @property
    def reason(self) -> str:
        """Why it is kept out, in a sentence."""
        return "; ".join(one.sentence() for one in self.unlike[:3])


@dataclass(frozen=True)
class Numbers:
    """The numbers of all parts, in their order.

    Attributes:
        names: The parts.
        rows: How many rows each has, (parts,).
        values: By column, sort and value, (parts,).
        units: The standard deviation of a column, by which what is in `SPREAD` was divided.
    """

    names: tuple[str, ...]
    rows: NDArray[np.float64]
    values: Mapping[tuple[str, str, str], NDArray[np.float64]] = field(default_factory=dict)
    units: Mapping[str, float] = field(default_factory=dict)

    def without(self, columns: Collection[str]) -> Numbers:
        """Leaves out columns that say nothing."""
        return replace(self, values={key: one for key, one in self.values.items() if key[0] not in columns})

    def to_dict(self) -> dict[str, Any]:
        """Gives the numbers as what JSON can carry."""
        values = [[*key, [None if np.isnan(one) else one for one in series.tolist()]]
                  for key, series in self.values.items()]  # fmt: skip
        return {
            "names": list(self.names),
            "rows": self.rows.tolist(),
            "values": values,
            "units": dict(self.units),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Numbers:
        """Reads what `to_dict` gave."""
        values = {tuple(key): np.array(series, dtype=np.float64) for *key, series in data["values"]}
        return cls(tuple(data["names"]), np.array(data["rows"], dtype=np.float64), values, data["units"])


def judge_parts(
    table: Any, part: pl.Expr, *, ignore: tuple[str, ...] = (), released: tuple[str, ...] = (),
    growing: str | None = None,
) -> tuple[Part, ...]:  # fmt: skip
    """Looks for parts of a table that are unlike all parts before them.

    Args:
        table: A Polars, pandas, Arrow or DuckDB table, or a path.
        part: The part that each row is of; parts sort in the order in which they came.
        ignore: Columns that say nothing here, such as the target, whose actuals come late.
        released: Parts that a person said are right; they count as earlier parts again.
        growing: A part that is not over yet; two days are no week, so it is judged when it is whole.

    Returns:
        Every part, in order.
    """
    return judge_numbers(summarise_parts(table, part, ignore=ignore), released=released, growing=growing)


def summarise_parts(table: Any, part: pl.Expr, *, ignore: Collection[str] = ()) -> Numbers:
    """Summarises each part of a table by numbers; see `judge_parts`."""
    lazy = as_lazy(table).with_columns(part.cast(_text()).alias(_PART)).filter(_named())
    types = {
        name: kind for name, kind in schema_of(lazy).types.items() if name not in ignore and name != _PART
    }
    numbers = _summarise(lazy, types)
    # The first part may have begun before the table does.
    numbers.values[("", "volume", "")][:1] = np.nan
    return numbers


def judge_numbers(
    numbers: Numbers, *, released: Collection[str] = (), growing: str | None = None
) -> tuple[Part, ...]:
    """Judges parts by their numbers; see `judge_parts`."""
    found: list[Part] = []
    taken: list[int] = []
    bars: dict[tuple[str, str, str], float] = {}
    for place, name in enumerate(numbers.names):
        rows = int(numbers.rows[place])
        if rows < FEWEST_ROWS or name == growing:
            found.append(Part(name, rows, released=name in released))
            continue
        scores = _scores(numbers, taken, place) if len(taken) >= WARM_UP else {}
        judged = len(taken) >= FEWEST_PARTS
        beyond = {key: score for key, score in scores.items() if score > bars.get(key, SORTS[key[1]].bar)}
        unlike = _told(numbers, taken, place, beyond, bars) if judged else ()
        found.append(Part(name, rows, judged, unlike, name in released))
        if found[-1].quarantined:
            continue
        taken.append(place)
        if not unlike:
            bars |= {
                key: max(bars.get(key, SORTS[key[1]].bar), MARGIN * score)
                for key, score in scores.items()
                if score > 0
            }
    return tuple(found)


def _text() -> Any:
    import polars as pl

    return pl.String


def _named() -> pl.Expr:
    import polars as pl

    return pl.col(_PART).is_not_null()


def _scores(numbers: Numbers, earlier: list[int], place: int) -> dict[tuple[str, str, str], float]:
    """Gives how far each number of a part lies beyond those of all earlier ones."""
    keys = list(numbers.values)
    series = np.stack([numbers.values[key] for key in keys])
    before, now = np.take(series, earlier, axis=1), series[:, place]
    counts = (~np.isnan(before)).sum(axis=1)
    told = ~np.isnan(now) & (counts >= WARM_UP)
    constant = _constant(numbers, {key[0] for key, one in zip(keys, told, strict=True) if one}, earlier)
    told &= [key[1] not in SPREAD or key[0] not in constant for key in keys]
    found: dict[int, float] = {}
    # Numbers that as many parts have are looked at together.
    for count in np.unique(counts[told]):
        rows = np.flatnonzero(told & (counts == count))
        known = before[rows][~np.isnan(before[rows])].reshape(len(rows), count)
        sorts = [keys[row][1] for row in rows]
        scores = _beyond(known, now[rows], sorts, float(numbers.rows[place]))
        found |= dict(zip(rows.tolist(), scores.tolist(), strict=True))
    return {keys[row]: found[row] for row in sorted(found)}


def _beyond(
    before: NDArray[np.float64], now: NDArray[np.float64], sorts: list[str], rows: float
) -> NDArray[np.float64]:
    """Gives how far numbers lie beyond earlier ones, as a multiple of how much they move, (numbers,).

    Args:
        before: The earlier ones, (numbers, parts).
        now: The numbers.
        sorts: Their sorts.
        rows: How many rows they rest on.
    """
    facts = [SORTS[sort] for sort in sorts]
    below = np.where([one.only_up for one in facts], 0.0, before.min(axis=1) - now)
    beyond = np.maximum(np.maximum(below, now - before.max(axis=1)), 0.0)
    moved = np.quantile(np.abs(np.diff(before, axis=1)), MOVES, axis=1)
    scale = np.maximum(np.maximum([one.floor for one in facts], moved), _noise(sorts, before, rows))
    return np.asarray(beyond / scale)


def _noise(sorts: list[str], before: NDArray[np.float64], rows: float) -> NDArray[np.float64]:
    """Gives how far numbers move as the part has so few rows, on their own scales, (numbers,)."""
    share = np.clip(before.mean(axis=1), 0.0, 1.0)
    of_share = np.maximum(share * (1 - share), 1 / rows)
    variance = np.where([sort in SPREAD for sort in sorts], QUANTILE_VARIANCE, of_share)
    return np.where([sort == "volume" for sort in sorts], 0.0, NOISE * np.sqrt(variance / rows))


def _constant(numbers: Numbers, columns: Collection[str], earlier: list[int]) -> set[str]:
    """Names columns that hardly had a second value until now, so that nothing says how far they may move."""
    modes = {name: numbers.values.get((name, "mode", "")) for name in columns}
    return {
        name
        for name, one in modes.items()
        if one is not None and float(np.nanmedian(one[earlier])) >= CONSTANT
    }


def _told(
    numbers: Numbers,
    earlier: list[int],
    place: int,
    beyond: Mapping[tuple[str, str, str], float],
    bars: Mapping[tuple[str, str, str], float],
) -> tuple[Unlike, ...]:
    """Says what lies beyond its bar, the furthest first."""
    found = []
    for key, score in sorted(beyond.items(), key=lambda one: -one[1]):
        column, sort, value = key
        series = numbers.values[key]
        values = (series[place], np.nanmin(series[earlier]), np.nanmax(series[earlier]))
        words = SORTS[sort].words.format(value=value)
        shown = _shown(numbers, column, sort, values)
        found.append(Unlike(column, words, *shown, float(score), bars.get(key, SORTS[key[1]].bar)))
    return tuple(found)


def _shown(numbers: Numbers, column: str, sort: str, values: tuple[float, ...]) -> tuple[float, float, float]:
    """Takes numbers back from the scale on which they are compared."""
    unit = numbers.units.get(column, 1.0) if sort in SPREAD else 1.0
    a, b, c = (float(np.exp(one)) if sort == "volume" else float(one) * unit for one in values)
    return a, b, c


def _summarise(lazy: pl.LazyFrame, types: Mapping[str, str]) -> Numbers:
    """Summarises all parts in one pass, after one for the most frequent texts."""
    import polars as pl

    frequent = _frequent(lazy, [name for name, kind in types.items() if kind == "text"])
    few = _few(lazy, [name for name, kind in types.items() if kind in {"integer", "number"}])
    asked: dict[tuple[str, str, str], pl.Expr] = {}
    for name, kind in types.items():
        asked |= _asked(pl.col(name), name, kind, frequent.get(name, []), few=name in few)
    expressions = [one.alias(f"s{place}") for place, one in enumerate(asked.values())]
    found = (
        lazy.group_by(_PART).agg(pl.len().alias(_ROWS), *expressions).sort(_PART).collect(engine="streaming")
    )
    rows = found[_ROWS].cast(pl.Float64).to_numpy()
    values = {("", "volume", ""): np.log(np.maximum(rows, 1.0))}
    for place, key in enumerate(asked):
        values[key] = found[f"s{place}"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    units = {}
    for name in types:
        spread = values.pop((name, "spread", ""), None)
        if spread is None:
            continue
        # The middle of the parts' spreads, so that a corrupted part does not set the scale.
        units[name] = _middle(spread)
        for sort in SPREAD:
            if (name, sort, "") in values:
                values[(name, sort, "")] = values[(name, sort, "")] / units[name]
    return Numbers(tuple(found[_PART].to_list()), rows, values, units)


def _middle(spread: NDArray[np.float64]) -> float:
    positive = spread[np.isfinite(spread) & (spread > 0)]
    return float(np.median(positive)) if positive.size else 1.0


def _frequent(lazy: pl.LazyFrame, texts: list[str]) -> dict[str, list[str]]:
    import polars as pl

    if not texts:
        return {}
    counted = lazy.select(
        pl.col(name).cast(pl.String).drop_nulls().value_counts(sort=True, name="n")
        .head(MOST_TEXTS).struct.field(name).implode() for name in texts
    ).collect()  # fmt: skip
    return {name: counted[name][0].to_list() for name in texts}


def _few(lazy: pl.LazyFrame, names: list[str]) -> set[str]:
    """Names the numbers that have few values, whose quantiles jump from one to the next."""
    import polars as pl

    counted = lazy.select(pl.col(name).n_unique() for name in names).collect(engine="streaming")
    return {name for name in names if counted[name][0] <= FEW_VALUES}


def _asked(
    column: pl.Expr, name: str, kind: str, frequent: list[str], *, few: bool
) -> dict[tuple[str, str, str], pl.Expr]:
    """Gives the numbers that a column is summarised by."""
    import polars as pl

    if kind == "number":
        column = column.cast(pl.Float64).fill_nan(None)
        column = pl.when(column.is_finite()).then(column)
    asked = {(name, "missing", ""): column.is_null().mean()}
    if kind == "boolean":
        return asked | {(name, "true", ""): column.cast(pl.Float64).mean()}
    if kind == "time":
        return asked
    most = column.drop_nulls().unique_counts().max() / pl.len()
    asked[(name, "mode", "")] = most
    if kind == "text":
        texts = column.cast(pl.String)
        length = texts.str.len_chars().cast(pl.Float64)
        asked |= {(name, "share", value): (texts == value).sum() / pl.len() for value in frequent}
        return asked | {(name, "length", ""): length.mean(), (name, "spread", ""): length.std()}
    numbers = column.cast(pl.Float64)
    places = {(name, f"q{share}", ""): numbers.quantile(share / 100) for share in (10, 50, 90)}
    places = {(name, "mean", ""): numbers.mean()} if few else places
    return asked | places | {(name, "spread", ""): numbers.std()}
