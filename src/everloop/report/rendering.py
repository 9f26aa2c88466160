"""Drawing a page as one self-contained HTML file: no script, no font, nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from everloop.core.extras import require
from everloop.report.page import Badge, Ref, Told
from everloop.report.writing import MISSING, number

if TYPE_CHECKING:
    from jinja2 import Template

    from everloop.report.page import Page, Table

AMOUNT = re.compile(r"[+\u2212-]?\d[\d,.]*[ \u00a0]?(?:%|ms|s|million|(?:million[ \u00a0])?[A-Z]{3})")
"""A number with its unit, and nothing else."""
Linker = Callable[[str], str | None]
FIGURE = re.compile(r"(?<![\w#./-])[+\u2212-]?\d(?:[\d,.:/-]*\d)?(?:e[+-]?\d+)?%?(?![\w-])")
"""A number, a date or a time that stands by itself, and is no part of a name."""
TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|\+00:00| UTC)?")
"""A day or a moment, which a table keeps in one line."""


def no_links(identity: str) -> None:
    """Links nothing: what a page in a file of its own does."""


def render(page: Page, *, link: Linker = no_links) -> str:
    """Gives a page as HTML.

    Args:
        page: The page; all text in it is escaped, SVG drawings are taken as they are.
        link: From what a `Ref` names to the address of its page; where that is None it is text.

    Returns:
        One HTML document that needs no other file.

    Raises:
        MissingExtra: When Jinja2 is not installed.
    """

    def address(ref: Ref | None) -> str | None:
        if ref is None:
            return None
        return ref.id if ref.id.startswith("#") else link(ref.id)

    return _template().render(page=page, address=address)


def cell(value: Any) -> str:
    """Writes a value the way a table shows it."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value)
    return str(value)


def traced(text: str, address: str | None) -> str:
    """Makes each number of a text a link to what made it.

    Args:
        text: As it is shown; it is escaped.
        address: Where the links lead; None leaves the text as it is.
    """
    if address is None:
        return text
    from markupsafe import Markup

    parts, end = [], 0
    for found in FIGURE.finditer(text):
        made = Markup('<a class="made" href="{}">{}</a>').format(address, found[0])
        parts.append(Markup.escape(text[end : found.start()]) + made)
        end = found.end()
    return Markup("").join([*parts, Markup.escape(text[end:])])


def is_number(value: Any) -> bool:
    """Tells whether a table sets the value to the right."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def measured(table: Table) -> list[bool]:
    """Tells of each column whether all that is known in it are numbers, some with their units."""
    return [
        bool(known := [value for value in column if value not in (None, MISSING)])
        and all(is_number(value) or (isinstance(value, str) and AMOUNT.fullmatch(value)) for value in known)
        for column in zip(*table.rows, strict=False)
    ] or [False] * len(table.columns)


def is_time(value: Any) -> bool:
    """Tells whether a table keeps the value, or what a link shows, in one line: a day or a moment."""
    text = value.text if isinstance(value, Ref) else value
    return isinstance(text, datetime) or (isinstance(text, str) and TIME.fullmatch(text) is not None)


@cache
def _template() -> Template:
    jinja2 = require("jinja2", extra="train")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("everloop.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["cell"] = cell
    environment.filters["measured"] = measured
    environment.tests["numeric"] = is_number
    environment.tests["time"] = is_time
    environment.filters["traced"] = traced
    environment.tests["ref"] = lambda value: isinstance(value, Ref)
    environment.tests["told"] = lambda value: isinstance(value, Told)
    environment.tests["refs"] = lambda value: isinstance(value, (list, tuple))
    environment.tests["badge"] = lambda value: isinstance(value, Badge)
    template: Template = environment.get_template("page.html.j2")
    return template
