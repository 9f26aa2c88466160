"""Features over rows of another source: their definition."""

from __future__ import annotations

import math
import statistics
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.errors import SpecFault
from everloop.spec import AsOfFeature, WindowFeature
from everloop.table.feature_aggregates import AGGREGATES
from everloop.table.feature_answer import Event, answer
from everloop.table.feature_joined import JoinedFeature, define_joined, read_aggregate

DAY = 86_400_000_000
TYPES = {"amount": "integer", "label": "text", "paid": "boolean", "due": "time", "odd name": "number"}


def window(value: str, over: str = "90d") -> WindowFeature:
    return WindowFeature.model_validate({"from": "payments", "by": "customer", "over": over, "value": value})


def as_of(latest: str, within: str | None = None) -> AsOfFeature:
    return AsOfFeature.model_validate(
        {"from": "payments", "by": "customer", "latest": latest, "within": within}
    )


@pytest.mark.parametrize(
    ("sql", "aggregate", "inner", "type_"),
    [
        ("count(*)", "count_rows", None, "integer"),
        ("count(label)", "count", "label", "integer"),
        ("count(distinct label)", "count_distinct", "label", "integer"),
        ("SUM(amount * 2)", "sum", "amount * 2", "number"),
        ("avg(amount)", "mean", "amount", "number"),
        ("mean(amount)", "mean", "amount", "number"),
        ("stddev_samp(amount)", "std", "amount", "number"),
        ("max(due)", "max", "due", "time"),
        ("latest(label)", "latest", "label", "text"),
    ],
)
def test_an_aggregate_of_the_file_is_read(sql: str, aggregate: str, inner: str | None, type_: str) -> None:
    assert read_aggregate(sql) == (aggregate, inner)
    feature = define_joined("paid", window(sql), TYPES)
    assert (feature.aggregate, feature.type, feature.span) == (aggregate, type_, timedelta(days=90))
    assert JoinedFeature.from_dict(feature.to_dict()) == feature


def test_an_as_of_feature_is_the_latest_value() -> None:
    feature = define_joined("score", as_of("odd name", "30d"), TYPES)
    assert (feature.aggregate, feature.columns, feature.span_us) == ("latest", ("odd name",), 30 * DAY)
    assert define_joined("score", as_of("label"), TYPES).span is None


@pytest.mark.parametrize(
    "sql", ["amount", "sum(amount) / 2", "sum(distinct amount)", "min(amount, 3)", "count(distinct a, b)"]
)
def test_what_is_no_aggregate_is_refused_by_name(sql: str) -> None:
    with pytest.raises(SpecFault, match=r"The feature paid: .* is no aggregate of one value") as found:
        define_joined("paid", window(sql), TYPES)
    assert found.value.place == "data.features.paid"


@pytest.mark.parametrize("sql", ["sum(label)", "avg(paid)", "sum(amuont)"])
def test_what_the_source_cannot_give_is_refused_by_name(sql: str) -> None:
    with pytest.raises(SpecFault, match="The feature paid: "):
        define_joined("paid", window(sql), TYPES)


def test_rows_on_the_edges_of_a_window() -> None:
    events = [Event("a", day * DAY, day * DAY, None, float(day)) for day in range(10)]
    at, total = 5 * DAY, AGGREGATES["sum"]
    # At the time of the decision: counts. Exactly as old as the span: does not.
    assert answer(events, "a", at, total, 2 * DAY) == 4 + 5
    assert answer(events, "a", at, total) == sum(range(6))
    assert answer(events, "a", at - 1, total, 2 * DAY) == 3 + 4


def test_a_row_is_not_seen_before_it_was_known_and_a_correction_counts_from_then() -> None:
    events = [
        Event("a", 1 * DAY, 3 * DAY, "p1", 10.0),
        Event("a", 1 * DAY, 5 * DAY, "p1", 7.0),
        Event("b", 1 * DAY, 7 * DAY, "p1", 7.0),  # it was another customer's
        Event("b", None, 9 * DAY, "p1", None),  # it never happened
    ]
    total = AGGREGATES["sum"]
    seen = {
        day: (answer(events, "a", day * DAY, total), answer(events, "b", day * DAY, total))
        for day in (2, 3, 5, 7, 9)
    }
    assert seen == {2: (None, None), 3: (10.0, None), 5: (7.0, None), 7: (None, 7.0), 9: (None, None)}


def test_an_empty_window_and_a_missing_entity() -> None:
    rows = [Event(None, 0, 0, None, 1.0), Event("a", None, 0, None, 1.0), Event("a", 0, None, None, 1.0)]
    for aggregate in AGGREGATES.values():
        assert answer(rows, "a", DAY, aggregate) == aggregate.empty
        assert answer(rows, None, DAY, aggregate) == aggregate.empty


@settings(deadline=None)
@given(
    st.lists(st.none() | st.floats(-1e9, 1e9), max_size=30),
    st.randoms(use_true_random=False),
)
def test_an_aggregate_is_what_the_standard_library_says(values: list[float | None], random: object) -> None:
    present = [value for value in values if value is not None]
    got = {name: aggregate.of(values) for name, aggregate in AGGREGATES.items()}
    assert got["count_rows"] == len(values)
    assert got["count"] == len(present)
    assert got["count_distinct"] == len(set(present))
    if not present:
        assert got["sum"] is got["mean"] is got["min"] is got["max"] is None
        return
    assert got["sum"] == math.fsum(present)
    assert got["mean"] == math.fsum(present) / len(present)
    assert (got["min"], got["max"]) == (min(present), max(present))
    if len(present) > 1:
        assert got["std"] == pytest.approx(statistics.stdev(present), rel=1e-9, abs=0)
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for name, aggregate in AGGREGATES.items():
        if not aggregate.order_matters:
            assert aggregate.of(shuffled) == got[name] or name == "std"


def test_a_sum_beyond_the_largest_number_is_missing() -> None:
    for name in ("sum", "mean"):
        assert AGGREGATES[name].of([1e308, 1e308]) is None
    assert AGGREGATES["sum"].of([1e308, 1e308, -1e308]) == 1e308
    assert AGGREGATES["std"].of([1.7e308, -1.7e308]) is None
