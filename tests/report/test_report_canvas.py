"""What pictures are drawn on."""

from __future__ import annotations

import warnings

from matplotlib.figure import Figure

from everloop.report.canvas import svg_of


def drawn(title: str) -> str:
    figure = Figure()
    figure.add_subplot().set_title(title)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return svg_of(figure)


def test_letters_that_the_font_lacks_are_left_to_the_reader_without_a_warning() -> None:
    assert "金額 &lt;b&gt;" in drawn("金額 <b>")


def test_letters_that_the_font_has_look_the_same_everywhere() -> None:
    assert "<text" not in drawn("größe")
