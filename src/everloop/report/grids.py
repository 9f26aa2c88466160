"""Pictures of numbers in rows and columns."""

from __future__ import annotations

from collections.abc import Sequence

from everloop.report.canvas import COLOURS, INK, WIDE, new_axes, svg_of

_LONGEST = 18
_DARK = 0.8
"""From this share on white is read more easily than ink."""


def confusion(counts: Sequence[Sequence[int]], names: Sequence[str], *, width: float = WIDE) -> str:
    """Draws what was decided (columns) for what was actual (rows), coloured by share of the row.

    Args:
        counts: Rows of each pair of classes, (classes, classes).
        names: The classes.
        width: In inches.
    """
    from matplotlib.colors import LinearSegmentedColormap

    size = len(names)
    figure, axes = new_axes("decided", "actual", width=width, height=max(1.9, 0.42 * size + 1.1))
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    colours = LinearSegmentedColormap.from_list("shares", ["#ffffff", COLOURS[0]])
    # Not an image: that would be a picture of pixels, and name a place that it is read from.
    edges = [k - 0.5 for k in range(size + 1)]
    axes.pcolormesh(edges, edges, shares, cmap=colours, vmin=0, vmax=1, edgecolors="white", linewidth=1)
    axes.invert_yaxis()
    for row in range(size):
        for column in range(size):
            share, count = shares[row][column], counts[row][column]
            text = f"{count:,}  ({share:.0%})" if size <= 6 else f"{count:,}" if count else ""
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                color="white" if share > _DARK else INK,
                fontsize=9,
            )
    shown = [
        name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}" for name in names
    ]
    axes.set_xticks(range(size), shown, rotation=0 if size <= 8 else 90)
    axes.set_yticks(range(size), shown)
    axes.grid(visible=False)
    return svg_of(figure)
