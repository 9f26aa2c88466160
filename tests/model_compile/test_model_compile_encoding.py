"""A plan means the same in three places: one row, a table, and the graph, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.model.compile.encoding import GraphColumn, add_encoding, ambiguous_categories, category_key
from everloop.model.compile.graph import graph_feeds
from everloop.runtime.plan import LookupEncoder, NumberEncoder, OneHotEncoder, Plan, PlanInput, compile_row
from everloop.runtime.plan_table import encode_table
from everloop.table.expression import GraphBuilder

POLARS = {
    "number": pl.Float64,
    "integer": pl.Int64,
    "boolean": pl.Boolean,
    "text": pl.String,
    "time": pl.Datetime("us", "UTC"),
}
TEXTS = [
    "a",
    "",
    "A",
    " a",
    "true",
    "1",
    "1.0",
    "é",
    "e\u0301",
    "İ",
    "\U0001d518",
    "null",
    "nan",
    "\u200b",
    "a\tb",
    "b\u0000",
]
NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 1.0, 2.5, 1.7e9, 1.7e15, 1e-35, 1e38, 1e39, 1e308, 5e-324]),
)
INTEGERS = st.one_of(st.integers(-5, 5), st.integers(-(2**53) + 1, 2**53 - 1))


def values_of(type_name: str) -> st.SearchStrategy[Any]:
    return {
        "number": NUMBERS,
        "integer": INTEGERS,
        "boolean": st.booleans(),
        "text": st.one_of(st.sampled_from(TEXTS), st.text(max_size=3).filter(lambda text: text != "\u0000")),
        "time": st.integers(-(2**52), 2**52),
    }[type_name]


def keys_of(type_name: str) -> st.SearchStrategy[str]:
    plain = {
        "number": st.sampled_from(["0", "1", "2.5", "1e+16", "inf", "-0.0", "1.0", "x", "0.1"]),
        "integer": st.integers(-5, 5).map(str),
        "boolean": st.sampled_from(["true", "false", "1"]),
        "text": st.sampled_from(TEXTS),
        "time": st.sampled_from(["0", "1700000000000000", "x"]),
    }
    return plain[type_name]


# onnxruntime drops the addition of a single number that is 0 once rounded to float32.
CONSTANTS = st.floats(-1e6, 1e6).filter(lambda number: number == 0 or abs(number) > 1e-40)


@st.composite
def plans(draw: Any) -> Plan:
    types = draw(st.lists(st.sampled_from(sorted(POLARS)), min_size=1, max_size=4))
    inputs = tuple(PlanInput(f"c{index}", type_name) for index, type_name in enumerate(types))
    encoders: list[Any] = []
    width = 0
    for _ in range(draw(st.integers(1, 5))):
        column = draw(st.sampled_from(inputs))
        kinds = ["one_hot", "lookup"] if column.type == "text" else ["number", "one_hot", "lookup"]
        encoder = draw(encoder_of(column, width, draw(st.sampled_from(kinds))))
        encoders.append(encoder)
        width += encoder.width
    return Plan(inputs=inputs, encoders=tuple(draw(st.permutations(encoders))), width=width)


@st.composite
def encoder_of(draw: Any, column: PlanInput, offset: int, kind: str) -> Any:
    if kind == "number":
        low, high = sorted([draw(CONSTANTS), draw(CONSTANTS)])
        return NumberEncoder(
            column.name,
            offset,
            low=draw(st.sampled_from([None, low])),
            high=draw(st.sampled_from([None, high])),
            fill=draw(st.one_of(st.none(), CONSTANTS)),
            centre=draw(st.one_of(st.just(0.0), CONSTANTS)),
            scale=draw(st.one_of(st.just(1.0), st.floats(1e-3, 1e6))),
            indicator=draw(st.booleans()),
            float32=draw(st.booleans()),
        )
    keys = draw(st.lists(keys_of(column.type), unique=True, min_size=1, max_size=5))
    if kind == "one_hot":
        return OneHotEncoder(column.name, offset, tuple(keys), other=draw(st.booleans()))
    optional = st.one_of(st.none(), CONSTANTS)
    values = {key: draw(CONSTANTS) for key in keys}
    return LookupEncoder(column.name, offset, values, unknown=draw(optional), missing=draw(optional))


def run_graph(plan: Plan, rows: list[dict[str, Any]]) -> np.ndarray:
    graph = GraphBuilder("encoding")
    columns = {
        item.name: GraphColumn(graph.input(item.name, "text" if item.type == "text" else "double"), item.type)
        for item in plan.inputs
    }
    graph.output("x", add_encoding(graph, plan, columns), "double", plan.width)
    session = onnxruntime.InferenceSession(graph.to_bytes(), providers=["CPUExecutionProvider"])
    names = {item.name for item in session.get_inputs()}
    feeds = {name: value for name, value in graph_feeds(plan, rows).items() if name in names}
    return np.asarray(session.run(["x"], feeds)[0])


def table_of(plan: Plan, rows: list[dict[str, Any]]) -> pl.DataFrame:
    columns = {}
    for item in plan.inputs:
        values = pl.Series(
            [row[item.name] for row in rows], dtype=pl.Int64 if item.type == "time" else POLARS[item.type]
        )
        columns[item.name] = values.cast(POLARS[item.type])
    return pl.DataFrame(columns)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.array_equal(a, b, equal_nan=True))


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(plan=plans(), data=st.data())
def test_row_table_and_graph_agree(plan: Plan, data: Any) -> None:
    row = st.fixed_dictionaries(
        {item.name: st.one_of(st.none(), values_of(item.type)) for item in plan.inputs}
    )
    rows = data.draw(st.lists(row, min_size=1, max_size=8))
    encode = compile_row(plan)
    one_by_one = np.stack([encode(row) for row in rows])
    assert same(one_by_one, encode_table(plan, table_of(plan, rows)))
    assert same(one_by_one, run_graph(plan, rows))


@pytest.mark.parametrize("scale", [1.0 + 2**-52, 1.0 + 1e-8, 1.0 - 1e-9, 1.0])
@pytest.mark.parametrize("centre", [0.0, 1.0 + 1e-9])
def test_a_scale_of_nearly_one_is_kept(scale: float, centre: float) -> None:
    plan = Plan(
        inputs=(PlanInput("c", "number"),),
        encoders=(NumberEncoder("c", 0, centre=centre, scale=scale),),
        width=1,
    )
    rows = [{"c": value} for value in (1e15 + 1, 3.0, -7.7e-5, 1e300)]
    assert run_graph(plan, rows)[:, 0].tolist() == [(row["c"] - centre) / scale for row in rows]


def test_null_and_empty_text_differ() -> None:
    plan = Plan(
        inputs=(PlanInput("c", "text"),),
        encoders=(
            OneHotEncoder("c", 0, ("", "x"), other=True),
            LookupEncoder("c", 3, {"": 1.0}, unknown=2.0, missing=3.0),
        ),
        width=4,
    )
    rows = [{"c": ""}, {"c": None}, {"c": "x"}, {"c": "y"}, {}]
    expected = [[1, 0, 0, 1], [0, 0, 0, 3], [0, 1, 0, 2], [0, 0, 1, 2], [0, 0, 0, 3]]
    assert run_graph(plan, rows).tolist() == expected


@pytest.mark.parametrize(
    ("text", "type_name", "number"),
    [
        ("1", "number", 1.0),
        ("1.0", "number", None),
        ("1e+16", "number", 1e16),
        ("inf", "number", math.inf),
        ("nan", "number", None),
        ("x", "number", None),
        ("true", "boolean", 1.0),
        ("1", "boolean", None),
        ("-3", "integer", -3.0),
        ("1700000000000000", "time", 1.7e15),
    ],
)
def test_category_key(text: str, type_name: str, number: float | None) -> None:
    assert category_key(text, type_name) == number


def test_integers_beyond_doubles_have_no_graph() -> None:
    def plan(category: str) -> Plan:
        return Plan(
            inputs=(PlanInput("c", "integer"),), encoders=(OneHotEncoder("c", 0, (category,)),), width=1
        )

    assert ambiguous_categories(plan("9007199254740993"), {"c": "integer"}) == ["c"]
    assert ambiguous_categories(plan("9007199254740991"), {"c": "integer"}) == []


def test_columns_named_as_our_own_values() -> None:
    names = ("value_0", "value_1", "constant_0", "constant_0_")
    plan = Plan(
        inputs=tuple(PlanInput(name, "number") for name in names),
        encoders=tuple(NumberEncoder(name, index, fill=0.5, centre=1.0) for index, name in enumerate(names)),
        width=4,
    )
    row = {name: float(index) for index, name in enumerate(names)}
    assert run_graph(plan, [row]).tolist() == [[-1.0, 0.0, 1.0, 2.0]]
