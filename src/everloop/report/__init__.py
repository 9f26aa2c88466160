"""HTML pages and SVG pictures from values; it knows no phase.

A page is built as data and drawn afterwards, so what a report says can be tested without reading HTML.

Example:
    >>> from everloop.report import Page, Section, Text, render
    >>> html = render(Page("Loan default", "version 7", [Section("Purpose", [Text("Cut losses.")])]))
    >>> "<h2>Purpose</h2>" in html
    True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.lazy import lazy_names

if TYPE_CHECKING:
    from everloop.report.page import Block, Code, Facts, Figures, Page, Picture, Section, Table, Text, Verdict
    from everloop.report.pictures import Line, Mark
    from everloop.report.rendering import render

_HOME = {
    **dict.fromkeys(
        ("Block", "Code", "Facts", "Figures", "Page", "Picture", "Section", "Table", "Text", "Verdict"),
        "page",
    ),
    "Line": "pictures",
    "Mark": "pictures",
    "render": "rendering",
}

__all__ = [
    "Block",
    "Code",
    "Facts",
    "Figures",
    "Line",
    "Mark",
    "Page",
    "Picture",
    "Section",
    "Table",
    "Text",
    "Verdict",
    "render",
]

__getattr__ = lazy_names(__name__, _HOME)
