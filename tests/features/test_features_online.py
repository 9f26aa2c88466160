"""Online values are those of the definition, whatever the order in which events come."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.errors import NotFound
from everloop.runtime.features import FeatureReader, FeatureSet, FeatureWriter, open_store
from everloop.spec import AsOfFeature, WindowFeature
from everloop.table.feature_answer import Event, answer
from everloop.table.feature_joined import SourceEvents, define_joined

TYPES = {"amount": "number", "label": "text", "paid": "boolean", "due": "time"}
SECOND = 1_000_000
AGGREGATES = [
    "count(*)",
    "count(amount)",
    "count(distinct label)",
    "sum(amount)",
    "avg(amount)",
    "stddev(amount)",
    "min(amount)",
    "max(due)",
    "latest(paid)",
    "latest(label)",
    "sum(amount * 2 + 1)",
    "count(distinct amount > 1)",
]


def window(name, value, seconds):
    part = {"from": "events", "by": "who", "over": "1s", "value": value}
    feature = WindowFeature.model_validate(part).model_copy(update={"over": timedelta(seconds=seconds)})
    return define_joined(name, feature, TYPES)


def as_of(name, column, within=None):
    part = {"from": "events", "by": "who", "latest": column, "within": within}
    return define_joined(name, AsOfFeature.model_validate(part), TYPES)


def features_of(key=(), known="known", spans=(5, 30)):
    defined = [window(f"{sql} {span}", sql, span) for sql in AGGREGATES for span in spans]
    defined += [as_of("score", "amount"), as_of("young", "label", "7s")]
    return FeatureSet(tuple(defined), {"events": SourceEvents("at", known, key)})


def expected(features, rows, who, at, key=()):
    """What the definition says of all rows together."""
    from everloop.runtime.features.answering import _plain
    from everloop.table.expression import to_row

    values = {}
    for one in features.features:
        function = to_row(one.value) if one.value is not None else lambda _: None
        events = [
            Event(
                row["who"],
                row["at"],
                row["known"],
                row["id"] if key else None,
                _plain(function(row)),
            )
            for row in rows
        ]
        values[one.name] = answer(events, who, at, one.meaning, one.span_us)
    return values


moments = st.integers(0, 60).map(lambda seconds: seconds * SECOND)
rows_of = st.lists(
    st.fixed_dictionaries(
        {
            "who": st.sampled_from(["a", "b"]),
            "at": moments,
            "late": st.sampled_from([0, 0, 0, SECOND, 20 * SECOND]),
            "id": st.sampled_from(["x", "y", "z", None]),
            "amount": st.none() | st.sampled_from([0.1, 0.2, 0.3, 1e16, -1e16, 3.0]),
            "label": st.none() | st.sampled_from(["p", "q"]),
            "paid": st.none() | st.booleans(),
            "due": st.none() | moments,
        }
    ),
    max_size=25,
)


def known_late(rows, *, keyed):
    for row in rows:
        row["known"] = row["at"] + row.pop("late")
        if keyed and row["id"]:
            row["id"] = f"{row['who']}{row['id']}"  # an event stays with its entity
    return rows


@pytest.mark.parametrize("keyed", [False, True], ids=["rows", "versions"])
@settings(max_examples=60, deadline=None)
@given(data=st.data(), rows=rows_of)
def test_online_equals_the_definition_in_any_order(keyed, data, rows):
    key = ("id",) if keyed else ()
    features = features_of(key)
    known_late(rows, keyed=keyed)
    order = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    with open_store("memory:") as store:
        writer = FeatureWriter(features, store)
        for part in (order[:cut], order[cut:]):
            writer.add("events", part, now=100 * SECOND)
        reader = FeatureReader(features.features, store)
        for at in (0, 30 * SECOND, 61 * SECOND, data.draw(moments)):
            for who in ("a", "b", "nobody"):
                assert reader.read({"who": who}, at) == expected(features, rows, who, at, key)


@pytest.mark.parametrize("keyed", [False, True], ids=["rows", "versions"])
@settings(max_examples=60, deadline=None)
@given(rows=rows_of)
def test_what_is_forgotten_is_never_missed(keyed, rows):
    """Events come as they become known; after each, every decision within the slack is the definition's."""
    key = ("id",) if keyed else ()
    features = features_of(key, spans=(5,))
    known_late(rows, keyed=keyed)
    rows.sort(key=lambda row: row["known"])
    with open_store("memory:") as store:
        writer = FeatureWriter(features, store, slack_us=2 * SECOND)
        reader = FeatureReader(features.features, store)
        for count, row in enumerate(rows, 1):
            writer.add("events", [row], now=row["known"])
            for at in (row["known"], row["known"] - SECOND, row["known"] + 3 * SECOND):
                found = reader.read({"who": row["who"]}, at)
                assert found == expected(features, rows[:count], row["who"], at, key)


def test_of_events_at_one_moment_the_last_is_the_one_with_the_greatest_value():
    features = FeatureSet((as_of("score", "amount"),), {"events": SourceEvents("at", "at")})
    with open_store("memory:") as store:
        writer = FeatureWriter(features, store, slack_us=SECOND)
        for amount in (0.1, 0.3, None):
            writer.add("events", [{"who": "a", "at": 0, "amount": amount}], now=0)
        writer.add("events", [{"who": "a", "at": 90 * SECOND, "amount": 9}], now=90 * SECOND)
        assert FeatureReader(features.features, store).read({"who": "a"}, 89 * SECOND) == {"score": 0.3}


def test_a_history_stays_as_long_as_its_longest_window():
    features = FeatureSet((window("n", "count(*)", 10),), {"events": SourceEvents("at", "at")})
    with open_store("memory:") as store:
        writer = FeatureWriter(features, store, slack_us=SECOND)
        for second in range(1000):
            writer.add("events", [{"who": 1, "at": second * SECOND}], now=second * SECOND)
        (key,) = store.keys(b"")
        assert len(store.read([key])[0]) < 400
        look = FeatureReader(features.features, store).look({"who": 1.0}, 999 * SECOND)
    assert look == [("n", 10, 10, 999 * SECOND)]


def test_a_row_of_the_far_future_makes_nothing_forgotten():
    features = FeatureSet((window("n", "count(*)", 10),), {"events": SourceEvents("at", "at")})
    with open_store("memory:") as store:
        writer = FeatureWriter(features, store, slack_us=SECOND)
        writer.add("events", [{"who": 1, "at": 5 * SECOND}, {"who": 1, "at": 10**15}], now=6 * SECOND)
        assert FeatureReader(features.features, store).read({"who": 1}, 7 * SECOND) == {"n": 1}


def test_a_source_that_is_read_again_doubles_nothing():
    features = features_of()
    rows = [
        {"who": 1, "at": s * SECOND, "known": s * SECOND, "amount": s / 10, "label": "x"} for s in range(9)
    ]
    with open_store("memory:") as store:
        writer = FeatureWriter(features, store)
        writer.add("events", rows[:6], now=10 * SECOND)
        writer.add("events", [*rows[3:], rows[8]], now=10 * SECOND, again=True)
        writer.add("events", rows[:2], now=10 * SECOND, again=True)
        found = FeatureReader(features.features, store).read({"who": 1}, 9 * SECOND)
    assert found["count(*) 30"] == 10
    assert found["sum(amount) 30"] == pytest.approx(3.6 + 0.8)


def test_a_new_feature_is_filled_by_reading_the_source_again():
    events = {"events": SourceEvents("at", "at")}
    first = FeatureSet((window("n", "count(*)", 30),), events)
    second = FeatureSet((*first.features, window("total", "sum(amount)", 30)), events)
    rows = [{"who": 1, "at": s * SECOND, "amount": s} for s in range(5)]
    with open_store("memory:") as store:
        FeatureWriter(first, store).add("events", rows, now=5 * SECOND)
        reader = FeatureReader(second.features, store)
        assert reader.read({"who": 1}, 5 * SECOND) == {"n": 5, "total": None}
        FeatureWriter(second, store).add("events", rows, now=5 * SECOND, again=True)
        assert reader.read({"who": 1}, 5 * SECOND) == {"n": 5, "total": 10.0}
        FeatureWriter(first, store).add("events", [{"who": 1, "at": 5 * SECOND}], now=5 * SECOND)
        assert reader.read({"who": 1}, 5 * SECOND) == {"n": 6, "total": 10.0}


def test_flawed_rows_are_named_and_the_others_taken():
    features = features_of()
    good = {"who": "a", "at": "2024-05-01T00:00:00Z", "known": "2024-05-01T00:00:01Z", "amount": 1}
    rows = [
        good,
        good | {"amount": "1"},
        good | {"at": "yesterday"},
        good | {"who": [1]},
        good | {"at": None},
    ]
    with open_store("memory:") as store:
        added = FeatureWriter(features, store).add("events", rows, now=2**52)
    assert (added.events, added.passed_over) == (1, 1)
    assert [(flaw.row, flaw.field, flaw.type) for flaw in added.flaws] == [
        (1, "amount", "str"),
        (2, "at", "str"),
        (3, "who", "list"),
    ]


def test_a_position_is_kept_with_its_events():
    features = features_of()
    row = {"who": "a", "at": 1, "known": 1}
    with open_store("memory:") as store:
        writer = FeatureWriter(features, store)
        assert writer.position("events") is None
        writer.add("events", [row], now=1, position=b"12")
        assert writer.position("events") == b"12"
        assert writer.forget("events") == 1
        assert (writer.position("events"), list(store.keys(b""))) == (None, [])
        with pytest.raises(NotFound, match="No feature reads the source 'other'"):
            writer.add("other", [row], now=1)


def test_definitions_survive_the_package():
    features = features_of(("id",))
    assert FeatureSet.from_json(features.to_json()) == features
