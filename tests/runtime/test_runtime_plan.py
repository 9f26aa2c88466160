"""The plan's two forms, for a row and for a table, agree bit for bit; and a plan that lies is refused."""

import math
import time
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.errors import DataFault, PackageRefused
from everloop.runtime.plan import (
    DerivedColumn,
    LookupEncoder,
    NumberEncoder,
    OneHotEncoder,
    Plan,
    PlanInput,
    TextEncoder,
    compile_row,
)
from everloop.runtime.plan_table import encode_table

COLUMNS = {
    "amount": ("number", pl.Float64),
    "count": ("integer", pl.Int64),
    "region": ("text", pl.String),
    "grade": ("integer", pl.Int64),
    "member": ("boolean", pl.Boolean),
    "applied_at": ("time", pl.Datetime("us", "UTC")),
    "rate": ("number", pl.Float64),
}

doubles = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, 1e308, 5e-324, 1.5])
integers = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 12)
VALUES = {
    "amount": doubles,
    "count": integers,
    "region": st.sampled_from(["north", "south", "", "?", "Nord \x00", "é", "North, south; NORD"])
    | st.text(max_size=3),
    "grade": st.integers(-2, 6) | integers,
    "member": st.booleans(),
    "applied_at": st.integers(-(2**51), 2**52).map(
        lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    ),
    "rate": st.sampled_from([0.0, -0.0, 1.0, 2.5, 1e16, 1e22, math.nan, math.inf]) | doubles,
}
rows_of_any = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}), max_size=12
)
finite = st.floats(-1e6, 1e6)


@st.composite
def plans(draw):
    encoders, offset = [], 0
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["number", "one_hot", "lookup", "text"]))
        if kind == "number":
            low, high = sorted([draw(finite), draw(finite)])
            encoder = NumberEncoder(
                draw(st.sampled_from([name for name in COLUMNS if name != "region"])),
                offset,
                low=draw(st.sampled_from([None, low])),
                high=draw(st.sampled_from([None, high])),
                fill=draw(st.none() | finite),
                centre=draw(finite),
                scale=draw(st.floats(1e-3, 1e3)),
                indicator=draw(st.booleans()),
                float32=draw(st.booleans()),
            )
        elif kind == "text":
            terms = draw(st.lists(st.sampled_from(["north", "nord", "#ort", "# so"]), unique=True))
            width = draw(st.integers(1, 3))
            numbers = np.array(draw(st.lists(finite, min_size=4 * width, max_size=4 * width)), dtype="<f4")
            encoder = TextEncoder(
                "region",
                offset,
                tuple(terms),
                np.arange(1.0, 1.0 + len(terms), dtype="<f4").tobytes(),
                numbers[: len(terms) * width].tobytes(),
                tuple(draw(st.lists(finite, min_size=width, max_size=width))),
                float32=draw(st.booleans()),
            )
        else:
            column = draw(st.sampled_from(list(COLUMNS)))
            texts = st.sampled_from(
                ["north", "", "true", "1", "-1", "2.5", "1e+22", "inf", "0", "é", "10000000000000000"]
            )
            categories = draw(st.lists(texts, min_size=1, max_size=4, unique=True))
            if kind == "one_hot":
                encoder = OneHotEncoder(column, offset, tuple(categories), other=draw(st.booleans()))
            else:
                numbers = {text: draw(finite) for text in categories}
                encoder = LookupEncoder(
                    column, offset, numbers, draw(st.none() | finite), draw(st.none() | finite)
                )
        encoders.append(encoder)
        offset += encoder.width
    inputs = tuple(PlanInput(name, kind) for name, (kind, _) in COLUMNS.items())
    return Plan(inputs=inputs, encoders=tuple(encoders), width=offset)


def table_of(rows):
    return pl.DataFrame(
        {name: [row[name] for row in rows] for name in COLUMNS},
        schema={name: dtype for name, (_, dtype) in COLUMNS.items()},
    )


@settings(max_examples=300, deadline=None)
@given(plans(), rows_of_any)
def test_table_equals_rows_bit_for_bit(plan, rows):
    plan = Plan.from_json(plan.to_json())
    encode = compile_row(plan)
    singly = np.array([encode(row) for row in rows]).reshape(len(rows), plan.width)
    together = encode_table(plan, table_of(rows))
    np.testing.assert_array_equal(together.view(np.int64), singly.view(np.int64))


@settings(max_examples=100, deadline=None)
@given(plans())
def test_json_round_trip(plan):
    assert Plan.from_json(plan.to_json()) == plan


def one(encoder, kind="number", width=None):
    return Plan(inputs=(PlanInput(encoder.column, kind),), encoders=(encoder,), width=width or encoder.width)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5.0, [2.0, 0.0]),
        (-50.0, [-0.5, 0.0]),  # clipped to 0
        (math.inf, [4.5, 0.0]),  # clipped to 10
        (None, [1.5, 1.0]),  # filled with 4
        (math.nan, [1.5, 1.0]),
        (True, [0.0, 0.0]),
        (7, [3.0, 0.0]),
    ],
)
def test_number_is_clipped_filled_centred_scaled(value, expected):
    encoder = NumberEncoder("x", 0, low=0.0, high=10.0, fill=4.0, centre=1.0, scale=2.0, indicator=True)
    assert compile_row(one(encoder))({"x": value}).tolist() == expected


def test_a_column_that_is_not_there_is_missing():
    assert math.isnan(compile_row(one(NumberEncoder("x", 0)))({})[0])


def test_float32_rounds_once_at_the_end():
    encode = compile_row(one(NumberEncoder("x", 0, centre=0.1, float32=True)))
    assert encode({"x": 16777217.3})[0] == float(np.float32(16777217.3 - 0.1))
    assert encode({"x": 1e300})[0] == math.inf


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", [1, 0, 0]),
        (1, [0, 1, 0]),
        (1.0, [0, 1, 0]),
        ("z", [0, 0, 1]),
        (None, [0, 0, 0]),
        (math.nan, [0, 0, 0]),
    ],
)
def test_one_hot(value, expected):
    assert (
        compile_row(one(OneHotEncoder("x", 0, ("a", "1"), other=True), "text"))({"x": value}).tolist()
        == expected
    )


@pytest.mark.parametrize(("value", "expected"), [("a", 0.25), (True, 7.0), ("z", -1.0), (None, -2.0)])
def test_lookup(value, expected):
    encoder = LookupEncoder("x", 0, {"a": 0.25, "true": 7.0}, unknown=-1.0, missing=-2.0)
    assert compile_row(one(encoder, "text"))({"x": value})[0] == expected


def test_a_time_is_the_same_as_datetime_and_as_microseconds():
    moment = datetime(2013, 5, 1, 6, 30, 0, 123456, tzinfo=UTC)
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    encode = compile_row(one(NumberEncoder("t", 0), "time"))
    assert encode({"t": moment})[0] == encode({"t": micros})[0] == float(micros)
    assert encode({"t": moment.replace(tzinfo=None)})[0] == float(micros)
    for unit in ("ms", "us", "ns"):
        table = pl.DataFrame(
            {"t": [moment.replace(microsecond=123000)]}, schema={"t": pl.Datetime(unit, "UTC")}
        )
        assert encode_table(one(NumberEncoder("t", 0), "time"), table)[0, 0] == float(micros - 456)
    zoned = pl.DataFrame({"t": [moment]}).with_columns(pl.col("t").dt.convert_time_zone("America/New_York"))
    assert encode_table(one(NumberEncoder("t", 0), "time"), zoned)[0, 0] == float(micros)


def test_a_duration_is_the_number_that_a_file_of_it_holds():
    table = pl.DataFrame({"d": pl.Series([1500], dtype=pl.Duration("ms"))})
    assert encode_table(one(NumberEncoder("d", 0)), table)[0, 0] == 1500.0


def test_integers_past_every_double_become_infinite():
    encode = compile_row(one(NumberEncoder("x", 0, high=9.0)))
    assert encode({"x": 10**400})[0] == 9.0
    assert compile_row(one(NumberEncoder("x", 0)))({"x": -(10**400)})[0] == -math.inf


def test_a_text_where_a_number_belongs_names_the_column():
    plan = one(NumberEncoder("x", 0))
    with pytest.raises(DataFault, match="'x' holds a str"):
        compile_row(plan)({"x": "12"})
    with pytest.raises(DataFault, match="'x' holds text"):
        encode_table(plan, pl.DataFrame({"x": ["12"]}))


def test_a_table_without_a_column_names_it():
    with pytest.raises(DataFault, match="lacks the columns x, which"):
        encode_table(one(NumberEncoder("x", 0)), pl.DataFrame({"y": [1]}))


def test_nothing_that_is_passed_in_is_changed():
    plan = one(NumberEncoder("x", 0, low=1.0, fill=2.0))
    row, table = {"x": None}, pl.DataFrame({"x": [0.0, None]})
    compile_row(plan)(row)
    encode_table(plan, table)
    assert row == {"x": None}
    assert table.equals(pl.DataFrame({"x": [0.0, None]}))


def test_an_empty_table_gives_no_rows():
    assert encode_table(
        one(NumberEncoder("x", 0)), pl.DataFrame({"x": []}, schema={"x": pl.Float64})
    ).shape == (0, 1)


LIES = {
    "slot twice": {"encoders": (NumberEncoder("x", 0), NumberEncoder("x", 0)), "width": 1},
    "slot by none": {"encoders": (NumberEncoder("x", 1),), "width": 2},
    "past the end": {"encoders": (NumberEncoder("x", 5),), "width": 2},
    "before the start": {"encoders": (NumberEncoder("x", -1),), "width": 1},
    "too wide": {"encoders": (NumberEncoder("x", 0),), "width": 2},
    "unknown column": {"encoders": (NumberEncoder("y", 0),), "width": 1},
    "zero scale": {"encoders": (NumberEncoder("x", 0, scale=0.0),), "width": 1},
    "infinite": {"encoders": (NumberEncoder("x", 0, fill=math.inf),), "width": 1},
    "low above high": {"encoders": (NumberEncoder("x", 0, low=2.0, high=1.0),), "width": 1},
    "category twice": {"encoders": (OneHotEncoder("x", 0, ("a", "a")),), "width": 2},
    "no category": {"encoders": (OneHotEncoder("x", 0, ()),), "width": 0},
    "input twice": {
        "inputs": (PlanInput("x", "text"),) * 2,
        "encoders": (NumberEncoder("x", 0),),
        "width": 1,
    },
    "strange type": {"inputs": (PlanInput("x", "blob"),), "encoders": (NumberEncoder("x", 0),), "width": 1},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_plan_that_contradicts_itself_is_refused(lie):
    with pytest.raises(PackageRefused):
        Plan(**{"inputs": (PlanInput("x", "number"),), **LIES[lie]})


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b"\xff", b'{"format": 2}', b"[" * 100_000, b'{"inputs": 3}']
)
def test_text_that_is_no_plan_is_refused(text):
    with pytest.raises(PackageRefused):
        Plan.from_json(text)


def test_a_newer_form_is_refused_as_such():
    document = msgspec.json.decode(one(NumberEncoder("x", 0)).to_json()) | {"format": 99}
    with pytest.raises(PackageRefused, match="newer form"):
        Plan.from_json(msgspec.json.encode(document))


def test_derived_columns_are_computed_in_the_order_in_which_they_need_each_other():
    from everloop.table.expression import parse

    types = {"debt": "number", "income": "number", "ratio": "number", "double": "number"}
    plan = Plan(
        inputs=(PlanInput("debt", "number"), PlanInput("income", "number")),
        derived=(
            DerivedColumn("double", parse("ratio * 2", types).to_dict()),
            DerivedColumn("ratio", parse("debt / nullif(income, 0)", types).to_dict()),
        ),
        encoders=(NumberEncoder("double", 0, fill=-1.0), NumberEncoder("ratio", 1)),
        width=2,
    )
    plan = Plan.from_json(plan.to_json())
    rows = [{"debt": 3.0, "income": 2.0}, {"debt": 3.0, "income": 0.0}, {"debt": None, "income": 1.0}]
    singly = np.array([compile_row(plan)(row) for row in rows])
    np.testing.assert_array_equal(singly, [[3.0, 1.5], [-1.0, np.nan], [-1.0, np.nan]])
    np.testing.assert_array_equal(encode_table(plan, pl.DataFrame(rows)), singly)


def test_a_derived_part_of_a_time_is_the_same_for_a_row_and_a_table():
    from everloop.table.expression import parse

    tree = parse("extract(hour from at)", {"at": "time"}).to_dict()
    plan = Plan(
        inputs=(PlanInput("at", "time"),),
        derived=(DerivedColumn("hour", tree),),
        encoders=(NumberEncoder("hour", 0), NumberEncoder("at", 1)),
        width=2,
    )
    moment = datetime(2013, 5, 1, 6, 30, tzinfo=UTC)
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    table = encode_table(plan, pl.DataFrame({"at": [moment]}))
    assert table.tolist() == [[6.0, float(micros)]]
    for value in (moment, micros):
        assert compile_row(plan)({"at": value}).tolist() == table[0].tolist()


def test_derived_columns_in_a_circle_are_refused():
    from everloop.table.expression import parse

    types = {"a": "number", "b": "number"}
    plan = Plan(
        inputs=(PlanInput("x", "number"),),
        derived=(
            DerivedColumn("a", parse("b + 1", types).to_dict()),
            DerivedColumn("b", parse("a + 1", types).to_dict()),
        ),
        encoders=(NumberEncoder("a", 0),),
        width=1,
    )
    with pytest.raises(PackageRefused, match="derived column 'a' reads"):
        compile_row(plan)


def test_twenty_columns_cost_microseconds():
    encoders = [
        *(NumberEncoder(f"n{i}", i, low=-3, high=3, fill=0.1, centre=0.5, scale=2.0) for i in range(15)),
        *(OneHotEncoder(f"c{i}", 15 + 8 * i, tuple("abcdefgh")) for i in range(5)),
    ]
    names = [encoder.column for encoder in encoders]
    plan = Plan(inputs=tuple(PlanInput(n, "number") for n in names), encoders=tuple(encoders), width=55)
    row = {name: (0.7 if name[0] == "n" else "c") for name in names}
    encode = compile_row(plan)
    best = math.inf
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(200):
            encode(row)
        best = min(best, (time.perf_counter() - start) / 200)
    # The goal is 15 microseconds; the test allows for a machine that is busy with other work.
    assert best < 60e-6
    print(f"{best * 1e6:.1f} us")
