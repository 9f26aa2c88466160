"""Four engines, one meaning: random expressions over random rows."""

import math
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import onnxruntime
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
from everloop.table.expression.moments import EPOCH, microseconds_of
from everloop.table.expression.operators import KINDS
from everloop.table.expression.readings import NUMBER_STYLES
from everloop.testing.expression_cases import (
    ANY_TREE,
    NUMBER_TEXTS,
    ROW,
    TIME_FORMS,
    TIME_TEXTS,
    TYPES,
    applied,
    frame_of,
    same,
)


def by_polars(expression, rows):
    selected = to_polars(expression).alias("r")
    return frame_of(rows).with_columns(selected)["r"].to_list()


CONNECTION = duckdb.connect()
CONNECTION.execute("SET TimeZone = 'America/New_York'")


def by_duckdb(expression, rows):
    CONNECTION.register("rows", frame_of(rows).to_arrow())
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
        "time": lambda value: EPOCH + timedelta(microseconds=int(value)),
    }[expression.type]
    return [
        None if value in {"\0", None} or math.isnan(value if isinstance(value, float) else 0) else back(value)
        for value in values
    ]


def by_row(expression, rows):
    function = to_row(expression)
    return [function(row) for row in rows]


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


@pytest.mark.parametrize("style", sorted(NUMBER_STYLES))
@settings(SETTINGS, max_examples=15)
@given(texts=st.lists(st.one_of(st.none(), NUMBER_TEXTS), min_size=1, max_size=40))
def test_all_engines_read_numbers_in_text_alike(style, texts):
    tree = call("parse_number", [ColumnRef("s", "text"), Constant(style, "text")])
    assert_all_equal(Expression("", tree), [{**dict.fromkeys(TYPES), "s": text} for text in texts])


@settings(SETTINGS, max_examples=30)
@given(form=TIME_FORMS, texts=st.lists(st.one_of(st.none(), TIME_TEXTS), min_size=1, max_size=40))
def test_all_engines_read_times_in_text_alike(form, texts):
    tree = call("parse_time", [ColumnRef("s", "text"), Constant(form, "text")])
    assert_all_equal(Expression("", tree), [{**dict.fromkeys(TYPES), "s": text} for text in texts])
