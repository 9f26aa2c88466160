"""Small pictures of one column, written by hand as SVG: a page may hold hundreds of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from everloop.report.canvas import COLOURS, INK, LINE, SOFT

_WIDTH = 460
_FONT = "system-ui,-apple-system,Segoe UI,sans-serif"
_WEAK, _STRONG = 0.1, 0.55


def bars_svg(
    heights: Sequence[float], *, width: int = 120, height: int = 26, colour: str = COLOURS[0]
) -> str:
    """Draws heights as bars from a common ground, without axes."""
    return _svg(
        width, height, _bars(heights, width, height, colour), size=f"width='{width}' height='{height}'"
    )


def histogram_svg(
    heights: Sequence[float], ends: tuple[str, str], *, marks: Mapping[str, float] | None = None
) -> str:
    """Draws a histogram with the ends of its axis, and marks on it.

    Args:
        heights: Counts of bins of equal width.
        ends: What the least and the greatest value are called.
        marks: Name -> place on the axis, from 0 to 1.
    """
    ground, top = 118, 14
    inner = f"<g transform='translate(0,{top})'>{_bars(heights, _WIDTH, ground - top, COLOURS[0])}</g>"
    inner += f"<line x1='0' y1='{ground}' x2='{_WIDTH}' y2='{ground}' stroke='{LINE}'/>"
    for name, place in (marks or {}).items():
        x = min(max(place, 0.0), 1.0) * _WIDTH
        anchor = "start" if place < 0.1 else "end" if place > 0.9 else "middle"
        inner += f"<path d='M{x:.1f} 12V{ground}' stroke='{COLOURS[1]}' stroke-dasharray='3 3'/>"
        inner += _text(x, 9, name, colour=COLOURS[1], anchor=anchor)
    inner += _text(0, ground + 17, ends[0], colour=SOFT)
    inner += _text(_WIDTH, ground + 17, ends[1], colour=SOFT, anchor="end")
    return _svg(_WIDTH, 150, inner)


def values_svg(values: Mapping[str, float], *, total: float) -> str:
    """Draws the most frequent values as bars with their shares of the rows.

    Args:
        values: Value -> rows.
        total: All rows.
    """
    line, longest = 22, 200
    largest = max(values.values(), default=1) or 1
    inner = ""
    for place, (name, rows) in enumerate(values.items()):
        y, length = place * line + 3, max(1.0, longest * rows / largest)
        inner += _text(176, y + 14, _cut(name, 28), anchor="end")
        inner += f"<rect x='184' y='{y + 3}' width='{length:.1f}' height='14' rx='2' fill='{COLOURS[0]}'/>"
        inner += _text(190 + length, y + 14, f"{rows / max(1, total):.1%}", colour=SOFT)
    return _svg(_WIDTH, line * max(1, len(values)) + 6, inner)


def matrix_svg(names: Sequence[str], strengths: Mapping[tuple[str, str], float]) -> str:
    """Draws how much columns say about each other as a grid of squares.

    Args:
        names: The columns, in order.
        strengths: Pair of columns -> from -1 to 1; a pair that is absent is weak.
    """
    cell, left, top = 30, 150, 96
    inner = ""
    for row, first in enumerate(names):
        middle, x = top + row * cell + cell / 2, left + row * cell + cell / 2 + 4
        inner += _text(left - 8, middle + 4, _cut(first, 20), anchor="end")
        turned = _text(0, 0, _cut(first, 20))
        inner += f"<g transform='translate({x} {top - 8}) rotate(-45)'>{turned}</g>"
        for column, second in enumerate(names):
            strength = strengths.get((first, second), strengths.get((second, first), 0.0))
            place = (left + column * cell, top + row * cell)
            inner += _square(place, cell, 0.0 if first == second else strength)
    width = left + cell * len(names) + 40
    return _svg(width, top + cell * len(names) + 6, inner, size=f"style='max-width:{width}px'")


def _square(place: tuple[float, float], size: float, strength: float) -> str:
    x, y = place
    colour, opacity = COLOURS[0] if strength >= 0 else COLOURS[1], max(0.04, abs(strength))
    drawn = (
        f"<rect x='{x + 1}' y='{y + 1}' width='{size - 2}' height='{size - 2}' rx='3' "
        f"fill='{colour}' fill-opacity='{opacity:.2f}'/>"
    )
    if abs(strength) < _WEAK:
        return drawn
    ink = "white" if abs(strength) > _STRONG else INK
    written = f"{strength:.2f}".replace("0.", ".", 1)
    return drawn + _text(x + size / 2, y + size / 2 + 3.5, written, colour=ink, anchor="middle", size=9.5)


def _svg(width: float, height: float, inner: str, *, size: str = "") -> str:
    return f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' {size}>{inner}</svg>"


def _text(
    x: float, y: float, text: str, *, colour: str = INK, anchor: str = "start", size: float = 11.5
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' fill='{colour}' text-anchor='{anchor}' "
        f"font-family='{_FONT}'>{escape(text)}</text>"
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _bars(heights: Sequence[float], width: float, height: float, colour: str) -> str:
    largest = max(heights, default=0) or 1
    step = width / max(1, len(heights))
    drawn = []
    for place, value in enumerate(heights):
        tall = 0.0 if not value else max(1.0, (height - 1) * value / largest)
        drawn.append(
            f"<rect x='{place * step + step * 0.06:.1f}' y='{height - tall:.1f}' "
            f"width='{step * 0.88:.1f}' height='{tall:.1f}' fill='{colour}'/>"
        )
    return "".join(drawn)
