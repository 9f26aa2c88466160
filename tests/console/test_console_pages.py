import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from everloop.console import page_for
from everloop.console.backtest_page import backtest_page
from everloop.console.deploy_section import gate_blocks, rollout_blocks, shares_over_time
from everloop.console.monitor_section import monitor_section, served_gain
from everloop.console.status_page import status_facts, status_page
from everloop.console.story import Story
from everloop.core.errors import NotFound
from everloop.core.values import to_jsonable
from everloop.loop.rolling import LOOKED
from everloop.record.rows import AlertRow, DecisionRow, RolloutRow, RunRow, VersionRow, WindowRow
from everloop.report import Picture, render

START = datetime(2025, 1, 1, tzinfo=UTC)
VOID = {"meta", "br", "hr", "img", "link", "path", "use", "rect", "circle", "input"}


class Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def checked(page):
    html = render(page)
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    assert "<script" not in html
    assert "<b>without</b>" not in html
    assert not re.findall(r'(?:src|href)="(?!#)', html)
    for word in ("NaN", ">nan", "None<", "Interval("):
        assert word not in html
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    return html


def titles(page):
    return [section.title for section in page.sections]


def pictures_in(page):
    return [block for section in page.sections for block in section.blocks if isinstance(block, Picture)]


def figures_of(page):
    return {
        name: (value, note)
        for block in page.summary
        if block.kind == "figures"
        for name, value, note in block.figures
    }


def test_a_lifecycle_that_was_never_run_says_so(unborn):
    assert titles(page_for(unborn)) == ["Nothing yet"]
    assert titles(status_page(unborn)) == ["Nothing yet"]
    checked(page_for(unborn))


def test_the_story_begins_before_anything_is_served(early):
    page = page_for(early)
    checked(page)
    assert titles(page)[:5] == ["Goal", "Problem", "Data", "Model", "Deploy"]
    assert "windows judged" not in figures_of(page)


def test_the_story_follows_the_data_and_shows_pictures(lived):
    page = page_for(lived)
    html = checked(page)
    assert titles(page) == ["Goal", "Problem", "Data", "Model", "Deploy", "Monitor"]
    assert len(pictures_in(page)) >= 9
    assert "Parity proven." in html
    assert page.lead.startswith("Cut losses")


def test_the_figures_are_those_of_the_record(lived):
    story, figures = Story.read(lived), figures_of(page_for(lived))
    assert served_gain(list(story.windows)) == (200.0 * 450, 450)
    assert figures["earned when served"][0] == "+90,000\xa0EUR"
    assert figures["windows judged"] == ("5", "1 drifted, 1 alert")
    monthly = story.step("train")["gain"]["estimate"] * 10_000
    assert figures["expected a month"][0] == f"+{monthly / 1e6:.2f}\xa0million\xa0EUR"


@pytest.mark.usefixtures("drawn_afresh")
def test_the_same_record_gives_the_same_page(lived):
    assert render(page_for(lived)) == render(page_for(lived))


def test_a_page_changes_nothing(lived):
    before = [lived.record.find(kind) for kind in (RunRow, VersionRow, WindowRow, DecisionRow, AlertRow)]
    render(page_for(lived))
    assert before == [
        lived.record.find(kind) for kind in (RunRow, VersionRow, WindowRow, DecisionRow, AlertRow)
    ]


def test_a_run_tells_of_its_own_version_alone(lived):
    run = lived.record.find(RunRow)[0]
    page = page_for(lived, run.id)
    checked(page)
    assert page.subtitle.startswith("Run of 2024-06-01")


@pytest.mark.parametrize("identity", ["v1", "1", "v2"])
def test_a_version_shows_its_card_and_its_gate(lived, identity):
    page = page_for(lived, identity)
    checked(page)
    assert titles(page)[0] == "Release"
    assert ("Gate of v1 " in render(page)) == (identity != "v2")
    assert {"Purpose", "Value", "Metrics", "Data", "Features", "Limits"} <= set(titles(page))


def test_a_window_shows_what_moved_and_what_followed(lived):
    window = lived.record.find(WindowRow, order="since")[2]
    page = page_for(lived, window.id)
    html = checked(page)
    assert titles(page) == ["Drift", "Performance", "What followed"]
    assert "amount moved" in html
    assert "too early" in html


def test_a_decision_shows_its_evidence_and_causes(lived):
    for decision in lived.record.find(DecisionRow):
        html = checked(page_for(lived, decision.id))
        assert "Evidence" in html
    retrain = lived.record.find(DecisionRow, kind="retrain")[0]
    assert "window_" in render(page_for(lived, retrain.id))


@pytest.mark.parametrize("identity", ["v9", "run_nothing", "window_x", "nothing", "", "v", "999999999999"])
def test_what_is_not_there_is_not_found(lived, identity):
    with pytest.raises(NotFound):
        page_for(lived, identity)


def test_an_alert_has_no_page_of_its_own(lived):
    with pytest.raises(NotFound, match="no page of its own"):
        page_for(lived, lived.record.find(AlertRow)[0].id)


def test_a_failed_run_says_why(lived, tmp_path):
    run = RunRow(
        "run_00000000000000000000000000", "loan-default", lived.clock.now(), "failed", "data",
        facts={"error": {"message": "The source is down.", "hint": "everloop check"}, "steps": {}},
    )  # fmt: skip
    story = Story.read(lived).of_run(run)
    assert story.versions == []
    lived.record.add(run)
    html = checked(page_for(lived, run.id))
    assert "The source is down. Next: everloop check" in html
    assert "The run failed in the phase data." in html


def test_the_front_page_says_first_why_the_last_run_failed(unborn):
    error = {"message": "The source is down", "hint": "everloop check"}
    run = RunRow(
        "run_00000000000000000000000000", "loan-default", START, "failed", "data", facts={"error": error}
    )
    unborn.record.add(run)
    page = status_page(unborn)
    checked(page)
    assert page.summary[0].label == "The run failed in the phase data."
    assert page.summary[0].text == "The source is down. Next: everloop check"
    later = replace(run, id="run_00000000000000000000000001", at=START + timedelta(days=1), status="done")
    unborn.record.add(later)
    assert not [block for block in status_page(unborn).summary if block.kind == "verdict"]


def policy(name, net, months):
    windows = [
        {
            "since": f"2013-0{month}-01T00:00:00Z",
            "value": net / 2,
            "cost": 2.5,
            "retrains": 1,
            "alarms": month - 5,
        }
        for month in (5, 6)
    ]
    return {
        "windows": windows, "best_in": 0.5, "failed": 0,
        "name": name, "months": months, "value": net + 5.0, "value_per_decision": net / 100,
        "against_never": None if name == "never" else {"low": 0.1, "estimate": 0.2, "high": 0.3},
        "retrains": 2, "promoted": 1, "alarms": 3, "cost": 5.0, "net": net,
    }  # fmt: skip


def test_a_backtest_compares_policies():
    months = {"2013-05": -20.0, "2013-06": -22.0}
    result = {
        "since": "2013-05-01T00:00:00Z", "until": "2013-07-01T00:00:00Z", "decisions": 100, "currency": "EUR",
        "policies": [policy("never", -2000.0, months), policy("pays", -1500.0, months)], "best": "pays",
        "window": 30 * 86400, "verdict": "pays earned most after its costs.",
    }  # fmt: skip
    page = backtest_page(result, lifecycle="flights")
    html = checked(page)
    assert len(pictures_in(page)) == 4
    assert "pays" in html


def test_a_challengers_share_ends_with_its_rollout(lived):
    story = Story.read(lived)
    _, shares = shares_over_time(story, story.rollouts[0])
    assert shares == [5.0, 100.0]


@pytest.fixture
def rolling(lived):
    """The same lifecycle while its rollout was under way, after a look at it."""
    odds = {"odds_of_harm": 2.5, "needed_for_harm": 25.0, "odds_of_none": 3.0, "needed_for_none": 20.0}
    guard = {"name": "error_rate", "answer": "undecided", "required": "not worse", "found": "3 of 80"}
    arm = {"requests": 80, "failed": 3, "refused": 0, "latency_p50": 0.002, "latency_p99": None}
    with lived.record.transaction():
        rollout = lived.record.find(RolloutRow)[0]
        lived.record.put(replace(rollout, state="running", share=0.25))
        look = {
            "rollout": rollout.id, "at": START, "next": "wait", "reason": "not enough evidence yet",
            "guards": [guard | {"evidence": odds}], "split": None,
            "seen": {"champion": arm, "challenger": arm, "agreement": 0.9, "score_moved_by": 0.1,
                     "score_shift": 0.05},
        }  # fmt: skip
        lived.record.set_state(lived.name, LOOKED, to_jsonable(look))
    yield lived
    lived.record.put(rollout)
    lived.record.set_state(lived.name, LOOKED, {})


def test_the_front_page_tells_how_the_rollout_stands(rolling):
    page = status_page(rolling)
    html = checked(page)
    assert titles(page)[:2] == ["Serving", "Rollout"]
    for said in (
        "Next, wait: not enough evidence yet.",
        "25%",
        "2 of 3",
        "3 of 80",
        "of harm 2.50 of 25, of no harm 3 of 20",
        "Both decide 90% of rows alike",
    ):
        assert said in html
    told = status_facts(rolling)["rollout"]
    assert (told["share"], told["look"]["guards"][0]["name"]) == (0.25, "error_rate")


def test_the_front_page_tells_how_the_last_rollout_ended(lived, early):
    html = checked(status_page(lived))
    assert "<b>Promoted:</b>it may." in html
    assert "Next, " not in html
    assert "Rollout" not in titles(status_page(early))
    assert status_facts(early)["rollout"] is None


def test_the_front_page_lists_the_latest_alerts(lived):
    html = checked(status_page(lived))
    assert "The latest alerts" in html
    assert "amount moved" in html


def test_an_alert_before_the_first_window_is_told(lived):
    section = monitor_section(replace(Story.read(lived), windows=[], decisions=[]))
    assert section.blocks[0].title == "Every alert (1)"
    assert section.lead.startswith("No window has been judged yet")


def test_the_front_page_says_that_nothing_was_watched_yet(early, unborn):
    assert "No window has been judged yet" in checked(status_page(early))
    assert "Monitoring" not in titles(status_page(unborn))


def test_a_rollout_that_has_just_begun_draws_no_empty_picture(lived):
    story = Story.read(lived)
    begun = replace(story.rollouts[0], id="rollout_2", state="running")
    start = next(row for row in story.decisions if row.answer == "start")
    only = replace(start, at=story.end(), facts=start.facts | {"rollout": begun.id})
    alone = replace(story, rollouts=[begun], decisions=[only])
    assert not [block for block in rollout_blocks(alone) if isinstance(block, Picture)]
    assert [block for block in rollout_blocks(story) if isinstance(block, Picture)]


def test_a_gate_draws_what_it_compared_by_paired_differences():
    def check(name, **evidence):
        return {"name": name, "required": "", "found": "", "passed": True, "evidence": evidence}

    ends = {"low": -0.1, "estimate": 0.2, "high": 0.5}
    checks = [
        check("parity", rows=3),
        check("better than today", **ends),
        check("not worse than the champion", **ends, margin=0.1),
    ]

    def drawn(*checks):
        gate = DecisionRow(
            "decision_1", "loans", START, "gate", "passed", "all passed", {"checks": list(checks)}
        )
        return [block for block in gate_blocks(gate) if isinstance(block, Picture)]

    (money,) = drawn(*checks)
    for words in ("than today", "than the champion", "value of a decision: better by"):
        assert words in money.svg
    by_metric = check("not worse than the champion", **ends, champion=0.7)
    assert len(drawn(checks[1], by_metric)) == 2
    assert not drawn(checks[0], check("not worse than the champion", low=None, estimate=0.1, high=None))
