"""What every picture is drawn on: one look, and SVG text that is the same for the same values."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Any

from everloop.core.extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, LINE = "#1c2430", "#56606e", "#d5dbe3"
# Told apart by people with any colour vision; the first is ours, the second what it is compared with.
COLOURS = ("#0b6e99", "#c4622d", "#4b8b3b", "#8457a8", "#9a7d0a", "#b3261e")
GOOD, BAD = COLOURS[2], COLOURS[5]
WIDE, HALF, HEIGHT = 9.2, 4.6, 3.2
STYLE: Any = {  # matplotlib's type for these is a list of its 300 names
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


def new_figure(*, width: float = WIDE, height: float = HEIGHT) -> Figure:
    """Gives an empty figure.

    Args:
        width: In inches; `HALF` for one that stands beside another.
        height: In inches.
    """
    require("matplotlib", extra="train")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        return Figure(figsize=(width, height), layout="constrained")


def new_axes(
    x_label: str = "", y_label: str = "", *, width: float = WIDE, height: float = HEIGHT
) -> tuple[Figure, Axes]:
    """Gives a figure with one pair of axes."""
    from matplotlib import rc_context

    figure = new_figure(width=width, height=height)
    with rc_context(STYLE):
        axes = figure.subplots()
    label_axes(axes, x_label, y_label)
    return figure, axes


def label_axes(axes: Axes, x_label: str, y_label: str) -> None:
    """Names both axes and keeps the grid behind what is drawn."""
    axes.set_axisbelow(True)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    # Not for names and times, which have formatters of their own.
    axes.xaxis.set_major_formatter(_written)
    axes.yaxis.set_major_formatter(_written)


def _written(number: float, _: object) -> str:
    return f"{number:,.10g}".replace("-", "\N{MINUS SIGN}")


def draw_dates(axes: Axes) -> None:
    """Writes the horizontal axis as dates."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def draw_legend(axes: Axes, *, wide: bool = True, fewest: int = 2) -> None:
    """Writes the legend above the picture, where there are at least so many things to name."""
    _, names = axes.get_legend_handles_labels()
    if len(names) >= fewest:
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=min(len(names), 4 if wide else 2),
            borderaxespad=0.3,
            frameon=False,
            fontsize=9,
            handlelength=1.6,
            columnspacing=1.4,
        )


def cycle(amount: int) -> list[str]:
    """Gives so many colours."""
    return [COLOURS[index % len(COLOURS)] for index in range(amount)]


def svg_of(figure: Figure) -> str:
    """Gives a figure as SVG text that can stand in a page with others."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out, canvas = io.StringIO(), FigureCanvasSVG(figure)
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set(facecolor="none", edgecolor="none")
    unknown = _has_unknown_letters(figure)
    # What the font of the pictures lacks, such as Chinese, is left to the fonts of who looks at them.
    style = STYLE | ({"svg.fonttype": "none"} if unknown else {})
    with rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        # `savefig` draws everything twice, the first time for the layout alone.
        figure.dpi = 72
        if engine := figure.get_layout_engine():
            engine.execute(figure)
        figure.set_layout_engine("none")
        canvas.print_svg(out, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    text = out.getvalue()
    # The document's own size is the page's business; ids would repeat in a page with two pictures.
    start = text.index("<svg")
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text[start:], count=2)
    return _own_ids(re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL))


def _has_unknown_letters(figure: Figure) -> bool:
    from matplotlib.font_manager import findfont, get_font
    from matplotlib.text import Text

    known = get_font(findfont(STYLE["font.sans-serif"][0])).get_charmap()
    texts = [text.get_text() for text in figure.findobj(Text)]
    return any(ord(letter) not in known for text in texts for letter in text if letter.isprintable())


def _own_ids(text: str) -> str:
    from everloop.core.digest import digest_bytes

    prefix = "p" + digest_bytes(text.encode())[:8]
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
