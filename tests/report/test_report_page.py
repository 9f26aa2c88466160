import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from everloop.report import (
    Code,
    Facts,
    Figures,
    Line,
    Mark,
    Page,
    Picture,
    Ref,
    Section,
    Table,
    Text,
    Verdict,
    pictures,
    render,
)
from everloop.report.writing import money, sentence, share_of

pytestmark = pytest.mark.usefixtures("drawn_afresh")


def page(*blocks):
    return Page(
        "A title", "of today", [Section("What was found", blocks, lead="In short.")], footer="made by a test"
    )


def test_a_sentence_ends_once():
    assert [sentence(text) for text in ("no rows", "No rows. ", "Is it there?", "one of:")] == [
        "no rows.", "No rows.", "Is it there?", "one of."
    ]  # fmt: skip


def test_text_is_escaped_everywhere():
    bad = "<script>alert('x')</script>"
    html = render(
        Page(
            bad,
            bad,
            [
                Section(
                    bad,
                    [
                        Text(bad),
                        Facts({bad: bad}),
                        Figures([(bad, bad, bad)]),
                        Table([bad], [[bad]], bad),
                        Code(bad),
                        Verdict("no", bad),
                    ],
                    bad,
                )
            ],
            bad,
        )
    )
    assert "<script>" not in html
    assert html.count("&lt;script&gt;") == 17


def test_a_page_needs_nothing_from_elsewhere():
    html = render(page(Text("words"), Picture(pictures.bars({"a": 1.0, "b": -2.0}), "Bars.")))
    assert not re.findall(r"(?:src|href)=\"(?!#)", html)
    assert "@import" not in html
    assert "<script" not in html


def test_numbers_are_written_for_people():
    html = render(
        page(
            Table(
                ["name", "n"],
                [["a", 1234567], ["b", 0.123456], ["c", float("nan")], ["d", None], ["e", True]],
            )
        )
    )
    for text in ("1,234,567", "0.1235", "\N{EN DASH}", "yes"):
        assert f">{text}</td>" in html


DRAWINGS = {
    "lines": lambda: pictures.lines(
        [
            Line(
                "model",
                [datetime(2013, 5, day, tzinfo=UTC) for day in (1, 8, 15)],
                [1.0, None, 3.0],
                [0.5, None, 2],
                [2, None, 4],
            ),
            Line(
                "today",
                [datetime(2013, 5, day, tzinfo=UTC) for day in (1, 8, 15)],
                [0.0, 0.0, 0.0],
                dashed=True,
            ),
        ],
        y_label="EUR",
        marks=[
            Mark(datetime(2013, 5, 8, tzinfo=UTC), "retrained"),
            Mark(datetime(2013, 5, 9, tzinfo=UTC), "drift", bad=True),
        ],
        level=(2.0, "required"),
    ),
    "bars": lambda: pictures.bars({"a <b>": 3.0, "c": 1.0}, x_label="rows", highlight=["c"]),
    "intervals": lambda: pictures.intervals({"recall": (0.5, 0.6, 0.7)}, level=(0.55, "required")),
    "histogram": lambda: pictures.histogram(
        {"reference": ([0, 1, 2], [0.4, 0.6]), "window": ([0, 1, 2], [0.7, 0.3])}
    ),
    "calibration": lambda: pictures.calibration([0.1, 0.5], [0.2, 0.4], [10, 90]),
}


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS.keys())
def test_a_drawing_is_svg_and_the_same_each_time(draw):
    first, second = draw(), draw()
    assert first == second
    root = ET.fromstring(first)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "viewBox" in root.attrib


def test_a_level_is_named_where_bars_have_no_names():
    assert "allowed by the budget" in pictures.bars({"a": 1.0}, level=(2.0, "allowed by the budget"))


def test_a_long_name_goes_on_in_a_second_line_and_keeps_its_end():
    long = "status.of.the.existing.checking.account"
    drawn = pictures.intervals({f"{long} missing": (0.0, 0.1, 0.2), f"{long} never seen": (0.0, 0.1, 0.2)})
    for end in ("missing", "never seen"):
        assert f"<!-- {end} -->" in drawn
    assert "<!-- status.of.the.existing.checking.a\N{HORIZONTAL ELLIPSIS} -->" in drawn


def test_what_differs_by_rounding_alone_is_drawn_as_equal():
    drawn = pictures.intervals({"recall": (-1.4e-17, 0.0, 0.0)}, level=(0.0, "as without"))
    assert "e\N{MINUS SIGN}1" not in drawn
    assert "<!-- 0.2 -->" in drawn


@pytest.mark.parametrize("draw", [pictures.bars, lambda values, **how: pictures.intervals(
    {name: (value, value, value) for name, value in values.items()}, **how)])  # fmt: skip
def test_amounts_are_written_as_amounts(draw):
    drawn = draw({"always no": -1.5, "always yes": -0.7}, write=money)
    for amount in ("1.50", "0.70"):
        assert f"<!-- \N{MINUS SIGN}{amount} -->" in drawn


@pytest.mark.parametrize(("count", "colour"), [(56, "#1c2430"), (90, "#ffffff")])
def test_a_share_is_written_in_what_can_be_read_on_its_colour(count, colour):
    drawn = pictures.confusion([[count, 100 - count], [0, 100]], ["no", "yes"])
    written = drawn[drawn.index(f"<!-- {count}  (") :]
    assert written[: written.index("transform")].endswith(f'style="fill: {colour}" ')


def test_two_drawings_share_no_ids():
    found = [set(re.findall(r'id="([^"]+)"', draw())) for draw in DRAWINGS.values()]
    assert sum(map(len, found)) == len(set().union(*found))


def test_an_anchor_is_plain():
    assert Section("What, and why?", ()).anchor == "what-and-why"


def test_on_paper_pictures_stand_beside_each_other_and_titles_with_what_they_head():
    (paper,) = re.findall(r"@media print \{(.*?)\n\}", render(page(Text("one"))), flags=re.DOTALL)
    assert ".beside { grid-template-columns: 1fr 1fr; }" in paper
    assert "h2, h2 + p, h3 { break-after: avoid; }" in paper


@pytest.mark.parametrize(
    "time", ["2024-06-01", "2024-06-01 10:00", "2024-06-01 10:00 UTC", Ref("run_1", "2024-06-01 10:00")]
)
def test_a_table_keeps_a_time_in_one_line(time):
    html = render(page(Table(["step", "made at"], [["train", time]])))
    assert '<td class="time">' in html
    assert "td.time { white-space: nowrap; }" in html


def test_amounts_with_their_units_are_set_to_the_right():
    amounts = [
        "\N{MINUS SIGN}18,790\N{NO-BREAK SPACE}EUR",
        "0.1 ms",
        "89%",
        "1.98\N{NO-BREAK SPACE}million\N{NO-BREAK SPACE}EUR",
        None,
    ]
    html = render(page(Table(["worth"], [[amount] for amount in amounts])))
    assert html.count('<td class="number">') == len(amounts)
    assert '<th class="number">' in html


def test_a_column_of_words_and_amounts_stays_at_the_left():
    html = render(page(Table(["found", "empty"], [["5%", None], ["all columns", None]])))
    assert 'class="number"' not in html


def test_a_table_without_rows_is_drawn():
    assert "<th>worth</th>" in render(page(Table(["worth"], [])))


def test_a_ratio_between_two_powers_of_ten_is_written_out():
    drawn = pictures.columns([1, 2], [0.7, 1.1], flagged=[False, True], ratio=True)
    assert "<!-- 0.8 -->" in drawn
    assert "10^{" not in drawn


def test_a_sentence_with_a_time_may_wrap():
    assert '<td class="time">' not in render(page(Table(["a"], [["since 2024-06-01 it drifts"]])))


def test_what_has_the_focus_is_outlined():
    assert "a:focus-visible, summary:focus-visible { outline: 2px solid" in render(page(Text("one")))


def test_a_small_share_is_no_zero_and_a_large_one_is_not_all():
    shares = [share_of(part, 10_000) for part in (0, 1, 10, 5000, 9999, 10_000)]
    assert shares == ["0", "<0.1%", "0.1%", "50.0%", ">99.9%", "100%"]
    assert share_of(0, 0) == "0"
