"""Values that stand for a missing one: ``?``, ``N/A``, ``-999``, and 0 where it is impossible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.data.ordered import distinct, in_order, quantile

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

TEXTS = frozenset(
    ["", "?", "??", "-", "--", ".", "n/a", "na", "n.a.", "nan", "null", "nil", "#n/a", "#null!", "<na>"]
)
"""Texts that mean missing, without their case and the spaces around them."""

NUMBERS = (-9.0, -99.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0, 999999.0)
"""Numbers that may mean missing: where one lies far from all others."""

FEWEST = 2
_LONGEST = 20  # of a text that means missing, in bytes, the spaces around it included
# A number is a sentinel where it lies further from all others than they lie from each other.
# Zero is impossible where all others lie far from it, and close together.
_FEWEST_OTHERS = 50
_FEWEST_DIFFERENT = 20
_GAP = 0.25
_DEVIATIONS = 3.0
_NORMAL_WIDTH = 4.65  # from the 1st to the 99th percentile, in standard deviations
_MOST_ZEROS = 0.6


def text_sentinels(text: pl.Expr) -> pl.Expr:
    """Counts the texts that mean missing, as one list of values and rows."""
    return text.filter(means_missing(text)).alias("value").value_counts(name="rows").implode()


def means_missing(text: pl.Expr) -> pl.Expr:
    """Tells of each text whether it means missing."""
    marks = text.str.strip_chars().str.to_lowercase().is_in(list(TEXTS))
    return (text.str.len_bytes() <= _LONGEST) & marks


def number_facts(ordered: NDArray[np.float64]) -> dict[str, Any]:
    """Gives what `number_sentinels` needs to know of a column of numbers.

    Args:
        ordered: Its finite values, from the least to the greatest.
    """
    marks = {value: _count(ordered, value) for value in NUMBERS}
    present = {value: rows for value, rows in marks.items() if rows}
    rest = ordered[~np.isin(ordered, list(present))] if present else ordered
    zeros = _count(rest, 0.0)
    others = rest[rest != 0.0] if zeros else rest
    if not len(rest):
        return {"marks": present, "low": None}
    return {
        "marks": present,
        "low": float(rest[0]),
        "high": float(rest[-1]),
        "width": quantile(rest, 0.99) - quantile(rest, 0.01),
        "zeros": zeros,
        "others": len(others),
        "least": float(others[0]) if len(others) else 0.0,
        "different": distinct(others),
        **{f"q{share}": quantile(others, share / 100) for share in (1, 50, 99)},
    }


def _count(ordered: NDArray[np.float64], value: float) -> int:
    return int(np.searchsorted(ordered, value, "right") - np.searchsorted(ordered, value, "left"))


def number_sentinels(facts: Mapping[str, Any]) -> dict[float, int]:
    """Finds the numbers that stand for a missing value.

    Args:
        facts: What `number_facts` gave.

    Returns:
        Value -> how many rows have it.
    """
    found: dict[float, int] = {}
    if facts["low"] is None:
        return {}
    low, high = facts["low"], facts["high"]
    for value, rows in sorted(facts["marks"].items()):
        gap = low - value if value < low else value - high
        # A negative number among others of which none is needs less: far from the most of them.
        far = gap > high - low or (value < 0 <= low and gap > _GAP * facts["width"])
        if rows >= FEWEST and gap > 0 and far:
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


def sentinels_of(column: pl.Series) -> dict[Any, int]:
    """Finds the values of a column of text or numbers that stand for a missing one, with their rows."""
    import polars as pl

    if column.dtype.is_numeric():
        return dict(number_sentinels(number_facts(in_order(column))))
    texts = column.cast(pl.String)
    short = texts.filter(texts.str.len_bytes() <= _LONGEST)
    marks = short.filter(short.str.strip_chars().str.to_lowercase().is_in(list(TEXTS)))
    if len(marks) == len(texts) - texts.null_count():
        return {}
    return dict(sorted(marks.alias("value").value_counts(name="rows").iter_rows()))


def plain(value: Any) -> Any:
    """Gives a whole number as an integer, and anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
