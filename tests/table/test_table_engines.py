# ruff: noqa: DTZ001  (hypothesis takes limits without a zone)
"""Four engines, one meaning: random expressions over random rows."""

import math
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import onnxruntime
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.table.expression import (
    OPERATORS,
    ColumnRef,
    Constant,
    Expression,
    GraphBuilder,
    graph_gaps,
    parse,
    to_duckdb,
    to_onnx,
    to_polars,
    to_row,
)
from everloop.table.expression.building import call
from everloop.table.expression.moments import microseconds_of
from everloop.table.expression.operators import DATE_UNITS, KINDS

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
POLARS_TYPES = {
    "a": pl.Float64, "b": pl.Float64, "i": pl.Int64, "p": pl.Boolean, "q": pl.Boolean, "s": pl.String, "u": pl.String,
    "t": pl.Datetime("us", "UTC"), "d": pl.Date,
}  # fmt: skip

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
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = st.one_of(
    st.sampled_from([datetime(2024, 2, 29, 23, 59, 59, 999999), datetime(1900, 2, 28), datetime(1900, 3, 1), datetime(2000, 2, 29), datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), datetime(1969, 12, 31, 23, 59, 59, 999999), datetime(1970, 1, 1), datetime(1600, 2, 29, 12), datetime(2100, 3, 1)]),
    st.datetimes(),
    st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1)),
).map(lambda moment: moment.replace(tzinfo=UTC))  # fmt: skip


def _or_null(values):
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


def constants(kind):
    return {
        "number": st.one_of(st.none(), st.sampled_from([0.0, 1.0, -1.0, 2.0, 0.5, 3.0, 100.0, 1e-9])).map(
            lambda v: Constant(v, "number")
        ),
        "boolean": st.sampled_from([True, False, None]).map(lambda v: Constant(v, "boolean")),
        "text": st.one_of(st.none(), LITERAL_TEXTS).map(lambda v: Constant(v, "text")),
        "time": st.one_of(st.none(), TIMES).map(
            lambda v: Constant(None if v is None else float(microseconds_of(v, "t")), "time")
        ),
    }[kind]


def columns(kind):
    names = [name for name, type_ in TYPES.items() if kind == ("number" if type_ == "integer" else type_)]
    return st.sampled_from(names).map(lambda name: ColumnRef(name, kind))


def trees(kind, depth, *, graph, exact=False):
    leaf = st.one_of(columns(kind), columns(kind), constants(kind))
    if depth == 0:
        return leaf
    fitting = [
        o
        for o in OPERATORS.values()
        if (o.result in {kind, "same"}) and (o.graph or not graph) and (not exact or o.name not in INEXACT)
    ]
    return st.one_of(
        leaf, *(applied(o, kind, depth, graph=graph) for o in fitting if _possible(o, kind, graph=graph))
    )


def _possible(operator, kind, *, graph):
    return operator.result != "same" or kind in {k for t in operator.takes[-1:] for k in KINDS[t]}


@st.composite
def applied(draw, operator, kind, depth, *, graph):  # noqa: PLR0911  (a flat table of shapes)
    def inner(type_):
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


def by_polars(expression, rows):
    frame = pl.DataFrame(
        {
            name: pl.Series([row[name] for row in rows], dtype=dtype, strict=False)
            for name, dtype in POLARS_TYPES.items()
        }
    )
    selected = to_polars(expression).alias("r")
    return frame.with_columns(selected)["r"].to_list()


CONNECTION = duckdb.connect()
CONNECTION.execute("SET TimeZone = 'America/New_York'")


def by_duckdb(expression, rows):
    frame = pl.DataFrame(
        {
            name: pl.Series([row[name] for row in rows], dtype=dtype, strict=False)
            for name, dtype in POLARS_TYPES.items()
        }
    )
    CONNECTION.register("rows", frame.to_arrow())
    relation = CONNECTION.sql(f"SELECT {to_duckdb(expression)} AS r FROM rows")
    values = relation.pl()["r"].to_list()
    return [value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for value in values]


def by_graph(expression, rows):
    graph = GraphBuilder("expression")
    feeds = {}
    for name, kind in TYPES.items():
        if name not in expression.columns:
            continue
        graph.input(name, "text" if kind == "text" else "double")
        values = [row[name] for row in rows]
        if kind == "text":
            feeds[name] = np.array([["\0" if value is None else value] for value in values], dtype=object)
        elif kind == "time":
            feeds[name] = np.array(
                [[math.nan if value is None else float(microseconds_of(value, name))] for value in values]
            )
        else:
            feeds[name] = np.array([[math.nan if value is None else float(value)] for value in values])
    result = to_onnx(expression, graph)
    graph.output("r", result, "text" if expression.type == "text" else "double", 1)
    session = onnxruntime.InferenceSession(graph.to_bytes(), providers=["CPUExecutionProvider"])
    values = np.broadcast_to(session.run(None, feeds)[0], (len(rows), 1)).ravel().tolist()
    back = {
        "number": lambda value: value,
        "boolean": bool,
        "text": lambda value: value,
        "time": lambda value: _EPOCH + timedelta(microseconds=int(value)),
    }[expression.type]
    return [
        None if value in {"\0", None} or math.isnan(value if isinstance(value, float) else 0) else back(value)
        for value in values
    ]


def by_row(expression, rows):
    function = to_row(expression)
    return [function(row) for row in rows]


def same(left, right):
    if left is None or right is None:
        return left is right
    if isinstance(left, float) and isinstance(right, float):
        return (
            math.isfinite(left)
            and math.isfinite(right)
            and math.isclose(left, right, rel_tol=1e-12, abs_tol=1e-300)
        )
    return type(left) is type(right) and left == right


def assert_all_equal(expression, rows):
    answers = {
        "row": by_row(expression, rows),
        "polars": by_polars(expression, rows),
        "duckdb": by_duckdb(expression, rows),
    }
    if not graph_gaps(expression.tree):
        answers["graph"] = by_graph(expression, rows)
    for engine, values in answers.items():
        for row, expected, value in zip(rows, answers["row"], values, strict=True):
            if not same(expected, value):
                used = {name: row[name] for name in expression.columns}
                pytest.fail(
                    f"{engine} gives {value!r}, row gives {expected!r} for {used} in {expression.sql or expression.tree}"
                )


ANY_TREE = st.one_of(
    *(
        trees(kind, 3, graph=graph)
        for kind in ("number", "boolean", "text", "time")
        for graph in (False, True)
    )
)
SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@SETTINGS
@given(tree=ANY_TREE, rows=st.lists(ROW, min_size=1, max_size=12))
def test_all_engines_agree_on_random_expressions(tree, rows):
    assert_all_equal(Expression("", tree), rows)


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_all_engines_agree_on_each_operator(name):
    operator = OPERATORS[name]
    kinds = [operator.result] if operator.result != "same" else list(KINDS[operator.takes[-1]])

    @settings(SETTINGS, max_examples=12)
    @given(
        tree=st.one_of(*(applied(operator, kind, 1, graph=operator.graph) for kind in kinds)),
        rows=st.lists(ROW, min_size=8, max_size=30),
    )
    def agree(tree, rows):
        assert_all_equal(Expression("", tree), rows)

    agree()


@pytest.mark.parametrize("name", ["t", "d"])
def test_all_engines_agree_on_every_day_around_leap_years(name):
    start = datetime(1899, 12, 30, 23, 59, 59, 999999, tzinfo=UTC)
    days = [start + timedelta(days=day * 13) for day in range(7000)]
    rows = [dict.fromkeys(TYPES, None) | {name: day if name == "t" else day.date()} for day in days]
    for sql in ("year", "quarter", "month", "day", "dayofweek", "isodow", "dayofyear"):
        assert_all_equal(parse(f"{sql}({name})", TYPES), rows)


def test_every_letter_is_mapped_alike():
    letters = [chr(point) for point in range(1, 0x2FFF)]
    rows = [dict.fromkeys(TYPES, None) | {"s": letter} for letter in letters]
    for sql in ("lower(s)", "upper(s)", "length(s)", "trim(s)", "upper(lower(s))"):
        assert_all_equal(parse(sql, TYPES), rows)


def test_deep_expressions_stay_small_and_agree():
    sql = "a"
    for _ in range(6):
        sql = f"round(({sql}) / (b + 1) % 7 + 1, 3)"
    rows = [
        dict.fromkeys(TYPES, None) | {"a": float(a), "b": float(b)}
        for a in range(-3, 4)
        for b in range(-2, 3)
    ]
    expression = parse(sql, TYPES)
    assert len(to_duckdb(expression)) < 100_000
    assert_all_equal(expression, rows)
