"""Text that is written in words, as against names, codes and categories."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

WORD = r"[^\W\d_]{3,}"
"""What counts as a word: letters, at least three."""

FEWEST_WORDS = 3.0
"""A value of prose has so many words on average; a person's name has fewer."""

_LOOKED_AT = 10_000


def is_prose(column: pl.Series) -> bool:
    """Says whether a text column is written in words, by its first rows.

    Args:
        column: The texts.
    """
    import polars as pl

    present = column.drop_nulls().head(_LOOKED_AT)
    if present.is_empty() or present.dtype != pl.String:
        return False
    return float(present.str.count_matches(WORD).mean() or 0.0) >= FEWEST_WORDS  # type: ignore[arg-type]
