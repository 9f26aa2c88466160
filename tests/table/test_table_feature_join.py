"""Features over rows of another source: whole tables are held to the definition for one decision."""

from __future__ import annotations

import math
import operator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.errors import SpecFault
from everloop.spec import WindowFeature
from everloop.table.feature_aggregates import AGGREGATES
from everloop.table.feature_answer import Event, answer
from everloop.table.feature_join import EventTable, join_features
from everloop.table.feature_joined import JoinedFeature, SourceEvents, define_joined
from everloop.table.feature_sums import Limbs, cut, rounded

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SPAN = 3
NUMBERS = st.none() | st.sampled_from([0.0, 0.1, 1.0, -2.5, 1e9, 1e-9]) | st.floats(-1e12, 1e12)
VALUES = {"number": NUMBERS, "text": st.none() | st.sampled_from(["a", "b", "ß"]), "moment": NUMBERS}
ROW = st.fixed_dictionaries(
    {
        "who": st.sampled_from(["x", "y", "z", None]),
        "time": st.none() | st.integers(0, 8),
        "known": st.none() | st.integers(0, 10),
        "key": st.none() | st.integers(0, 3),
        "part": st.none() | st.integers(0, 1),
        "number": NUMBERS,
        "text": st.none() | st.sampled_from(["a", "b", "ß"]),
        "day": st.none() | st.integers(0, 4),
    }
)
DECISION = st.fixed_dictionaries(
    {"who": st.sampled_from(["x", "y", "w", None]), "at": st.none() | st.integers(-1, 11)}
)
KINDS = {"who": pl.String, "number": pl.Float64, "text": pl.String, "key": pl.Int64, "part": pl.Int64}
TIMES = ("time", "known", "day", "at")
WRITTEN = {
    **{name: ("number", pattern) for name, pattern in (("sum", "sum"), ("mean", "avg"), ("std", "stddev"))},
    "min": ("number", "min"),
    "max": ("day", "max"),
    "count": ("text", "count"),
    "count_distinct": ("text", "count(distinct"),
    "latest": ("text", "latest"),
    "count_rows": (None, "count(*)"),
}


def table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pl.DataFrame:
    made = {}
    for name in columns:
        values = [row[name] for row in rows]
        if name in TIMES:
            moments = [None if value is None else EPOCH + value * DAY for value in values]
            made[name] = pl.Series(name, moments, pl.Datetime("us", "UTC"))
        else:
            made[name] = pl.Series(name, values, KINDS[name])
    return pl.DataFrame(made)


def definition(aggregate: str, span: int | None) -> JoinedFeature:
    column, function = WRITTEN[aggregate]
    sql = function if column is None else f"{function}{' ' if '(' in function else '('}{column})"
    part = WindowFeature.model_validate({"from": "s", "by": "who", "over": f"{span or 1}d", "value": sql})
    made = define_joined(aggregate, part, {"number": "number", "text": "text", "day": "time"})
    return JoinedFeature(**{**vars(made), "span": None if span is None else span * DAY})


def plainly(value: Any) -> Any:
    return int((value - EPOCH) / timedelta(microseconds=1)) if isinstance(value, datetime) else value


def by_definition(
    rows: list[dict[str, Any]],
    feature: JoinedFeature,
    decision: dict[str, Any],
    keys: tuple[str, ...],
    known: str,
) -> Any:
    column = WRITTEN[feature.aggregate][0]
    day = 86_400_000_000
    events = []
    for row in rows:
        key = tuple(row[name] for name in keys)
        value = 1 if column is None else row[column]
        if column == "day" and value is not None:
            value *= day
        moments = [None if row[name] is None else row[name] * day for name in ("time", known)]
        events.append(Event(row["who"], *moments, None if not keys or None in key else key, value))
    if decision["at"] is None:
        return feature.meaning.empty
    return answer(events, decision["who"], decision["at"] * day, feature.meaning, feature.span_us)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(ROW, max_size=14),
    st.lists(DECISION, min_size=1, max_size=8),
    st.sampled_from(["time", "known"]),
    st.sampled_from([(), ("key",), ("key", "part")]),
)
def test_a_table_is_joined_as_each_decision_by_itself(
    rows: list[dict[str, Any]], decisions: list[dict[str, Any]], known: str, keys: tuple[str, ...]
) -> None:
    features = [definition(aggregate, span) for aggregate in AGGREGATES for span in (SPAN, None)]
    named = [
        JoinedFeature(**{**vars(feature), "name": f"{feature.aggregate} {feature.span_us}"})
        for feature in features
    ]
    source = EventTable(
        table(rows, ("who", "time", "known", "key", "part", "number", "text", "day")),
        SourceEvents("time", known, keys),
    )
    asked = table(decisions, ("who", "at"))
    joined = join_features(asked, "at", named, {"s": source})
    assert joined.columns == [feature.name for feature in named]
    assert joined.height == len(decisions)
    for feature in named:
        got = [plainly(value) for value in joined[feature.name]]
        want = [by_definition(rows, feature, decision, keys, known) for decision in decisions]
        assert len(got) == len(want)
        alike = close if feature.aggregate == "std" else operator.eq
        assert all(map(alike, got, want)), (feature.name, got, want)


def close(got: float | None, want: float | None) -> bool:
    """Says whether two deviations are the same to 1e-9."""
    return got == want if got is None or want is None else math.isclose(got, want, rel_tol=1e-9)


@settings(deadline=None)
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=40)
    | st.lists(st.sampled_from([0.1, 0.2, 0.3, -0.1, 1e16, 1.0, 2.0**-53, 2.0**-1074]), max_size=40)
)
def test_a_sum_of_limbs_is_the_exact_sum_rounded_once(values: list[float]) -> None:
    limbs = cut(np.array(values, float), len(values))
    total, _ = rounded(
        Limbs(tuple(part.sum(keepdims=True) for part in limbs.parts), limbs.exponents, limbs.bits), 1
    )
    exact = AGGREGATES["sum"].of(values)
    assert total[0] == exact if exact is not None else not values or math.isinf(total[0])


def test_no_decision_is_dropped() -> None:
    feature = definition("sum", 1)
    asked = pl.DataFrame(
        {"who": ["x", "x", "y", "w", None], "at": [EPOCH + day * DAY for day in (1, 9, 1, 1, 1)]}
    )
    source = pl.DataFrame({"who": ["x", "y"], "time": [EPOCH + DAY] * 2, "number": [1.0, 2.0]})
    joined = join_features(asked, "at", [feature], {"s": EventTable(source, SourceEvents("time", "time"))})
    assert joined["sum"].to_list() == [1.0, None, 2.0, None, None]


def test_deviations_of_close_numbers_lose_nothing() -> None:
    values = [1e15 + step / 8 for step in range(1, 30)] + [0.1] * 5
    source = pl.DataFrame(
        {
            "who": ["x"] * 29 + ["y"] * 5,
            "time": [EPOCH + place * timedelta(hours=1) for place in range(34)],
            "number": values,
        }
    )
    asked = pl.DataFrame({"who": ["x", "y"], "at": [EPOCH + 9 * DAY] * 2})
    feature = definition("std", None)
    joined = join_features(asked, "at", [feature], {"s": EventTable(source, SourceEvents("time", "time"))})
    assert joined["std"].to_list() == pytest.approx([AGGREGATES["std"].of(values[:29]), 0.0], rel=1e-9)


def test_columns_of_different_types_are_refused() -> None:
    asked = pl.DataFrame({"who": ["1"], "at": [EPOCH]})
    source = pl.DataFrame({"who": [1], "time": [EPOCH], "number": [1.0]})
    with pytest.raises(SpecFault, match="who is a text in the table and a integer in the source"):
        join_features(
            asked, "at", [definition("sum", 1)], {"s": EventTable(source, SourceEvents("time", "time"))}
        )
