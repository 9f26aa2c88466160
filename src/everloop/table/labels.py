"""Labels and categories as text: one spelling for a value, in a column and alone.

A class is named by its text: ``True`` is ``true``, ``1`` and ``1.0`` are both ``1``. Training,
serving and actuals that come back as JSON therefore mean the same class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec.frame import Frame

MOST_CLASSES = 1_000
"""More are descriptions or identifiers; chances of them take more time and memory than an answer is worth."""

# Above this a double no longer tells neighbouring integers apart.
_EXACT_INTEGERS = 2**53


def require_few_classes(target: str, classes: int, rows: int) -> None:
    """Refuses a target with more than `MOST_CLASSES` classes, before hours go into them.

    Raises:
        DataFault: When it has more.
    """
    if classes > MOST_CLASSES:
        raise DataFault(
            f"The target {target!r} has {classes:,} classes in {rows:,} rows; at most {MOST_CLASSES:,} can "
            "be told apart.",
            hint="merge rare classes into one, or predict a group of them",
        )


def label_text(value: Any) -> str | None:
    """Gives the text that names a value; None stays None, and NaN is None.

    Example:
        >>> [label_text(value) for value in (True, 1, 1.0, 0.5, "yes", None)]
        ['true', '1', '1', '0.5', 'yes', None]
    """
    if value is None or isinstance(value, str):
        return value
    if type(value) is int:  # the most frequent of the rest
        return str(value)
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)):
        number = float(value)
        if number != number:  # noqa: PLR0124  (NaN alone differs from itself)
            return None
        return str(int(number)) if number.is_integer() and abs(number) < _EXACT_INTEGERS else repr(number)
    return str(value)


def label_texts(column: pl.Series) -> pl.Series:
    """Gives `label_text` of each value of a column, as text."""
    import polars as pl

    if column.dtype == pl.String:
        return column
    if column.null_count() == len(column):
        return pl.Series(column.name, [None] * len(column), dtype=pl.String)
    if column.dtype.is_integer():
        return column.cast(pl.String)
    distinct = column.unique()
    texts = pl.Series([label_text(value) for value in distinct.to_list()], dtype=pl.String)
    return column.replace_strict(distinct, texts, return_dtype=pl.String)


def label_codes(column: pl.Series) -> tuple[list[str], NDArray[np.int64]]:
    """Gives the labels of a column in their order, and each value's position among them; -1 where missing.

    Example:
        >>> import polars as pl
        >>> label_codes(pl.Series(["no", "yes", None, "no"]))
        (['no', 'yes'], array([ 0,  1, -1,  0]))
    """
    import polars as pl

    texts = label_texts(column)
    labels = texts.drop_nulls().unique().sort()
    codes = texts.cast(pl.Enum(labels)).to_physical().cast(pl.Int64).fill_null(-1)
    return labels.to_list(), codes.to_numpy()


def label_counts(column: pl.Series) -> dict[str, int]:
    """Counts the rows of each label, missing ones left out; the most frequent first, equals by text."""
    counts = label_texts(column).drop_nulls().alias("label").value_counts(name="rows")
    ordered = counts.sort(["rows", "label"], descending=[True, False])
    return dict(zip(ordered["label"].to_list(), ordered["rows"].to_list(), strict=True))


def class_indices(column: pl.Series, classes: Sequence[str]) -> NDArray[np.float64]:
    """Gives each value's position in `classes`; NaN where the value is missing.

    Args:
        column: Labels of any type, (rows,).
        classes: The texts that name the classes, in order.

    Returns:
        Positions as float64, (rows,).

    Raises:
        DataFault: When a value is none of the classes.
    """
    import polars as pl

    texts = label_texts(column)
    unknown = texts.filter(texts.is_not_null() & ~texts.is_in(list(classes))).unique().to_list()
    if unknown:
        raise DataFault(
            f"Column {column.name!r} holds {sorted(unknown)[:5]}; the classes are {list(classes)}."
        )
    positions = texts.replace_strict(
        list(classes), list(range(len(classes))), return_dtype=pl.Float64, default=None
    )
    return positions.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def actuals_of(column: pl.Series, frame: Frame) -> NDArray[np.float64]:
    """Gives the actuals of a problem: class positions (1.0 the positive of two) or numbers; NaN unknown.

    Raises:
        DataFault: When a value is none of the classes, or no number where one is predicted.
    """
    import polars as pl

    if frame.classes:
        return class_indices(column, frame.classes)
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.null_count() > column.null_count():
        raise DataFault(f"Column {column.name!r} holds what is no number, and a number is predicted.")
    return numbers.fill_null(float("nan")).to_numpy()
