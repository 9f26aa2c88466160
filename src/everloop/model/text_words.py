"""Short text as features: which of its frequent words a text contains, as SQL expressions.

Words are chosen by how many training rows have them, not by the target, so a row cannot see its answer.
A word is a piece of the text as it is written, in upper and lower case; so the same expression has a
form for a row, a table and the graph. What tf-idf weighs down, words in nearly every text, is left out,
and learners that need weights scale the columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.table.prose import WORD

if TYPE_CHECKING:
    import polars as pl

MOST_WORDS = 48
FEWEST_TEXTS = 10
LEAST_SHARE, MOST_SHARE = 0.01, 0.9


@dataclass(frozen=True, slots=True)
class TextWord:
    """One word of a text column.

    Attributes:
        name: The derived column's name.
        expression: Its expression, as JSON-able data.
        values: 1 or 0 on the training rows, float64.
    """

    name: str
    expression: dict[str, Any]
    values: pl.Series


def text_words(name: str, column: pl.Series) -> list[TextWord]:
    """Gives the words of a text column that divide its rows, the most even division first.

    Args:
        name: The column.
        column: Its values on the training rows.
    """
    import polars as pl

    from everloop.table.expression import parse, to_polars

    quoted = '"' + name.replace('"', '""') + '"'
    table = column.alias(name).to_frame()
    found = []
    for word in _common(column):
        expression = parse(f"coalesce(contains({quoted}, '{word}'), false)", {name: "text"})
        values = table.select(to_polars(expression).cast(pl.Float64).alias(name))[name]
        if values.n_unique() > 1:
            found.append(TextWord(f"{name} (has {word})", expression.to_dict(), values))
    return found


def _common(column: pl.Series) -> list[str]:
    import polars as pl

    rows = len(column)
    words = column.alias("word").drop_nulls().str.extract_all(WORD).list.unique().explode(empty_as_null=False)
    counts = words.value_counts(name="rows")
    share = pl.col("rows") / rows
    few = max(FEWEST_TEXTS, LEAST_SHARE * rows)
    even = counts.filter((pl.col("rows") >= few) & (share <= MOST_SHARE)).sort(
        (share * (1 - share)).neg(), "word"
    )
    return [str(word) for word in even["word"].head(MOST_WORDS)]
