"""Raw rows as an estimator was given them: a matrix of numbers, or a pandas frame with its columns' names."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault, PackageRefused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.runtime.encoders import PlanInput

READABLE = ("number", "integer", "boolean", "text")
"""The types of columns that a Python runtime reads."""


class RawRows:
    """Puts raw rows into the form that an estimator reads.

    Args:
        inputs: The columns, in the estimator's order.
        named: Whether it reads a frame with names; otherwise a matrix of doubles.

    Raises:
        PackageRefused: When a column is of a type that it cannot read.
    """

    def __init__(self, inputs: Iterable[PlanInput], *, named: bool) -> None:
        self.columns = {item.name: item.type for item in inputs}
        self.named = named
        readable = READABLE if named else READABLE[:3]
        for name, kind in self.columns.items():
            if kind not in readable:
                raise PackageRefused(
                    f"The column {name!r} is {kind}; a Python runtime reads {', '.join(readable)} here.",
                )

    def of_rows(self, rows: Iterable[Mapping[str, Any]]) -> NDArray[Any]:
        """Gives the values of rows: (rows, columns), None where missing."""
        values = np.empty((len(found := list(rows)), len(self.columns)), dtype=object)
        for place, row in enumerate(found):
            values[place] = [row.get(name) for name in self.columns]
        return values

    def of_table(self, frame: Any) -> NDArray[Any]:
        """Gives the values of a Polars frame, as `of_rows` does.

        Raises:
            DataFault: When a column is missing or of another type.
        """
        from everloop.table.labels import label_texts

        absent = [name for name in self.columns if name not in frame.columns]
        if absent:
            raise DataFault(f"The table lacks the columns {absent}, which the model reads.")
        values = np.empty((frame.height, len(self.columns)), dtype=object)
        for place, (name, kind) in enumerate(self.columns.items()):
            column = frame[name]
            if kind == "text":
                column = label_texts(column)
            elif not (column.dtype.is_numeric() or str(column.dtype) in ("Boolean", "Null")):
                raise DataFault(f"The column {name!r} is {column.dtype}; the model reads a {kind}.")
            values[:, place] = column.to_list()
        return values

    def as_read(self, values: NDArray[Any]) -> Any:
        """Gives values as the estimator reads them.

        Returns:
            A pandas frame, or (rows, columns) doubles with NaN where missing.
        """
        if not self.named:
            return values.astype(np.float64)
        import pandas as pd

        if set(self.columns.values()) == {"number"}:  # one block: a tenth of what columns one by one cost
            return pd.DataFrame(values.astype(np.float64), columns=list(self.columns))
        return pd.DataFrame(
            {name: COLUMNS[kind](values[:, place]) for place, (name, kind) in enumerate(self.columns.items())}
        )


def _number(values: NDArray[Any]) -> Any:
    return values.astype(np.float64)


def _integer(values: NDArray[Any]) -> Any:
    numbers = values.astype(np.float64)
    with np.errstate(invalid="ignore"):
        whole = bool(((np.abs(numbers) < 2.0**63) & (numbers == np.floor(numbers))).all())
    return values.astype(np.int64) if whole else numbers


def _boolean(values: NDArray[Any]) -> Any:
    if any(_missing(value) for value in values):
        return np.array([math.nan if _missing(value) else bool(value) for value in values], dtype=object)
    return values.astype(bool)


def _text(values: NDArray[Any]) -> Any:
    import pandas as pd

    texts = [math.nan if _missing(value) else value for value in values]
    return pd.Series(texts, dtype="str" if int(pd.__version__.partition(".")[0]) >= 3 else object)


def _missing(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124  (NaN alone differs from itself)


COLUMNS: dict[str, Callable[[NDArray[Any]], Any]] = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "text": _text,
}
"""A column's type -> its values in the form in which pandas reads them from a file."""
