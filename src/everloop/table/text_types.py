"""What text columns really hold: numbers, times, or text; found by counting, so order does not matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from everloop.table.expression import ColumnRef, Constant, Expression, to_polars
from everloop.table.expression.building import call
from everloop.table.expression.patterns import NUMBER
from everloop.table.expression.readings import NUMBER_STYLES

if TYPE_CHECKING:
    import polars as pl

SHARE = 0.95
"""Text is read as another type where at least so many of its values can be."""

PLAIN = "plain"
_DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y")
_CLOCKS = ("", " %H:%M", " %H:%M:%S")
TIME_FORMS: tuple[str, ...] = (
    *(day + clock for day in _DAYS for clock in _CLOCKS),
    *(f"%Y-%m-%dT%H:%M:%S{zone}" for zone in ("", "Z", "%z")),
    *("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%SZ", "%Y-%m-%d %H:%M:%S%z"),
    *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %b %Y %H:%M:%S"),
)
"""Every form of times that is looked for."""


@dataclass(frozen=True)
class TextType:
    """What a text column can be read as.

    Attributes:
        kind: ``number``, ``time`` or ``text``.
        read: Rows whose value can be read as it.
        unread: Rows whose value cannot; for ``text`` none.
        style: Of numbers: a style of `parse_number`, or None where all are plain.
        forms: Of times: the forms that occur, the most frequent first; of ambiguous ones the day first.
        ambiguous: Whether it holds days that nothing tells from months.
        mixed: Rows that are numbers, in a column that is text all the same.
    """

    kind: Literal["number", "time", "text"]
    read: int
    unread: int = 0
    style: str | None = None
    forms: tuple[str, ...] = ()
    ambiguous: bool = False
    mixed: int = 0


def text_types(
    table: pl.LazyFrame, texts: Mapping[str, pl.Expr], *, share: float = SHARE, rows: pl.Expr | None = None
) -> dict[str, TextType]:
    """Finds what text columns hold, in two passes over the table.

    A column of whole numbers of which some begin with 0 holds codes, which are text.

    Args:
        table: The rows.
        texts: Column -> the expression that gives its text.
        share: How many of the values must be readable.
        rows: How many rows each value stands for; by default one.
    """

    def counted(held: pl.Expr) -> pl.Expr:
        return held.sum() if rows is None else (held * rows).sum()

    if not texts:
        return {}
    facts = _row(
        table,
        {
            (name, key): expression
            for name, text in texts.items()
            for key, expression in (
                ("present", counted(text.is_not_null())),
                ("digits", counted(text.str.contains("[0-9]"))),
                ("numbers", counted(text.str.contains(f"^(?:{NUMBER})$"))),
            )
        },
    )
    likely = {
        name: text
        for name, text in texts.items()
        if facts[name, "digits"] >= max(1, share * facts[name, "present"])
    }
    tests = {key: held for name, text in likely.items() for key, held in _tests(name, text).items()}
    counts = _row(table, {key: counted(held) for key, held in tests.items()})
    return {
        name: _found(name, facts, counts, share)
        if name in likely
        else TextType("text", int(facts[name, "present"]), mixed=int(facts[name, "numbers"] or 0))
        for name in texts
    }


def _row(table: pl.LazyFrame, expressions: Mapping[tuple[str, str], pl.Expr]) -> dict[tuple[str, str], Any]:
    if not expressions:
        return {}
    named = [expression.alias(str(place)) for place, expression in enumerate(expressions.values())]
    row = table.select(named).collect(engine="streaming").row(0)
    return dict(zip(expressions, row, strict=True))


def _tests(name: str, text: pl.Expr) -> dict[tuple[str, str], pl.Expr]:
    tests = {(name, "codes"): text.str.contains("^0[0-9]+$")}
    for style, how in NUMBER_STYLES.items():
        tests[name, style] = text.str.contains(f"^(?:{how.pattern})$")
    for form in TIME_FORMS:
        tests[name, form] = read_time(text, form).is_not_null()
    return tests


def read_time(text: pl.Expr, form: str) -> pl.Expr:
    """Reads text as times of a form."""
    import polars as pl

    tree = call("parse_time", [ColumnRef("value", "text"), Constant(form, "text")])
    read = to_polars(Expression("", tree))
    return text.map_batches(
        lambda values: values.to_frame("value").select(read).to_series(),
        return_dtype=pl.Datetime("us", "UTC"),
        is_elementwise=True,
    )


def _found(
    name: str, facts: Mapping[tuple[str, str], Any], counts: Mapping[tuple[str, str], Any], share: float
) -> TextType:
    present, plain = int(facts[name, "present"]), int(facts[name, "numbers"])
    read, style = plain, None
    for candidate in NUMBER_STYLES:
        if counts[name, candidate] > read:
            read, style = int(counts[name, candidate]), candidate
    if read >= share * present and not counts[name, "codes"]:
        return TextType("number", read, present - read, style=style)
    forms = {form: int(counts[name, form]) for form in TIME_FORMS if counts[name, form]}
    ambiguous = False
    for form in [form for form in forms if form.startswith("%d") and form[2] in "/-"]:
        twin = f"%m{form[2]}%d{form[5:]}"
        if twin in forms and form in forms:
            ambiguous |= forms[form] == forms[twin]
            forms.pop(min((twin, form), key=lambda one: forms[one]))
    read = sum(forms.values())
    if read < share * present or not read:
        return TextType("text", present, mixed=plain)
    ordered = tuple(sorted(forms, key=lambda form: (-forms[form], form)))
    if ambiguous:
        return TextType("text", present, forms=ordered, ambiguous=True, mixed=plain)
    return TextType("time", read, present - read, forms=ordered)
