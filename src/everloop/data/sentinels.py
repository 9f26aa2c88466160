"""Values that stand for a missing one: ``?``, ``N/A``, ``-999``, and 0 where it is impossible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

TEXTS = frozenset(
    ["", "?", "??", "-", "--", ".", "n/a", "na", "n.a.", "nan", "null", "nil", "#n/a", "#null!", "<na>"]
)
"""Texts that mean missing, without their case and the spaces around them."""

NUMBERS = (-9.0, -99.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0, 999999.0)
"""Numbers that may mean missing: where one lies further from all others than they lie from each other."""

FEWEST = 2
# Zero is impossible where all others lie far from it, and close together.
_FEWEST_OTHERS = 50
_FEWEST_DIFFERENT = 20
_GAP = 0.25
_DEVIATIONS = 3.0
_NORMAL_WIDTH = 4.65  # from the 1st to the 99th percentile, in standard deviations
_MOST_ZEROS = 0.6


def text_sentinels(text: pl.Expr) -> pl.Expr:
    """Counts the texts that mean missing, as one list of values and rows."""
    held = text.filter(text.str.strip_chars().str.to_lowercase().is_in(list(TEXTS)))
    return held.alias("value").value_counts(name="rows").implode()


def number_facts(number: pl.Expr) -> dict[str, pl.Expr]:
    """Gives what `number_sentinels` needs to know of a column of numbers, in one pass."""
    import polars as pl

    number = number.cast(pl.Float64)
    number = number.filter(number.is_finite())
    rest = number.filter(~number.is_in(NUMBERS))
    others = rest.filter(rest != 0.0)
    return {
        "marks": number.filter(number.is_in(NUMBERS)).alias("value").value_counts(name="rows").implode(),
        "low": rest.min(),
        "high": rest.max(),
        "zeros": (rest == 0.0).sum(),
        "others": others.count(),
        "least": others.min(),
        "different": others.approx_n_unique(),
        **{f"q{share}": others.quantile(share / 100) for share in (1, 50, 99)},
    }


def number_sentinels(facts: Mapping[str, Any]) -> dict[float, int]:
    """Finds the numbers that stand for a missing value.

    Args:
        facts: What the expressions of `number_facts` gave.

    Returns:
        Value -> how many rows have it.
    """
    found: dict[float, int] = {}
    low, high = facts["low"], facts["high"]
    if low is None:
        return {}
    for value, rows in sorted(tuple(entry.values()) for entry in facts["marks"]):
        outside = not low <= value <= high
        if rows >= FEWEST and outside and min(abs(value - low), abs(value - high)) > high - low:
            found[value] = rows
    if _zero_is_impossible(facts):
        found[0.0] = int(facts["zeros"])
    return found


def _zero_is_impossible(facts: Mapping[str, Any]) -> bool:
    zeros, others = facts["zeros"], facts["others"]
    if zeros < FEWEST or others < _FEWEST_OTHERS or zeros > _MOST_ZEROS * (zeros + others):
        return False
    middle, deviation = facts["q50"], (facts["q99"] - facts["q1"]) / _NORMAL_WIDTH
    return bool(
        facts["different"] >= _FEWEST_DIFFERENT
        and facts["least"] > _GAP * middle
        and middle > _DEVIATIONS * deviation
    )


def find_sentinels(table: pl.LazyFrame, kinds: Mapping[str, str]) -> dict[str, dict[Any, int]]:
    """Finds the values that stand for a missing one, in one pass.

    Args:
        table: The rows.
        kinds: Column -> its type; those that are neither text nor numbers have none.

    Returns:
        Column -> value -> how many rows have it; columns without any are left out.
    """
    import polars as pl

    facts: dict[tuple[str, str], pl.Expr] = {}
    for name, kind in kinds.items():
        if kind == "text":
            facts |= {(name, "counts"): text_sentinels(pl.col(name).cast(pl.String))}
            facts |= {(name, "present"): pl.col(name).count()}
        elif kind in ("integer", "number"):
            facts |= {(name, key): fact for key, fact in number_facts(pl.col(name)).items()}
    if not facts:
        return {}
    named = [fact.alias(str(place)) for place, fact in enumerate(facts.values())]
    row = dict(zip(facts, table.select(named).collect(engine="streaming").row(0), strict=True))
    found = {}
    for name, kind in kinds.items():
        own = {key: value for (column, key), value in row.items() if column == name}
        if kind == "text":
            values = dict(sorted(tuple(entry.values()) for entry in own["counts"]))
            values = values if sum(values.values()) < own["present"] else {}
        else:
            values = {plain(value): rows for value, rows in number_sentinels(own).items()} if own else {}
        if values:
            found[name] = values
    return found


def plain(value: Any) -> Any:
    """Gives a whole number as an integer, and anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
