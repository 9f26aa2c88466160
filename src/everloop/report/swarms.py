"""Pictures of many rows at once: a dot for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from everloop.report.canvas import COLOURS, LINE, SOFT, WIDE, new_axes, svg_of

_LONGEST = 34
_LEVELS = 12


def swarm(
    groups: Mapping[str, tuple[Sequence[float], Sequence[float | None]]],
    *,
    x_label: str = "",
    width: float = WIDE,
) -> str:
    """Draws a dot for each value of each group, the first at the top; where many lie they spread.

    Args:
        groups: Name to where the dots lie, and how each is coloured from 0 (blue) to 1 (red); None is grey.
        x_label: What the places count.
        width: In inches.
    """
    from matplotlib.colors import LinearSegmentedColormap

    figure, axes = new_axes(x_label, "", width=width, height=max(1.3, 0.4 * len(groups) + 0.7))
    scale = LinearSegmentedColormap.from_list("low to high", [COLOURS[0], "#b9a3bd", COLOURS[5]])
    for position, (values, tones) in enumerate(groups.values()):
        colours = [SOFT if tone is None else scale(float(tone)) for tone in tones]
        heights = _spread(values)
        axes.scatter(values, [position + 0.34 * each for each in heights], c=colours, s=13, lw=0, alpha=0.85)
    names = [
        name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}" for name in groups
    ]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.axvline(0, color=LINE, lw=1, zorder=0)
    return svg_of(figure)


def _spread(values: Sequence[float]) -> list[float]:
    """Gives heights from -1 to 1: dots of about the same place alternate above and below the line."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    step = (high - low) / (4 * _LEVELS) or 1.0
    seen: dict[int, int] = {}
    heights = []
    for value in values:
        place = round((value - low) / step)
        count = seen.get(place, 0)
        seen[place] = count + 1
        level = (count + 1) // 2 * (1 if count % 2 else -1)
        heights.append(max(-1.0, min(1.0, level / (_LEVELS / 2))))
    return heights
