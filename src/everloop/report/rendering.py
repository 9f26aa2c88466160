"""Drawing a page as one self-contained HTML file: no script, no font, nothing from elsewhere."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

from everloop.core.extras import require

if TYPE_CHECKING:
    from jinja2 import Template

    from everloop.report.page import Page


MISSING = "\N{EN DASH}"


def render(page: Page) -> str:
    """Gives a page as HTML.

    Args:
        page: The page; all text in it is escaped, SVG drawings are taken as they are.

    Returns:
        One HTML document that needs no other file.

    Raises:
        MissingExtra: When Jinja2 is not installed.
    """
    return _template().render(page=page)


def cell(value: Any) -> str:
    """Writes a value the way a table shows it."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _number(value)
    return str(value)


def is_number(value: Any) -> bool:
    """Tells whether a table sets the value to the right."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return MISSING
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) >= 10 else f"{value:.4g}"


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
    environment.tests["numeric"] = is_number
    template: Template = environment.get_template("page.html.j2")
    return template
