"""Pictures of what happened over time: lines above lanes of events, and columns against a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.report.canvas import (
    BAD,
    COLOURS,
    GOOD,
    HALF,
    HEIGHT,
    INK,
    LINE,
    SOFT,
    STYLE,
    WIDE,
    cycle,
    draw_dates,
    draw_legend,
    label_axes,
    new_axes,
    new_figure,
    svg_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TONES = {"yes": GOOD, "no": BAD, "plain": COLOURS[0], "open": COLOURS[4], "other": SOFT}
_LANE_HEIGHT = 0.26
_LETTER_WIDTH = 0.085


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
        stepped: Whether it keeps its height until the next point.
    """

    name: str
    x: Sequence[Any]
    y: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    dashed: bool = False
    stepped: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a point of the horizontal axis."""

    x: Any
    text: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasted.

    Attributes:
        since: Its start.
        until: Its end.
        text: Written into it where there is room.
        tone: `plain`, `other`, `yes`, `no` or `open`.
    """

    since: Any
    until: Any
    text: str
    tone: str = "plain"


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of events below a picture.

    Attributes:
        name: What happened in it.
        marks: Events at a point.
        spans: Events that lasted.
    """

    name: str
    marks: Sequence[Mark] = ()
    spans: Sequence[Span] = ()


def lines(  # noqa: PLR0913  (each is an option of the picture)
    series: Sequence[Line],
    *,
    x_label: str = "",
    y_label: str = "",
    marks: Sequence[Mark] = (),
    level: tuple[float, str] | None = None,
    lanes: Sequence[Lane] = (),
    width: float = WIDE,
    height: float = HEIGHT,
) -> str:
    """Draws lines, with bands where they have them, above lanes of what happened meanwhile.

    Args:
        series: The lines, the most important first.
        x_label: What the horizontal axis counts.
        y_label: What the vertical axis counts, with its unit.
        marks: Events along the horizontal axis that are named in the picture; best one or two.
        level: A height to compare with, and its name.
        lanes: What happened on the same horizontal axis, a row each, drawn below.
        width: In inches.
        height: Of the lines, in inches; the lanes come on top of it.

    Returns:
        SVG text.
    """
    below = _LANE_HEIGHT * len(lanes) + 0.1
    figure = new_figure(width=width, height=height + (below if lanes else 0))
    axes, lane_axes = _split(figure, height, below if lanes else 0.0)
    label_axes(axes, "" if lanes else x_label, y_label)
    for colour, line in zip(cycle(len(series)), series, strict=True):
        _draw_line(axes, line, colour)
    if level is not None:
        axes.axhline(level[0], color=SOFT, lw=1, ls=":", label=level[1])
    _draw_marks(axes, marks)
    bottom = axes
    if lane_axes is not None:
        _draw_lanes(lane_axes, lanes, width)
        lane_axes.set_xlabel(x_label)
        axes.tick_params(labelbottom=False)
        bottom = lane_axes
    if series and len(series[0].x) and isinstance(series[0].x[0], datetime):
        draw_dates(bottom)
    draw_legend(axes, wide=width > HALF)
    return svg_of(figure)


def columns(
    x: Sequence[Any],
    y: Sequence[float | None],
    *,
    flagged: Sequence[bool],
    level: tuple[float, str] | None = None,
    names: tuple[str, str] = ("within", "beyond"),
    y_label: str = "",
    ratio: bool = False,
) -> str:
    """Draws a column for each point, those that are flagged in the colour of an alarm.

    Args:
        x: Times or numbers.
        y: Heights; None leaves a gap.
        flagged: Which columns are alarms.
        level: A height to compare with, and its name.
        names: What a plain and a flagged column are called.
        y_label: What the heights count.
        ratio: The heights are ratios to 1, drawn from there on a logarithmic scale.
    """
    figure, axes = new_axes("", y_label, height=2.5)
    foot = 1.0 if ratio else 0.0
    for flag, colour, name in ((False, COLOURS[0], names[0]), (True, BAD, names[1])):
        picked = [i for i, height in enumerate(y) if height is not None and bool(flagged[i]) == flag]
        if picked:
            at, heights = [x[i] for i in picked], [float(y[i] or 0.0) for i in picked]
            axes.vlines(at, foot, heights, color=colour, lw=2)
            axes.plot(at, heights, "^" if flag else "o", color=colour, ms=5.5, label=name)
    if level is not None:
        axes.axhline(level[0], color=INK, lw=1.1, ls="--", label=level[1])
    if ratio:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda height, _: f"{height:g}")
        # Between two powers of ten only what lies between them is a number to read.
        low, high = axes.get_ylim()
        axes.yaxis.set_minor_formatter(lambda height, _: f"{height:g}" if high < 10 * low else "")
    else:
        axes.set_ylim(bottom=0)
    if len(x) and isinstance(x[0], datetime):
        draw_dates(axes)
    draw_legend(axes)
    return svg_of(figure)


def _split(figure: Any, height: float, below: float) -> tuple[Axes, Axes | None]:
    from matplotlib import rc_context

    with rc_context(STYLE):
        if not below:
            return figure.subplots(), None
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[height, below])
    return top, bottom


def _draw_line(axes: Axes, line: Line, colour: str) -> None:
    y = [float("nan") if value is None else value for value in line.y]
    few = len(y) < 60 and not line.dashed and not line.stepped
    axes.plot(
        line.x,
        y,
        color=colour,
        label=line.name,
        lw=1.9,
        ls="--" if line.dashed else "-",
        marker="o" if few else None,
        ms=3.5,
        drawstyle="steps-post" if line.stepped else "default",
    )
    if line.low is not None and line.high is not None:
        low, high = ([float("nan") if v is None else v for v in ends] for ends in (line.low, line.high))
        axes.fill_between(line.x, low, high, color=colour, alpha=0.14, lw=0)


def _draw_marks(axes: Axes, marks: Sequence[Mark]) -> None:
    for mark in marks:
        colour = BAD if mark.bad else INK
        axes.axvline(mark.x, color=colour, lw=1.1, alpha=0.8)
        axes.annotate(
            mark.text,
            (mark.x, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, -2),
            textcoords="offset points",
            rotation=90,
            va="top",
            fontsize=8,
            color=colour,
        )


def _draw_lanes(axes: Axes, lanes: Sequence[Lane], width: float) -> None:
    axes.set_ylim(len(lanes) - 0.45, -0.6)
    axes.set_yticks(range(len(lanes)), [lane.name for lane in lanes], fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    for row, lane in enumerate(lanes):
        axes.axhline(row, color=LINE, lw=0.8, zorder=0)
        for bad, shape, colour in ((False, "o", COLOURS[0]), (True, "^", BAD)):
            times = [mark.x for mark in lane.marks if mark.bad == bad]
            axes.plot(times, [row] * len(times), shape, color=colour, ms=6, mec="white", mew=0.6)
        for each in lane.spans:
            _draw_span(axes, row, each, width)


def _draw_span(axes: Axes, row: int, each: Span, width: float) -> None:
    from matplotlib.dates import date2num

    def place(x: Any) -> float:
        return float(date2num(x)) if isinstance(x, datetime) else float(x)  # type: ignore[no-untyped-call]

    since, until = place(each.since), place(each.until)
    axes.plot(
        [each.since, each.until], [row, row], color=_TONES[each.tone], lw=9, solid_capstyle="butt", alpha=0.9
    )
    low, high = axes.get_xlim()
    inches = (until - since) / (high - low) * width * 0.85 if high > low else 0
    if inches > _LETTER_WIDTH * len(each.text):
        middle = (since + until) / 2
        axes.text(middle, row, each.text, ha="center", va="center_baseline", fontsize=7.5, color="white")
