# ruff: noqa: DTZ001, ANN, D103  (hypothesis takes limits without a zone)
"""Random expressions over random rows, by which engines are held equal.

Needs hypothesis. An engine is right where `same` holds between its answers and those of
`everloop.table.expression.to_row`, which computes one row at a time.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import polars as pl
from hypothesis import strategies as st

from everloop.table.expression import OPERATORS, ColumnRef, Constant
from everloop.table.expression.building import call
from everloop.table.expression.moments import microseconds_of
from everloop.table.expression.operators import DATE_UNITS, KINDS, Operator
from everloop.table.expression.readings import NUMBER_STYLES

TYPES = {
    "a": "number",
    "b": "number",
    "i": "integer",
    "p": "boolean",
    "q": "boolean",
    "s": "text",
    "u": "text",
    "t": "time",
    "d": "time",
}
POLARS_TYPES: dict[str, Any] = {
    **dict.fromkeys(("a", "b"), pl.Float64),
    "i": pl.Int64,
    **dict.fromkeys(("p", "q"), pl.Boolean),
    **dict.fromkeys(("s", "u"), pl.String),
    "t": pl.Datetime("us", "UTC"),
    "d": pl.Date,
}

NUMBERS = st.one_of(
    st.sampled_from(
        [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            2.5,
            -2.5,
            1e300,
            -1e300,
            5e-324,
            2.0**53,
            math.inf,
            -math.inf,
            math.nan,
            0.1,
            7.0,
            1e9,
        ]
    ),
    st.integers(-20, 20).map(float),
    st.floats(-1e6, 1e6),
    st.floats(),
)
INTEGERS = st.one_of(st.integers(-50, 50), st.integers(-(2**62), 2**62))
TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "a",
            "A",
            "b",
            "ab",
            "aB%",
            "ß",
            "Straße",
            "Σας",
            "İ",
            "ŉ",
            " x ",
            "日本語",
            "😀a",
            "e\u0301",
            "1.5",
            "+2",
            "-3e5",
            ".5",
            "7.",
            "1e999",
            "nan",
            "inf",
            "true",
            "FALSE",
            "a\nb",
            "a_b",
            "\\",
            "'",
            ".*",
            "\u00a0x",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
)
TIMES = st.one_of(
    st.sampled_from(
        [
            datetime(2024, 2, 29, 23, 59, 59, 999999),
            datetime(1900, 2, 28),
            datetime(1900, 3, 1),
            datetime(2000, 2, 29),
            datetime(1, 1, 1),
            datetime(9999, 12, 31, 23, 59, 59, 999999),
            datetime(1969, 12, 31, 23, 59, 59, 999999),
            datetime(1970, 1, 1),
            datetime(1600, 2, 29, 12),
            datetime(2100, 3, 1),
        ]
    ),
    st.datetimes(),
    st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1)),
).map(lambda moment: moment.replace(tzinfo=UTC))

NUMBER_TEXTS = st.one_of(
    st.sampled_from(
        [
            *("1,234.5", "1.234,5", "1 234,5", "1'234.5", "12,345,678", "1,23", "1,2345", "1 234"),
            *("$5", "-$ 5", "5 €", "EUR -1,234", "US$3", "1.5e3 USD", "12.5%", "- 7 %", "%"),
            *("1e-3", ",5", "5,", "1\u00a0234,5", "--1", "+ 2"),
        ]
    ),
    st.text("0123456789.,' +-%$€eE", max_size=8),
)
TIME_TEXTS = st.one_of(
    st.sampled_from(
        [
            *("03/11/2019", "3/1/2019", "31/02/2019", "13/13/2019", "11 Mar 2019", "11 mar 2019"),
            *("2019-03-11 12:00:01", "2019-03-11T23:59:59+02:00", "2019-03-11T00:00:00-0530"),
            *("0001-01-01 00:00:00", "24/12/2019 24:00"),
        ]
    ),
    st.dates().map(lambda day: day.strftime("%d/%m/%Y").zfill(10)),
    st.datetimes(datetime(1000, 1, 1)).map(lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S")),
)
TIME_FORMS = st.sampled_from(
    [
        *("%d/%m/%Y", "%m/%d/%Y", "%d/%m/%Y %H:%M", "%d %b %Y"),
        *("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"),
    ]
)


def _or_null(values: Any) -> Any:
    return st.one_of(st.none(), values, values, values)


ROW = st.fixed_dictionaries(
    {
        "a": _or_null(NUMBERS), "b": _or_null(NUMBERS), "i": _or_null(INTEGERS),
        "p": _or_null(st.booleans()), "q": _or_null(st.booleans()),
        "s": _or_null(TEXTS), "u": _or_null(TEXTS),
        "t": _or_null(TIMES), "d": _or_null(st.dates()),
    }
)  # fmt: skip

# Their last digit depends on the mathematical library, so nothing is built on top of them here.
INEXACT = {"ln", "log10", "exp", "power", "sin", "cos"}
LITERAL_TEXTS = st.sampled_from(["a", "A", "ß", "", "x", "1", "%", "日", "."])
PATTERNS = st.sampled_from(["a%", "%b", "_", "%", "", "a_b", "%.%", "日%", "\\%", "%'", "A%ß"])


def constants(kind: str) -> Any:
    """Literals of a type, null among them."""
    return {
        "number": st.one_of(st.none(), st.sampled_from([0.0, 1.0, -1.0, 2.0, 0.5, 3.0, 100.0, 1e-9])).map(
            lambda v: Constant(v, "number")
        ),
        "boolean": st.sampled_from([True, False, None]).map(lambda v: Constant(v, "boolean")),
        "text": st.one_of(st.none(), LITERAL_TEXTS).map(lambda v: Constant(v, "text")),
        "time": st.one_of(st.none(), TIMES).map(
            lambda v: Constant(None if v is None else float(microseconds_of(v, "t") or 0), "time")
        ),
    }[kind]


def columns(kind: Any) -> Any:
    """Columns of a type."""
    names = [name for name, type_ in TYPES.items() if kind == ("number" if type_ == "integer" else type_)]
    return st.sampled_from(names).map(lambda name: ColumnRef(name, kind))


def trees(kind: Any, depth: int, *, graph: bool, exact: bool = False) -> Any:
    """Trees that give a type.

    Args:
        kind: The type.
        depth: How many operators lie above each other at most.
        graph: Whether all of them must have a form in the ONNX graph.
        exact: Whether their last digit must be the same everywhere.
    """
    leaf = st.one_of(columns(kind), columns(kind), constants(kind))
    if depth == 0:
        return leaf
    fitting = [
        o
        for o in OPERATORS.values()
        if (o.result in {kind, "same"}) and (o.graph or not graph) and (not exact or o.name not in INEXACT)
    ]
    return st.one_of(leaf, *(applied(o, kind, depth, graph=graph) for o in fitting if _possible(o, kind)))


def _possible(operator: Operator, kind: str) -> bool:
    return operator.result != "same" or kind in {k for t in operator.takes[-1:] for k in KINDS[t]}


@st.composite
def applied(draw: Any, operator: Operator, kind: Any, depth: int, *, graph: bool) -> Any:  # noqa: PLR0911  (a flat table of shapes)
    """Trees with an operator at their root."""

    def inner(type_: Any) -> Any:
        return draw(trees(type_, depth - 1, graph=graph, exact=True))

    name = operator.name
    if name == "round":
        return call(name, [inner("number"), Constant(float(draw(st.integers(-3, 6))), "number")])
    if name == "substr":
        return call(
            name, [inner("text"), *(Constant(float(draw(st.integers(1, 4))), "number") for _ in range(2))]
        )
    if name in {"starts_with", "ends_with", "contains", "like"}:
        return call(
            name, [inner("text"), Constant(draw(PATTERNS if name == "like" else LITERAL_TEXTS), "text")]
        )
    if name == "parse_number":
        text = draw(st.one_of(NUMBER_TEXTS.map(lambda v: Constant(v, "text")), columns("text")))
        return call(name, [text, Constant(draw(st.sampled_from(sorted(NUMBER_STYLES))), "text")])
    if name == "parse_time":
        text = draw(st.one_of(TIME_TEXTS.map(lambda v: Constant(v, "text")), columns("text")))
        return call(name, [text, Constant(draw(TIME_FORMS), "text")])
    if name == "date_diff":
        return call(name, [Constant(draw(st.sampled_from(DATE_UNITS)), "text"), inner("time"), inner("time")])
    allowed = [
        k
        for k in KINDS[operator.takes[-1]]
        if not (graph and k in operator.no_graph)
        and not (name in {"to_number", "to_boolean"} and k == "time")
    ]
    same = kind if operator.result == "same" else draw(st.sampled_from(allowed))
    if name == "case":
        pairs = [node for _ in range(draw(st.integers(1, 2))) for node in (inner("boolean"), inner(same))]
        return call(name, [*pairs, inner(same)])
    if name == "in":
        values = draw(
            st.lists(constants(same).filter(lambda node: node.value is not None), min_size=1, max_size=3)
        )
        return call(name, [inner(same), *values])
    count = draw(st.integers(1, 3)) if operator.repeats else len(operator.takes)
    return call(name, [inner(same if len(KINDS[t]) > 1 else t) for t in (operator.takes * 3)[:count]])


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Gives rows as a table of `POLARS_TYPES`."""
    return pl.DataFrame(
        {
            name: pl.Series([row[name] for row in rows], dtype=dtype, strict=False)
            for name, dtype in POLARS_TYPES.items()
        }
    )


def same(left: Any, right: Any) -> bool:
    """Tells whether two answers are one: numbers to 12 digits, all else exactly."""
    if left is None or right is None:
        return left is right
    if isinstance(left, float) and isinstance(right, float):
        return (
            math.isfinite(left)
            and math.isfinite(right)
            and math.isclose(left, right, rel_tol=1e-12, abs_tol=1e-300)
        )
    return type(left) is type(right) and left == right


ANY_TREE = st.one_of(
    *(
        trees(kind, 3, graph=graph)
        for kind in ("number", "boolean", "text", "time")
        for graph in (False, True)
    )
)
