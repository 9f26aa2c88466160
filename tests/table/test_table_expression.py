"""What SQL means, what is refused, and what the tree carries."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from everloop.core.errors import DataFault, EverloopError, SpecFault
from everloop.table.expression import OPERATORS, Expression, GraphBuilder, graph_gaps, parse, to_onnx, to_row
from everloop.table.expression.reference import reference_page

TYPES = {"a": "number", "b": "integer", "p": "boolean", "s": "text", "t": "time", "my col": "number"}
ROW = {
    "a": 6.0,
    "b": 4,
    "p": True,
    "s": "Hello",
    "t": datetime(2024, 2, 29, 13, 45, 30, tzinfo=UTC),
    "my col": 1.0,
}


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("a + b * 2", 14.0), ("a / b", 1.5), ("7 / 2", 3.5), ("a / 0", None), ("-a % b", -2.0), ("mod(a, b)", 2.0), ("a ** 2", 36.0),
        ("1e200 * 1e200", None), ("a = 6 and b <> 4", False), ("null and p", None), ("null and not p", False), ("null or p", True),
        ("a in (1, 6)", True), ("a in (1, null)", None), ("a not in (1, 2)", True), ("b in (a, 4)", True), ("a between 5 and 6", True),
        ("s in ('x', 'Hello')", True), ("case when a > 5 then 'big' else 'small' end", "big"), ("case b when 4 then 1 end", 1.0),
        ("case b when 5 then 1 end", None), ("if(p, 1, 2)", 1.0), ("coalesce(null, a)", 6.0), ("ifnull(null, s)", "Hello"),
        ("nullif(a, 6)", None), ("a / nullif(b - 4, 0)", None), ("least(a, b, null)", 4.0), ("greatest(a, b)", 6.0),
        ("sqrt(-1)", None), ("sqrt(b)", 2.0), ("ln(0)", None), ("log10(1000)", 3.0), ("log(100)", 2.0), ("round(2.5)", 3.0),
        ("round(-2.5)", -3.0), ("round(1234.5, -2)", 1200.0), ("cast(2.5 as integer)", 2.0), ("cast('1.5' as double)", 1.5),
        ("try_cast('x' as double)", None), ("p::text", "true"), ("cast(p as int)", 1.0), ("cast('TRUE' as boolean)", True),
        ("lower(s)", "hello"), ("upper('straße')", "STRAßE"), ("trim('  x ')", "x"), ("length('日本')", 2.0), ("substr(s, 2, 3)", "ell"),
        ("substr(s, 4)", "lo"), ("s || '!'", "Hello!"), ("concat(s, null, '!')", "Hello!"), ("s || null", None),
        ("starts_with(s, 'He')", True), ("s like 'H_l%'", True), ("s not like '%x%'", True), ("s ilike 'h%'", True), ("contains(s, 'll')", True),
        ("year(t)", 2024.0), ("extract(month from t)", 2.0), ("hour(t)", 13.0), ("extract(dow from t)", 4.0), ("isodow(t)", 4.0),
        ("date_part('doy', t)", 60.0), ("t < '2024-03-01'", True), ("t >= timestamp '2024-03-01'", False), ("date_diff('day', t, '2024-03-01')", 1.0),
        ("date_diff('month', t, timestamp '2025-01-01')", 11.0), ("epoch(t)", 1709214330.0), ("round(sin(pi()), 9)", 0.0), ("p is true", True),
        ("a is not null", True), ('"my col" + 1', 2.0), ("t", ROW["t"]), ("not p", False),
    ],
)  # fmt: skip
def test_sql_means(sql, value):
    expression = parse(sql, TYPES)
    assert to_row(expression)(ROW) == value
    data = json.loads(json.dumps(expression.to_dict()))
    assert Expression.from_dict(data) == expression


@pytest.mark.parametrize(
    ("sql", "says", "hint"),
    [
        ("foo(a)", "'foo' is not known", None), ("uper(s)", "'uper' is not known", "upper"), ("sum(a)", "looks at many rows", "window"),
        ("sum(a) over ()", "looks at many rows", "window"), ("(select 1)", "a query belongs", None), ("c + 1", "no column 'c'", None),
        ("my_col", "no column 'my_col'", "my col"), ("a +", "no SQL expression", None), ("'x", "not closed", None), ("", "Nothing is written", None),
        ("a; b", "Several statements", None), ("s + 1", "add needs number", None), ("p + 1", "is boolean", "case when"),
        ("a = 'x'", "needs number", None), ("case when a then 1 end", "needs boolean", "a <> 0"), ("t.a", "names a table", None),
        ("substr(s, b, 2)", "literals", None), ("round(a, 99)", "from -15 to 15", None), ("date_diff('eon', t, t)", "no unit 'eon'", None),
        ("t < 'soon'", "no time", None), ("cast(a as text)", "to_text needs boolean", None), ("1e999", "too large", None),
        ("a & 1", "not known", None), ("interval 1 day", "not known", None), ("*", "many rows", None), ("p < p", "less takes", None),
        ("(" * 150 + "a" + ")" * 150, "nested", None), ("+".join(["a"] * 15_000), "too long", None), ("extract(eon from t)", "no part", None),
        ("10 EUR", "'EUR' stands behind", "10"), ("like_it", "no column", None), ("a like 'x'", "like needs text", None), ("s like s", "literals", None),
    ],
)  # fmt: skip
def test_what_is_refused_says_why(sql, says, hint):
    with pytest.raises(SpecFault, match=says) as caught:
        parse(sql, TYPES)
    if hint is not None:
        assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    "junk",
    [
        "\0",
        ")(",
        "select",
        "a b c",
        "💥",
        "case",
        "a in ()",
        "cast(a as)",
        "--",
        "/*",
        "a::b::c",
        "lambda x: x",
        "1..2",
        "{}",
        "[1]",
        "a[1]",
        "$1",
        "?",
        "a is",
    ],
)
def test_junk_is_refused_as_a_fault(junk):
    with pytest.raises(EverloopError):
        parse(junk, TYPES)


def test_without_types_places_say_them():
    assert (
        parse("lower(x) = 'a' and y > 2").to_dict()["tree"]["arguments"][1]["arguments"][0]["type"]
        == "number"
    )
    assert parse("x = 'a'").columns == ("x",)


def test_a_value_of_the_wrong_kind_is_a_fault():
    for name, value in [("a", "6"), ("p", 1), ("s", 5), ("t", "soon"), ("a", [1])]:
        with pytest.raises(DataFault, match=f"Column '{name}'"):
            to_row(parse(name, TYPES))({name: value})


def test_an_absent_field_is_null():
    assert to_row(parse("a + 1", TYPES))({}) is None


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"sql": "a", "tree": {"kind": "call", "operator": "no", "arguments": [], "type": "number"}},
        {"sql": "a", "tree": {"kind": "constant", "value": "x", "type": "number"}},
        {"sql": "x", "tree": 3},
    ],
)
def test_damaged_trees_are_refused(data):
    with pytest.raises(SpecFault):
        Expression.from_dict(data)


def test_what_has_no_form_in_the_graph_is_refused_there():
    expression = parse("lower(s) = 'x'", TYPES)
    assert graph_gaps(expression.tree) == ("lower",)
    with pytest.raises(SpecFault, match="lower has no form"):
        to_onnx(expression, GraphBuilder("x"))


def test_the_page_of_operators_is_current():
    page = Path(__file__).parents[2] / "docs" / "expressions.md"
    assert page.read_text() == reference_page(), (
        "python -m everloop.table.expression.reference > docs/expressions.md"
    )
    assert all(
        operator.sql.split(",")[0].replace("|", "\\|") in reference_page() for operator in OPERATORS.values()
    )


def test_serving_needs_neither_a_parser_nor_frames():
    tree = json.dumps(parse("a / b", TYPES).to_dict())
    code = f"""
import json, sys
from everloop.table.expression import Expression, to_row
from everloop.table.contract import Contract, ColumnRule, row_checker
import everloop.table.prices, everloop.table.dataset, everloop.table.feature, everloop.table.tables
contract = Contract.from_dict(Contract((ColumnRule("a", "number"),)).to_dict())
assert to_row(Expression.from_dict(json.loads({tree!r})))({{"a": 1, "b": 4}}) == 0.25
assert row_checker(contract)({{"a": 1}}) == []
print([m for m in ("polars", "duckdb", "pyarrow", "onnx", "onnxruntime", "sqlglot", "pandas", "ruamel.yaml") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
