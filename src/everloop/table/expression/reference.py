"""The page of the documentation that lists the operators, made from their table."""

from __future__ import annotations

from itertools import groupby

from everloop.table.expression.operators import OPERATORS, Operator

HEADING = """\
# Expressions

<!-- Made by `python -m everloop.table.expression.reference` from the operators' table. -->

Prices, features, rules and conditions are SQL expressions over one row. One expression has one
meaning in training (Polars), in SQL (DuckDB), in the server (one row at a time) and in the ONNX
graph; a test holds all four equal.

- **Null** is the answer where a value that is needed is missing. `and`, `or` and `not` have three
  values, as in SQL.
- **Numbers** are in double precision, integers too: they are exact up to 2^53, and `7 / 2` is 3.5.
  A number is finite: NaN and infinity in the data are null, and so is a result that would be one,
  such as `1 / 0`.
- **Text** is compared and counted by code points. The text of the single character NUL stands for
  null in the graph.
- **Times** are microseconds in UTC; a time without a zone is in UTC, a date is its midnight. Years
  1 to 9999; exact from 1684 to 2255, to within 32 microseconds elsewhere. `t < '2026-01-31'` reads
  the text as a time.
- Literals are `1.5`, `'text'`, `true`, `false`, `null`, `pi()`, `timestamp '2026-01-31 12:00:00'`.
  Also known, as shorter forms of what is below: `a between x and y`, `nullif(a, b)`, `a is true`,
  `a is false`.

An operator that is not listed is refused. One without a form in the graph can be used; the package
then serves by its plan alone and has no `model.onnx`.
"""


def reference_page() -> str:
    """Gives the whole page as Markdown."""
    parts = [HEADING]
    for group, operators in groupby(OPERATORS.values(), key=lambda operator: operator.group):
        parts.append(f"\n## {group}\n\n| written | takes | gives | in the graph | |\n|---|---|---|---|---|\n")
        parts += [_line(operator) for operator in operators]
    return "".join(parts)


def _line(operator: Operator) -> str:
    written = operator.sql.replace("|", "\\|")
    kinds = {"any": "any", "ordered": "number, text or time", "size": "number or time"}
    takes = "; ".join(dict.fromkeys(kinds.get(kind, kind) for kind in operator.takes))
    graph = "yes" if operator.graph else "no"
    if operator.no_graph:
        graph = f"not of {', '.join(operator.no_graph)}"
    return f"| `{written}` | {takes} | {operator.result} | {graph} | {operator.note} |\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference_page())
