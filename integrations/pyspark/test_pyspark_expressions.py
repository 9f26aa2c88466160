# ruff: noqa: INP001, S101, D103, DTZ001  (tests; times without a zone are what one of them is about)
"""Spark gives what one row gives: random expressions over random rows."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.table.expression import OPERATORS, Expression, parse, to_row, to_spark
from everloop.table.expression.operators import KINDS
from everloop.testing.expression_cases import ANY_TREE, ROW, TYPES, applied, frame_of, same

SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def assert_equal(spark, expressions, rows):
    """Computes many expressions in one query, since each query costs a fraction of a second."""
    frame = spark.createDataFrame(frame_of(rows).to_arrow()).coalesce(1)
    kinds = dict(frame.dtypes)
    selected = [f"{to_spark(expression, kinds)} AS e{i}" for i, expression in enumerate(expressions)]
    answers = frame.selectExpr(*selected).toArrow().to_pydict()
    for i, expression in enumerate(expressions):
        compute = to_row(expression)
        for row, value in zip(rows, answers[f"e{i}"], strict=True):
            expected = compute(row)
            if not same(expected, value.astimezone(UTC) if isinstance(value, datetime) else value):
                used = {name: row[name] for name in expression.columns}
                written = expression.sql or expression.tree
                pytest.fail(f"Spark gives {value!r}, a row gives {expected!r} for {used} in {written}")


@settings(SETTINGS, max_examples=3)
@given(trees=st.lists(ANY_TREE, min_size=40, max_size=40), rows=st.lists(ROW, min_size=30, max_size=30))
def test_spark_agrees_on_random_expressions(spark, trees, rows):
    assert_equal(spark, [Expression("", tree) for tree in trees], rows)


def _roots():
    for operator in OPERATORS.values():
        kinds = [operator.result] if operator.result != "same" else list(KINDS[operator.takes[-1]])
        yield from (applied(operator, kind, 1, graph=operator.graph) for kind in kinds)


@settings(SETTINGS, max_examples=3)
@given(trees=st.tuples(*_roots()), rows=st.lists(ROW, min_size=40, max_size=40))
def test_spark_agrees_on_each_operator(spark, trees, rows):
    assert_equal(spark, [Expression("", tree) for tree in trees], rows)


def test_spark_agrees_on_every_day_around_leap_years(spark):
    start = datetime(1899, 12, 30, 23, 59, 59, 999999, tzinfo=UTC)
    days = [start + timedelta(days=day * 37) for day in range(2500)]
    parts = ("year", "quarter", "month", "day", "dayofweek", "isodow", "dayofyear", "hour", "second")
    rows = [dict.fromkeys(TYPES, None) | {"t": day, "d": day.date()} for day in days]
    assert_equal(spark, [parse(f"{part}({name})", TYPES) for part in parts for name in "td"], rows)


def test_spark_agrees_on_times_without_a_zone(spark):
    """An hour that the session's zone leaves out or has twice is an hour like any other."""
    moments = [datetime(2024, 3, 10, hour, 30, 1, 250000) for hour in range(24)]
    moments += [datetime(2024, 11, 3, 1, 59, 59), datetime(1600, 2, 29), datetime(9999, 12, 31, 23)]
    texts = spark.createDataFrame(pl.DataFrame({"t": [str(moment) for moment in moments]}).to_arrow())
    frame = texts.coalesce(1).selectExpr("CAST(t AS TIMESTAMP_NTZ) AS t")
    expressions = [parse(sql, {"t": "time"}) for sql in ("epoch(t)", "hour(t)", "t")]
    kinds = dict(frame.dtypes)
    assert kinds == {"t": "timestamp_ntz"}
    answers = frame.selectExpr(
        *(f"{to_spark(e, kinds)} AS e{i}" for i, e in enumerate(expressions))
    ).toArrow()
    for i, expression in enumerate(expressions):
        expected = [to_row(expression)({"t": moment}) for moment in moments]
        assert answers[f"e{i}"].to_pylist() == expected


def test_spark_maps_every_letter_alike(spark):
    letters = [chr(point) for point in range(1, 0x2FFF)]
    rows = [dict.fromkeys(TYPES, None) | {"s": letter} for letter in letters]
    expressions = ("lower(s)", "upper(s)", "length(s)", "trim(s)", "upper(lower(s))")
    assert_equal(spark, [parse(sql, TYPES) for sql in expressions], rows)


def test_deep_expressions_and_long_texts_do_not_grow(spark):
    sql = "a"
    for _ in range(6):
        sql = f"round(({sql}) / (b + 1) % 7 + 1, 3)"
    deep, like = parse(sql, TYPES), parse("s like '%a_b%'", TYPES)
    assert len(to_spark(deep)) < 100_000
    rows = [
        dict.fromkeys(TYPES, None) | {"a": float(a), "b": float(b), "s": "😀x" * 50_000 + "a" * (a + 4)}
        for a in range(-3, 4)
        for b in range(-2, 3)
    ]
    assert_equal(spark, [deep, like], rows)
