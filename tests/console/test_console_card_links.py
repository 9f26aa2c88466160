"""The card of a version that a lifecycle really made: every figure is a link, and every link leads somewhere."""

from html.parser import HTMLParser

import pytest

from everloop.console.pages import page_for
from everloop.deploy.release import PACKAGE_FOLDER
from everloop.deploy.versions import require_version
from everloop.record.rows import StepRow
from everloop.report import render
from everloop.report.rendering import FIGURE

NO_FIGURES = ("style", "title", "nav", "h1", "h2", "svg", "summary", "dt", "th", "footer")
"""What holds names and headings, or a drawing that its caption links."""
VOID = ("meta", "br", "use", "path")


class Card(HTMLParser):
    """Reads a card.

    Attributes:
        unlinked: Each text with a figure that is no link.
        links: Each link's address and text.
        pictures: Of each picture the addresses that its caption leads to.
        ids: The places that can be led to.
    """

    def __init__(self, html):
        super().__init__()
        self.open, self.unlinked, self.links, self.pictures, self.ids = [], [], [], [], set()
        self.told = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        self.ids.add(facts.get("id"))
        self.told |= facts.get("id") == "how-it-was-made"
        if tag == "figure":
            self.pictures.append([])
        if tag == "a" and facts.get("class") == "made":
            self.links.append([facts["href"], ""])
            if "figcaption" in self.open:
                self.pictures[-1].append(facts["href"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        while tag in self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if "a" in self.open:
            if self.links:
                self.links[-1][1] += data
        elif (
            {"main", "b", "small"} & set(self.open) and not self.told and not set(NO_FIGURES) & set(self.open)
        ):
            self.unlinked += [data] if FIGURE.search(data) else []


@pytest.fixture(scope="module")
def cards(early):
    version = require_version(early.record, early.name, 1)
    packaged = early.store.open(version.package) / PACKAGE_FOLDER / "card.html"
    return {"report": render(page_for(early, "v1")), "package": packaged.read_text()}


@pytest.mark.parametrize("which", ["report", "package"])
def test_every_figure_and_picture_of_the_card_leads_to_what_made_it(cards, which):
    card = Card(cards[which])
    assert card.unlinked == []
    assert len(card.links) > 100
    assert len(card.pictures) > 5
    assert all(card.pictures)
    assert {address.removeprefix("#") for address, _ in card.links} <= card.ids


def test_figures_of_different_steps_lead_to_different_ones(cards):
    links = {address for address, _ in Card(cards["report"]).links}
    steps = ("snapshot", "brief", "dataset", "train", "explain", "package", "gate")
    assert {f"#made-by-{name}" for name in steps} <= links


def test_the_report_names_run_time_and_key_of_each_step_and_the_package_the_keys_alone(early, cards):
    for row in early.record.find(StepRow, name=["frame", "train"]):
        assert all(row.key in html for html in cards.values())
        told = f'<td>{row.run}</td><td class="time">{row.at:%Y-%m-%d %H:%M} UTC</td>'
        assert told in cards["report"]
        assert row.run not in cards["package"]


def test_what_served_links_a_step_to_the_page_of_its_run(early):
    run = early.record.find(StepRow, name="train")[0].run
    html = render(page_for(early, "v1"), link=lambda identity: f"/runs/{identity}")
    assert f'<td><a href="/runs/{run}">{run}</a></td>' in html
