"""SQL expressions over one row, with one meaning in every engine.

An expression is parsed once into a small typed tree, which JSON can carry and the server reads
without an SQL parser. The same tree runs in Polars, in DuckDB, in Spark, on one row of plain Python
values and inside an ONNX graph; all five give the same answer. `OPERATORS` lists what is known.

Example:
    >>> from everloop.table.expression import parse, to_row
    >>> ratio = parse("debt / nullif(income, 0)", {"debt": "number", "income": "number"})
    >>> ratio.columns
    ('debt', 'income')
    >>> to_row(ratio)({"debt": 30, "income": 120})
    0.25
    >>> to_row(ratio)({"debt": 30, "income": 0}) is None
    True
"""

from everloop.table.expression.building import graph_gaps
from everloop.table.expression.duckdb_form import to_duckdb
from everloop.table.expression.onnx_form import to_onnx
from everloop.table.expression.onnx_graph import GraphBuilder
from everloop.table.expression.operators import OPERATORS, Operator
from everloop.table.expression.parsing import parse
from everloop.table.expression.polars_form import to_polars
from everloop.table.expression.row_form import to_number, to_row
from everloop.table.expression.spark_form import to_spark
from everloop.table.expression.tree import (
    Call,
    ColumnRef,
    Constant,
    Expression,
    Node,
    ValueType,
    columns_of,
    renamed,
)

__all__ = [
    "OPERATORS",
    "Call",
    "ColumnRef",
    "Constant",
    "Expression",
    "GraphBuilder",
    "Node",
    "Operator",
    "ValueType",
    "columns_of",
    "graph_gaps",
    "parse",
    "renamed",
    "to_duckdb",
    "to_number",
    "to_onnx",
    "to_polars",
    "to_row",
    "to_spark",
]
