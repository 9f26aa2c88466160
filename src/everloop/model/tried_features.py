"""Features that are tried: ratios and differences of numbers, and how many values are missing.

What a quick model gets wrong on rows that it has not seen is looked at: a candidate whose bins tell
something about it is promising. The few most promising are added together, and stay only where the quick
model is then surely better on held-out rows. Each is an SQL expression over the row, so it
serves as any other feature does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.model.features import Features
from everloop.model.quick_model import (
    QuickFit,
    block_losses,
    chances_of,
    quick_errors,
    quick_fits,
    signed_score,
)
from everloop.model.trained import FeatureChoice
from everloop.table.expression import parse
from everloop.table.feature import FeatureDefinition, derive

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from numpy.typing import NDArray

    from everloop.model.trial import Material
    from everloop.table.expression import Expression

MOST_NUMBERS = 10
"""Numbers are combined in pairs, the ones with the greatest gain first."""

MOST_TRIED = 4
TOGETHER = 50
"""So many are computed at once: each query costs more than what it computes."""

FEWEST_ROWS = 1_000
BINS = 16
LEAST_TOLD = 0.01
"""The share of the errors' variance that a promising candidate explains on rows that it was not binned on."""

MOSTLY = 0.95
NOISE = 0.05
"""Where candidates gain nothing they stay so often."""

_GAIN_SHARE = 1e-3


def try_features(
    material: Material,
    fits: Sequence[QuickFit],
    gains: dict[str, float],
    *,
    out_of_time: Callable[[], bool] = lambda: False,
) -> tuple[Material, tuple[FeatureChoice, ...]]:
    """Tries combinations of numbers and keeps those that help.

    Args:
        material: The rows, their folds and the features so far.
        fits: Quick models of them; without any nothing is tried.
        gains: What each feature is worth, where that was measured.
        out_of_time: Asked between fits; true ends the trying with nothing added.

    Returns:
        The material, with what helps among its features; and what was tried.
    """
    if material.table.height < FEWEST_ROWS or not fits or out_of_time():
        return material, ()
    numbers = _numbers(material, gains)
    if len(numbers) < 2:
        return material, ()
    rows, errors = quick_errors(material, fits)
    promising = _promising(material, numbers, rows, errors)
    if not promising or out_of_time():
        return material, ()
    wider = _with(material, promising)
    found = quick_fits(wider, out_of_time=out_of_time)
    if found is None:
        return material, ()
    base = float(np.mean([signed_score(material, fit, fit.scores) for fit in fits]))
    gain = float(np.mean([signed_score(wider, fit, fit.scores) for fit in found])) - base
    chance = chances_of(material, block_losses(material, fits) - block_losses(wider, found))[0]
    helps = bool(chance <= NOISE and gain > _GAIN_SHARE * abs(base))
    reason = "tried, and the metric on held-out rows is better" if helps else "tried, and it does not help"
    choices = tuple(FeatureChoice(name, helps, reason, gain) for name in promising)
    return (wider if helps else material), choices


def _numbers(material: Material, gains: dict[str, float]) -> list[str]:
    names = [name for name, kind in material.features.kinds.items() if kind == "number"]
    schema = material.table.schema  # asked once: each time it is built anew
    varied = [name for name in names if str(schema[name]) != "Boolean"]
    return sorted(varied, key=lambda name: -gains.get(name, 0.0))[:MOST_NUMBERS]


def _promising(
    material: Material, numbers: list[str], rows: NDArray[np.int64], errors: NDArray[np.float64]
) -> dict[str, Expression]:
    """Gives the candidates that tell most of what the quick model gets wrong."""
    import polars as pl

    from everloop.table.expression import to_polars

    held = material.table[rows]
    types = {**dict.fromkeys(material.features.columns, "number"), **material.features.types}
    found = _candidates(held, numbers, list(material.features.kinds))
    taken = set(material.table.columns)
    candidates = [(name, parse(sql, types)) for name, sql in found if name not in taken]
    scored = []
    for start in range(0, len(candidates), TOGETHER):
        some = candidates[start : start + TOGETHER]
        asked = [to_polars(one).cast(pl.Float64).alias(str(place)) for place, (_, one) in enumerate(some)]
        values = held.select(asked)
        for (name, expression), column in zip(some, values.iter_columns(), strict=True):
            told = _told(column.to_numpy(), errors)
            if told >= LEAST_TOLD:
                scored.append((told, name, expression))
    best = sorted(scored, key=lambda one: (-one[0], one[1]))[:MOST_TRIED]
    return {name: expression for _, name, expression in best}


def _candidates(held: pl.DataFrame, numbers: list[str], names: list[str]) -> Iterator[tuple[str, str]]:
    divisors = [name for name in numbers if int((held[name] != 0).sum()) >= MOSTLY * held.height]
    for one, other in permutations(numbers, 2):
        if other in divisors:
            yield f"{one} / {other}", f"{_quoted(one)} / {_quoted(other)}"
    for one, other in combinations(numbers, 2):
        yield f"{one} - {other}", f"{_quoted(one)} - {_quoted(other)}"
    holes = [name for name in names if name in held.columns and held[name].null_count()]
    if len(holes) > 1:
        missing = " + ".join(f"(case when {_quoted(name)} is null then 1 else 0 end)" for name in holes)
        yield "missing values", missing


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _told(values: NDArray[np.float64], errors: NDArray[np.float64]) -> float:
    """Gives the share of the errors' variance that bins explain, each half judged by the other's means."""
    present = np.isfinite(values)
    if not present.any():
        return 0.0
    edges: NDArray[np.float64] = np.unique(np.quantile(values[present], np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.where(present, np.searchsorted(edges, np.where(present, values, 0.0), side="right"), BINS)
    first = np.arange(len(errors)) % 2 == 0
    left = np.empty(len(errors))
    for own in (first, ~first):
        counts = np.bincount(bins[~own], minlength=BINS + 1)
        sums = np.bincount(bins[~own], weights=errors[~own], minlength=BINS + 1)
        left[own] = errors[own] - (sums / np.maximum(counts, 1))[bins[own]]
    total = float(np.sum((errors - errors.mean()) ** 2))
    return 1.0 - float(np.sum(left**2)) / total if total > 0 else 0.0


def _with(material: Material, added: dict[str, Expression]) -> Material:
    features = material.features
    table = derive(material.table, [FeatureDefinition(*item) for item in added.items()]).collect()
    kinds: dict[str, Any] = {**features.kinds, **dict.fromkeys(added, "number")}
    definitions = {**features.definitions, **added}
    return replace(material, table=table, features=Features(kinds, features.types, definitions))
