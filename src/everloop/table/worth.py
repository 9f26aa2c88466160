"""From the prices of the lifecycle file to what decisions on the rows of a table are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import SpecFault
from everloop.core.nearness import near_names
from everloop.measure.worth import Worth
from everloop.table.expression import Expression, to_polars
from everloop.table.prices import Prices, prices_of_rows, read_price
from everloop.table.schema import schema_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec.frame import Frame
    from everloop.spec.goal import ValueSpec

ACTUAL, PREDICTED = "actual", "predicted"
PRICED_TASKS = ("binary", "multiclass", "regression")
_WANTED = {
    "binary": "true_positive, false_positive, false_negative and true_negative",
    "multiclass": "outcomes: {ACTUAL: {DECIDED: price}}",
    "regression": "over_prediction and under_prediction",
}


def worth_of(value: ValueSpec | None, frame: Frame, table: Any) -> Worth | None:
    """Prices the decisions that can be made on the rows of a table.

    Args:
        value: `goal.value` of the lifecycle file.
        frame: The problem.
        table: The rows, with every column that a price reads; the target need not be among them.

    Returns:
        What each decision on each row is worth; None where decisions of the task have no price.

    Raises:
        SpecFault: When a price is no number, names what is not there, or prices another task.
        DataFault: When a price is missing on a row.
    """
    if value is None or frame.task not in PRICED_TASKS:
        return None
    from everloop.table.tables import as_frame

    rows = as_frame(table)
    types = schema_of(rows).types
    if frame.task == "regression":
        return _of_numbers(value, rows, types)
    four, expressions = _cells(value, frame, types)
    found = prices_of_rows(rows.lazy(), tuple(expressions))
    if four:
        return Worth("binary", prices=found, size=rows.height, currency=value.currency)
    size = len(frame.classes)
    cells = found.reshape(rows.height, size, size)
    if frame.task == "binary":
        found = np.stack([cells[:, 1, 1], cells[:, 0, 1], cells[:, 1, 0], cells[:, 0, 0]], axis=1)
        return Worth("binary", prices=found, size=rows.height, currency=value.currency)
    return Worth("multiclass", prices=cells, size=rows.height, currency=value.currency)


def columns_read(value: ValueSpec | None, frame: Frame, types: Mapping[str, str]) -> tuple[str, ...]:
    """Gives the columns that prices read, each once.

    Raises:
        SpecFault: As `worth_of`.
    """
    if value is None or frame.task not in PRICED_TASKS:
        return ()
    if frame.task == "regression":
        expressions = list(_errors(value, types))
    else:
        expressions = _cells(value, frame, types)[1]
    names = (name for expression in expressions for name in expression.columns)
    return tuple(dict.fromkeys(name for name in names if name in types))


def _cells(value: ValueSpec, frame: Frame, types: Mapping[str, str]) -> tuple[bool, list[Expression]]:
    """Gives whether the four prices are stated, and them; or the price of each cell, actual by actual."""
    if value.kind == "binary" and frame.task == "binary":
        return True, list(Prices.of(value, types).expressions)
    if value.kind != "multiclass":
        raise _other_task(value, frame)
    _require_classes("goal.value.outcomes", value.outcomes, frame.classes)
    for actual, row in value.outcomes.items():
        _require_classes(f"goal.value.outcomes.{actual}", row, frame.classes)
    otherwise = read_price("otherwise", value.otherwise, types)
    return False, [
        read_price(f"outcomes.{actual}.{decided}", sql, types)
        if (sql := value.outcomes.get(actual, {}).get(decided)) is not None
        else otherwise
        for actual in frame.classes
        for decided in frame.classes
    ]


def _require_classes(place: str, names: Mapping[str, Any], classes: tuple[str, ...]) -> None:
    for name in names:
        if name not in classes:
            near = near_names(name, classes)
            raise SpecFault(
                f"{place} prices {name!r}; the classes are {', '.join(classes[:20])}.",
                hint=f"did you mean {near[0]!r}?" if near else None,
                place=place,
            )


def _errors(value: ValueSpec, types: Mapping[str, str]) -> tuple[Expression, Expression]:
    if value.kind != "regression":
        raise _other_task(value, None)
    known = {**types, ACTUAL: "number", PREDICTED: "number"}
    over = read_price("over_prediction", value.over_prediction or "0", known)
    return over, read_price("under_prediction", value.under_prediction or "0", known)


def _other_task(value: ValueSpec, frame: Frame | None) -> SpecFault:
    task = frame.task if frame else "regression"
    return SpecFault(
        f"goal.value prices a {value.kind} decision, and the problem is {task}.",
        hint=f"goal.value: state {_WANTED[task]}; or problem.task: {value.kind}",
        place="goal.value",
    )


def _of_numbers(value: ValueSpec, rows: pl.DataFrame, types: Mapping[str, str]) -> Worth:
    import polars as pl

    over, under = _errors(value, types)
    read = [name for name in dict.fromkeys((*over.columns, *under.columns)) if name in types]
    kept = rows.select([name for name in read if name not in (ACTUAL, PREDICTED)])
    above, below = to_polars(over), to_polars(under)

    def errors(
        positions: NDArray[np.int64], actual: NDArray[np.float64], predicted: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        numbers = pl.DataFrame({ACTUAL: actual, PREDICTED: predicted})
        table = kept[positions].hstack(numbers) if kept.width else numbers
        higher = pl.col(PREDICTED) > pl.col(ACTUAL)
        priced = table.select(pl.when(higher).then(above).otherwise(below).cast(pl.Float64).alias("worth"))
        return priced["worth"].fill_null(float("nan")).to_numpy()

    return Worth("regression", errors=errors, size=rows.height, currency=value.currency)
