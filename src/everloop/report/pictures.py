"""Pictures: values in, SVG text out. One look for every report, card and page.

Each function draws one kind of picture with matplotlib's SVG backend, with no state between calls;
the same values give the same text.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from everloop.report.canvas import (
    COLOURS,
    HALF,
    INK,
    LINE,
    SOFT,
    WIDE,
    cycle,
    draw_legend,
    new_axes,
    svg_of,
)
from everloop.report.grids import confusion
from everloop.report.swarms import swarm
from everloop.report.timelines import Lane, Line, Mark, Span, columns, lines
from everloop.report.writing import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "HALF",
    "WIDE",
    "Lane",
    "Line",
    "Mark",
    "Span",
    "bars",
    "calibration",
    "columns",
    "confusion",
    "curve",
    "histogram",
    "intervals",
    "lines",
    "points",
    "shares",
    "swarm",
]
_LONGEST = 34
_ROUNDING = 1e-9


def bars(
    values: Mapping[str, float],
    *,
    x_label: str = "",
    highlight: Sequence[str] = (),
    level: tuple[float, str] | None = None,
    names: tuple[str, str] = ("", ""),
    write: Callable[[float], str] = number,
    width: float = WIDE,
) -> str:
    """Draws horizontal bars with their numbers, the first at the top.

    Args:
        values: Name to length.
        x_label: What the length counts.
        highlight: Names to draw in the second colour.
        level: A length to compare with, and its name.
        names: What a plain and a highlighted bar are called, for the legend.
        write: How a length is written beside its bar.
        width: In inches.
    """
    legend = level is not None or any(names)
    figure, axes = new_axes(x_label, "", width=width, height=_rows_height(len(values), legend=legend))
    for plain, colour, name in ((True, COLOURS[0], names[0]), (False, COLOURS[1], names[1])):
        at = [i for i, key in enumerate(values) if (key not in highlight) == plain]
        lengths = [list(values.values())[i] for i in at]
        if at:
            drawn = axes.barh(at, lengths, color=colour, height=0.66, label=name or "_")
            axes.bar_label(
                drawn,
                [write(length) for length in lengths],
                padding=4,
                fontsize=8.5,
                color=INK,
                zorder=5,
                backgroundcolor="#ffffffcc",
            )
    _name_rows(axes, list(values))
    axes.margins(x=0.12)
    axes.axvline(0, color=LINE, lw=1)
    if level is not None:
        axes.axvline(level[0], color=INK, lw=1.1, ls="--", label=level[1])
    if legend:
        draw_legend(axes, wide=width > HALF, fewest=1)
    return svg_of(figure)


def intervals(
    values: Mapping[str, tuple[float, float, float]],
    *,
    x_label: str = "",
    level: tuple[float, str] | None = None,
    highlight: Sequence[str] = (),
    write: Callable[[float], str] = number,
    width: float = WIDE,
) -> str:
    """Draws estimates with their intervals, one below the other.

    Args:
        values: Name to low end, estimate and high end.
        x_label: What they count.
        level: A value to compare with, and its name.
        highlight: Names to draw in the second colour: what ours are compared with.
        write: How an estimate is written above its place.
        width: In inches.
    """
    height = _rows_height(len(values), legend=level is not None)
    figure, axes = new_axes(x_label, "", width=width, height=height)
    for position, (name, (low, estimate, high)) in enumerate(values.items()):
        colour = COLOURS[1] if name in highlight else COLOURS[0]
        axes.plot([low, high], [position, position], color=colour, lw=2.4, solid_capstyle="round")
        axes.plot([estimate], [position], "o", color=colour, ms=6)
        axes.annotate(
            write(estimate), (estimate, position), xytext=(0, 6), textcoords="offset points", ha="center",
            fontsize=8.5, color=INK, zorder=5,
            bbox={"facecolor": "#ffffffcc", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip
    _name_rows(axes, list(values))
    axes.margins(x=0.08)
    if level is not None:
        axes.axvline(level[0], color=SOFT, lw=1.2, ls="--", label=level[1])
        axes.plot([], [], "o-", color=COLOURS[0], label="estimate with its 95 % interval")
        draw_legend(axes, wide=width > HALF)
    _widen(axes)
    return svg_of(figure)


def histogram(
    groups: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x_label: str = "",
    y_label: str = "share of rows",
    width: float = WIDE,
) -> str:
    """Draws histograms over each other.

    Args:
        groups: Name to edges (bins + 1) and shares (bins).
        x_label: What the edges count.
        y_label: What the shares count.
        width: In inches.
    """
    figure, axes = new_axes(x_label, y_label, width=width)
    for colour, (name, (edges, heights)) in zip(cycle(len(groups)), groups.items(), strict=True):
        axes.stairs(heights, edges, color=colour, label=name, fill=True, alpha=0.28, lw=0)
        axes.stairs(heights, edges, color=colour, lw=1.6)
    draw_legend(axes, wide=width > HALF)
    return svg_of(figure)


def calibration(
    predicted: Sequence[float], observed: Sequence[float], counts: Sequence[float], *, width: float = WIDE
) -> str:
    """Draws what was predicted against what came, with the size of each group of rows.

    Args:
        predicted: Mean chance of each group.
        observed: Share of positives of each group.
        counts: Rows of each group.
        width: In inches.
    """
    figure, axes = new_axes("predicted chance", "observed share", width=width, height=3.4)
    axes.plot([0, 1], [0, 1], color=SOFT, lw=1, ls=":", label="what is predicted comes")
    largest = max(counts, default=1)
    sizes = [20 + 160 * each / largest for each in counts]
    axes.plot(predicted, observed, color=COLOURS[0], lw=1.4, label="what came (a dot's size: its rows)")
    axes.scatter(predicted, observed, s=sizes, color=COLOURS[0], alpha=0.75, lw=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=1, borderaxespad=0.3, fontsize=9, frameon=False
    )
    return svg_of(figure)


def curve(
    x: Sequence[float],
    y: Sequence[float],
    *,
    chosen: tuple[float, str],
    levels: Mapping[str, float],
    x_label: str = "",
    y_label: str = "",
    width: float = WIDE,
) -> str:
    """Draws a curve, the point of it that was chosen, and heights to compare with.

    Args:
        x: Along the curve, rising.
        y: Its height.
        chosen: Where along it, and what the point is called.
        levels: Name to height.
        x_label: What the horizontal axis counts.
        y_label: What the vertical axis counts.
        width: In inches.
    """
    import numpy as np

    figure, axes = new_axes(x_label, y_label, width=width, height=3.4)
    axes.plot(x, y, color=COLOURS[0], lw=1.9, label="at each threshold")
    axes.axvline(chosen[0], color=INK, lw=1, alpha=0.6)
    height = float(np.interp(chosen[0], x, y)) if len(x) else 0.0
    axes.plot([chosen[0]], [height], "D", color=INK, ms=7, label=chosen[1])
    for colour, (name, level) in zip(cycle(len(levels) + 1)[1:], levels.items(), strict=True):
        axes.axhline(level, color=colour, lw=1.3, ls="--", label=name)
    draw_legend(axes, wide=width > HALF)
    return svg_of(figure)


def points(
    groups: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    best: tuple[Sequence[float], Sequence[float]] = ((), ()),
    x_label: str = "",
    y_label: str = "",
    width: float = WIDE,
) -> str:
    """Draws groups of points and, where given, the best so far as a step line.

    Args:
        groups: Name to horizontal and vertical places.
        best: Places of the best so far.
        x_label: What the horizontal axis counts.
        y_label: What the vertical axis counts.
        width: In inches.
    """
    figure, axes = new_axes(x_label, y_label, width=width)
    from matplotlib.ticker import MaxNLocator

    if best[0]:
        axes.step(best[0], best[1], where="post", color=SOFT, lw=1.2, label="best so far")
    shapes = ("o", "s", "^", "D", "v", "P")
    for index, (colour, (name, (x, y))) in enumerate(zip(cycle(len(groups)), groups.items(), strict=True)):
        shape = shapes[index % len(shapes)]
        axes.plot(x, y, shape, color=colour, ms=6, alpha=0.85, mec="white", mew=0.5, label=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    draw_legend(axes, wide=width > HALF)
    return svg_of(figure)


def shares(parts: Mapping[str, float], *, x_label: str = "", width: float = WIDE) -> str:
    """Draws one bar that is divided into parts, in their order.

    Args:
        parts: Name to size.
        x_label: What the sizes count.
        width: In inches.
    """
    figure, axes = new_axes(x_label, "", width=width, height=1.25)
    left = 0.0
    total = sum(parts.values()) or 1.0
    for colour, (name, size) in zip(cycle(len(parts)), parts.items(), strict=True):
        axes.barh([0], [size], left=left, color=colour, height=0.6, label=f"{name}: {size:,.0f}")
        if size / total > 0.06:
            axes.text(
                left + size / 2, 0, f"{size / total:.0%}", ha="center", va="center", color="white", fontsize=9
            )
        left += size
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    axes.set_xlim(0, total)
    draw_legend(axes, wide=width > HALF)
    return svg_of(figure)


def _rows_height(rows: int, *, legend: bool) -> float:
    return float(max(1.2, 0.36 * rows + 0.75 + (0.3 if legend else 0.0)))


def _widen(axes: Axes) -> None:
    """Gives an axis a width of its own where nothing on it differs but by rounding."""
    low, high = axes.get_xlim()
    size = max(abs(low), abs(high), 1.0)
    if high - low < _ROUNDING * size:
        axes.set_xlim(low - size / 2, high + size / 2)


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [_broken(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.75)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _broken(name: str) -> str:
    """Writes a name in two lines where one is too short for it; a word that is too long is cut, not the rest.

    What a name ends with often tells it from its neighbour.
    """
    first, *rest = textwrap.wrap(" ".join(map(_cut, name.split(" "))), _LONGEST) or [""]
    return "\n".join([first, _cut(" ".join(rest))]) if rest else first


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
