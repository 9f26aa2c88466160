"""Pictures: values in, SVG text out. One look for every report, card and page.

Each function draws one kind of picture with matplotlib's SVG backend, with no state between calls;
the same values give the same text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.core.extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, LINE = "#1c2430", "#5b6675", "#d5dbe3"
# Told apart by people with any colour vision; the first is ours, the second what it is compared with.
COLOURS = ("#0b6e99", "#c4622d", "#4b8b3b", "#8457a8", "#9a7d0a", "#b3261e")
_WIDTH, _HEIGHT = 8.6, 3.2
_STYLE: Any = {  # matplotlib's type for these is a list of its 300 names
    "axes.edgecolor": LINE,
    "axes.grid": True,
    "axes.labelcolor": SOFT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "grid.color": "#eceff3",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "everloop",
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a picture.

    Attributes:
        name: For the legend.
        x: Numbers or times.
        y: Numbers; None leaves a gap.
        low: The lower end of its band, where it has one.
        high: The upper end.
        dashed: Whether it is a comparison rather than a finding.
    """

    name: str
    x: Sequence[Any]
    y: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a point of the horizontal axis."""

    x: Any
    text: str
    bad: bool = False


def lines(
    series: Sequence[Line],
    *,
    x_label: str = "",
    y_label: str = "",
    marks: Sequence[Mark] = (),
    level: tuple[float, str] | None = None,
) -> str:
    """Draws lines, with bands where they have them.

    Args:
        series: The lines, the most important first.
        x_label: What the horizontal axis counts.
        y_label: What the vertical axis counts, with its unit.
        marks: Events along the horizontal axis.
        level: A height to compare with, and its name.

    Returns:
        SVG text.
    """
    figure, axes = _figure(x_label, y_label)
    for colour, line in zip(_cycle(len(series)), series, strict=True):
        y = [float("nan") if value is None else value for value in line.y]
        axes.plot(
            line.x, y, color=colour, label=line.name, lw=1.9, ls="--" if line.dashed else "-",
            marker="o" if len(y) < 60 and not line.dashed else None, ms=3.5,
        )  # fmt: skip
        if line.low is not None and line.high is not None:
            low, high = ([float("nan") if v is None else v for v in ends] for ends in (line.low, line.high))
            axes.fill_between(line.x, low, high, color=colour, alpha=0.14, lw=0)
    if level is not None:
        axes.axhline(level[0], color=SOFT, lw=1, ls=":", label=level[1])
    _draw_marks(axes, marks)
    if series and isinstance(series[0].x[0] if len(series[0].x) else None, datetime):
        _draw_dates(axes)
    _draw_legend(axes, len(series) + (level is not None))
    return _svg(figure)


def bars(values: Mapping[str, float], *, x_label: str = "", highlight: Sequence[str] = ()) -> str:
    """Draws horizontal bars, the first at the top.

    Args:
        values: Name to length.
        x_label: What the length counts.
        highlight: Names to draw in the second colour.
    """
    figure, axes = _figure(x_label, "", height=max(1.3, 0.34 * len(values) + 0.7))
    names = list(values)[::-1]
    colours = [COLOURS[1] if name in highlight else COLOURS[0] for name in names]
    axes.barh(names, [values[name] for name in names], color=colours, height=0.66)
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=LINE, lw=1)
    return _svg(figure)


def intervals(
    values: Mapping[str, tuple[float, float, float]],
    *,
    x_label: str = "",
    level: tuple[float, str] | None = None,
) -> str:
    """Draws estimates with their intervals, one below the other.

    Args:
        values: Name to low end, estimate and high end.
        x_label: What they count.
        level: A value to compare with, and its name.
    """
    figure, axes = _figure(x_label, "", height=max(1.3, 0.4 * len(values) + 0.8))
    for position, (low, estimate, high) in enumerate(list(values.values())[::-1]):
        axes.plot([low, high], [position, position], color=COLOURS[0], lw=2.2, solid_capstyle="round")
        axes.plot([estimate], [position], "o", color=COLOURS[0], ms=6)
    axes.set_yticks(range(len(values)), list(values)[::-1])
    axes.set_ylim(-0.6, len(values) - 0.4)
    axes.grid(visible=False, axis="y")
    if level is not None:
        axes.axvline(level[0], color=COLOURS[1], lw=1.2, ls="--", label=level[1])
        _draw_legend(axes, 2)
    return _svg(figure)


def histogram(
    groups: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x_label: str = "",
    y_label: str = "share of rows",
) -> str:
    """Draws histograms over each other.

    Args:
        groups: Name to edges (bins + 1) and shares (bins).
        x_label: What the edges count.
        y_label: What the shares count.
    """
    figure, axes = _figure(x_label, y_label)
    for colour, (name, (edges, shares)) in zip(_cycle(len(groups)), groups.items(), strict=True):
        axes.stairs(shares, edges, color=colour, label=name, fill=True, alpha=0.28, lw=0)
        axes.stairs(shares, edges, color=colour, lw=1.6)
    _draw_legend(axes, len(groups))
    return _svg(figure)


def calibration(predicted: Sequence[float], observed: Sequence[float], counts: Sequence[int]) -> str:
    """Draws what was predicted against what came, with the size of each group of rows.

    Args:
        predicted: Mean chance of each group.
        observed: Share of positives of each group.
        counts: Rows of each group.
    """
    figure, axes = _figure("predicted chance", "observed share", height=3.6)
    axes.plot([0, 1], [0, 1], color=SOFT, lw=1, ls=":")
    largest = max(counts, default=1)
    sizes = [20 + 160 * count / largest for count in counts]
    axes.plot(predicted, observed, color=COLOURS[0], lw=1.4)
    axes.scatter(predicted, observed, s=sizes, color=COLOURS[0], alpha=0.75, lw=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    return _svg(figure)


def _figure(x_label: str, y_label: str, *, height: float = _HEIGHT) -> tuple[Figure, Axes]:
    require("matplotlib", extra="train")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.subplots()
        axes.set_axisbelow(True)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
    return figure, axes


def _draw_marks(axes: Axes, marks: Sequence[Mark]) -> None:
    for mark in marks:
        colour = COLOURS[5] if mark.bad else COLOURS[2]
        axes.axvline(mark.x, color=colour, lw=1.1, alpha=0.8)
        axes.annotate(
            mark.text, (mark.x, 1.0), xycoords=("data", "axes fraction"), xytext=(3, -2),
            textcoords="offset points", rotation=90, va="top", fontsize=7.5, color=colour,
        )  # fmt: skip


def _draw_dates(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _draw_legend(axes: Axes, entries: int) -> None:
    if entries > 1:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1.0), ncols=min(entries, 4), borderaxespad=0.3, fontsize=9
        )


def _cycle(count: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(count)]


def _svg(figure: Figure) -> str:
    from matplotlib import rc_context

    out = io.StringIO()
    with rc_context(_STYLE):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    # The document's own size is the page's business; ids would repeat in a page with two pictures.
    start = text.index("<svg")
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text[start:], count=2)
    return _own_ids(text)


def _own_ids(text: str) -> str:
    from everloop.core.digest import digest_bytes

    prefix = "p" + digest_bytes(text.encode())[:8]
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
