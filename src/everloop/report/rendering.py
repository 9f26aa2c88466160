"""Drawing a page as one self-contained HTML file: no script, no font, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from everloop.core.extras import require
from everloop.report.page import Badge, Ref
from everloop.report.writing import MISSING, number

if TYPE_CHECKING:
    from jinja2 import Template

    from everloop.report.page import Page

Linker = Callable[[str], str | None]


def no_links(identity: str) -> None:
    """Links nothing: what a page in a file of its own does."""


def render(page: Page, *, link: Linker = no_links) -> str:
    """Gives a page as HTML.

    Args:
        page: The page; all text in it is escaped, SVG drawings are taken as they are.
        link: From what a `Ref` names to the address of its page; where that is None it is a link to the
            section that tells of it, or text.

    Returns:
        One HTML document that needs no other file.

    Raises:
        MissingExtra: When Jinja2 is not installed.
    """
    told = {section.tells: f"#{section.anchor}" for section in page.sections if section.tells}
    return _template().render(page=page, link=lambda identity: link(identity) or told.get(identity))


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


def is_number(value: Any) -> bool:
    """Tells whether a table sets the value to the right."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


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
    environment.tests["ref"] = lambda value: isinstance(value, Ref)
    environment.tests["badge"] = lambda value: isinstance(value, Badge)
    template: Template = environment.get_template("page.html.j2")
    return template
