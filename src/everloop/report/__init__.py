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
    from everloop.report.page import (
        Badge,
        Beside,
        Block,
        Bullets,
        Code,
        Facts,
        Figures,
        Fold,
        Page,
        Picture,
        Ref,
        Section,
        Stage,
        Stages,
        Table,
        Text,
        Told,
        Verdict,
    )
    from everloop.report.rendering import render
    from everloop.report.timelines import Lane, Line, Mark, Span

_PAGE = (
    "Badge Beside Block Bullets Code Facts Figures Fold Page Picture Ref Section Stage Stages "
    "Table Text Told Verdict"
).split()
_HOME = {
    **dict.fromkeys(_PAGE, "page"),
    **dict.fromkeys(("Lane", "Line", "Mark", "Span"), "timelines"),
    "render": "rendering",
}

__all__ = [
    "Badge",
    "Beside",
    "Block",
    "Bullets",
    "Code",
    "Facts",
    "Figures",
    "Fold",
    "Lane",
    "Line",
    "Mark",
    "Page",
    "Picture",
    "Ref",
    "Section",
    "Span",
    "Stage",
    "Stages",
    "Table",
    "Text",
    "Told",
    "Verdict",
    "render",
]

__getattr__ = lazy_names(__name__, _HOME)
