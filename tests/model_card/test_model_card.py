from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from everloop.measure.intervals import Interval
from everloop.model import search
from everloop.model.card import card_html, card_page
from everloop.model.card_facts import CardFacts
from everloop.model.card_limits import limits
from everloop.model.card_origin import MadeBy
from everloop.model.evaluation import Slice
from everloop.model.trained import PRUNED, FeatureChoice, Trained, Trial
from everloop.report import render

CREATED = datetime(2024, 6, 1, tzinfo=UTC)
FACTS = CardFacts(
    "churn",
    3,
    CREATED,
    "owner@shop.example",
    brief={
        "statement": "Keep <customers>.",
        "currency": "EUR",
        "required": {"recall": ">= 0.6"},
        "constants": {},
    },
    snapshot={
        "rows": 400,
        "as_of": "2024-06-01T00:00:00Z",
        "time_range": ["2024-01-01", "2024-05-31"],
        "sources": {"c": {}},
        "hidden_actuals": 4,
    },
    dataset={
        "rows": {"train": 300, "test": 100},
        "split": {"by": "time"},
        "features": [],
        "cleaning": [{"step": "duplicates", "rows": 3, "detail": "dropped"}],
    },
    labels={"verdict": "more", "reason": "twice the labels would help"},
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    random = np.random.default_rng(1)
    x = random.normal(size=400)
    table = pl.DataFrame(
        {
            "x": x,
            "noise": random.normal(size=400),
            "churned": np.where(x + random.normal(size=400) > 0, "yes", "no"),
        }
    )
    model = search(table, target="churned", learners=["linear"], budget={"trials": 1}, seed=0)
    folder = tmp_path_factory.mktemp("trained")
    model.trained.save(folder)
    return Trained.load(folder, estimator=False)


def text_of(page):
    return {section.title: section for section in page.sections}


@pytest.mark.usefixtures("drawn_afresh")
def test_the_card_is_the_same_bytes_each_time(trained):
    assert card_html(trained, FACTS) == card_html(trained, FACTS)


def test_the_card_needs_no_estimator(trained):
    assert trained.estimator is None
    assert "Model card" in card_html(trained, FACTS)


def test_the_card_says_what_is_on_record(trained):
    html = card_html(trained, FACTS)
    for words in (
        "churn v3",
        "2024-06-01 00:00",
        "owner@shop.example",
        "Keep &lt;customers&gt;.",
        "2024-01-01 to 2024-05-31",
        "duplicates",
    ):
        assert words in html
    assert "<script" not in html


def test_what_is_unknown_is_said_to_be_unknown(trained):
    said = " ".join(limits(trained, CardFacts("churn")))
    assert "time range of its rows is unknown" in said
    assert "worth in money is unknown" in said
    assert "no sensitive column is named" in said
    assert "more labels would help is unknown" in said
    html = card_html(trained, CardFacts("churn"))
    assert "not stated on record" in html


VERDICT = {
    "verdict": "more labels",
    "reasons": ["recall needs 4,000 more labels", "the signal is weak"],
    "outlook": {
        "gain_per_month": {"low": 10.0, "estimate": 20.0, "high": 30.0},
        "upfront": 5.0,
        "payback_days": 12.0,
    },
    "signal": {
        "metric": "roc_auc",
        "score": 0.71,
        "chance_score": 0.5,
        "p_value": 0.004,
        "rule": "age >= 40",
        "rule_score": 0.6,
        "noise": 0.08,
    },
}


def test_the_verdict_on_the_goal_stands_with_its_evidence(trained):
    judged = replace(FACTS, brief=FACTS.brief | VERDICT, outlook=VERDICT["outlook"])
    page = card_page(trained, judged)
    assert "Is it worth doing" in text_of(page)
    html = card_html(trained, judged)
    for words in (
        "More labels.",
        "Recall needs 4,000 more labels; the signal is weak.",
        "roc_auc 0.71; shuffled labels 0.5 (p = 0.004)",
        "age &gt;= 40: 0.6",
        "Labels that look wrong",
        "20.00 EUR a month (10.00 EUR to 30.00 EUR)",
        "after 12",
    ):
        assert words in html.replace("\u202f", " ").replace("\xa0", " "), words
    assert "trained all the same" in " ".join(limits(trained, judged))
    assert "Is it worth doing" not in text_of(card_page(trained, FACTS))
    assert "goal is worth pursuing is unknown" in " ".join(limits(trained, FACTS))


def test_outcomes_that_nothing_foretells_are_not_called_wrong_labels(trained):
    unsure = VERDICT | {"signal": VERDICT["signal"] | {"noise": 0.24}}
    html = card_html(trained, replace(FACTS, brief=FACTS.brief | unsure, outlook=VERDICT["outlook"]))
    assert "cannot be told: the quick model expects another label in 24" in html


def test_without_prices_no_section_is_headed_value(trained):
    unpriced = replace(
        trained, evaluation=replace(trained.evaluation, value=None, value_today=None, gain=None)
    )
    titles = text_of(card_page(unpriced, FACTS))
    assert "Value" not in titles
    assert "Calibration" in titles or "Predictions" in titles


def test_without_an_evaluation_the_card_says_so(trained):
    bare = replace(trained, evaluation=None)
    page = card_page(bare, CardFacts("churn"))
    assert not {"Value", "Metrics", "Slices and groups"} & set(text_of(page))
    assert "it was not evaluated" in " ".join(limits(bare, CardFacts("churn")))


STEPS = {
    "snapshot": MadeBy("data-snapshot-1"),
    "frame": MadeBy("problem-frame-2", {"snapshot": "data-snapshot-1"}),
    "train": MadeBy("model-train-3", {"frame": "problem-frame-2", "sensors": "data-sensors-9"}),
}


def test_what_made_the_figures_is_told_step_by_step(trained):
    html = card_html(trained, replace(FACTS, steps=STEPS))
    told = html[html.index('<section id="how-it-was-made">') :]
    assert '<tr id="made-by-train"><td>train</td><td>model-train-3</td>' in told
    assert '<a href="#made-by-frame">frame</a>, sensors data-sensors-9' in told
    assert "everloop report v3 names them" in told


def test_a_step_that_was_executed_elsewhere_names_its_run_and_its_time(trained):
    ran = {"train": replace(STEPS["train"], run="run_7", at=CREATED)}
    html = render(card_page(trained, replace(FACTS, steps=ran)), link=lambda identity: f"/runs/{identity}")
    assert '<td><a href="/runs/run_7">run_7</a></td><td class="time">2024-06-01 00:00 UTC</td>' in html


def test_a_figure_is_a_link_to_the_step_that_made_it(trained):
    outlook = VERDICT["outlook"]
    facts = replace(FACTS, steps=STEPS, brief=FACTS.brief | VERDICT, outlook=outlook)
    html = card_html(trained, facts)
    assert '<a class="made" href="#made-by-snapshot">2024-01-01</a>' in html
    assert '<dt>Paid back</dt><dd>after <a class="made" href="#made-by-train">12</a> days' in html
    assert "Recall needs 4,000 more labels" in html, "the brief is not on record, so nothing is linked to it"


def test_without_a_record_the_card_says_that_what_made_it_is_unknown(trained):
    page = card_page(trained, FACTS)
    assert "How it was made" not in text_of(page)
    assert "Which run made its figures is unknown" in " ".join(limits(trained, FACTS))
    assert 'class="made"' not in card_html(trained, FACTS).split("</style>")[1]


def test_small_chances_and_quick_returns_are_told_in_words(trained):
    worst = Slice((("kind", "a"),), 50, Interval(0.4, 0.5, 0.6), 0.8, 0.0)
    sliced = replace(trained, evaluation=replace(trained.evaluation, slices=(worst,), slices_looked_at=9))
    outlook = VERDICT["outlook"] | {"payback_days": 2.8e-06}
    html = card_html(sliced, replace(FACTS, brief=FACTS.brief | VERDICT, outlook=outlook))
    assert "&lt; 0.001" in html
    assert "within a day" in html
    assert "e-06" not in html


def test_a_gain_that_may_be_none_is_not_praised(trained):
    unsure = replace(
        trained.evaluation,
        value=Interval(1, 2, 3),
        value_today=Interval(1, 1.9, 3),
        gain=Interval(-0.1, 0.1, 0.3),
    )
    page = card_page(replace(trained, evaluation=unsure), FACTS)
    assert "about the same" in page.lead
    assert any("is not shown" in each for each in limits(replace(trained, evaluation=unsure), FACTS))


def test_failed_trials_and_columns_left_out_have_their_reasons(trained):
    more = replace(
        trained,
        trials=(
            *trained.trials,
            Trial(1, "linear", {}, None, error="it did not converge"),
            Trial(2, "linear", {}, None, error=f"{PRUNED}: worse than most"),
        ),
        features=(*trained.features, FeatureChoice("id", False, "an identifier")),
    )
    html = card_html(more, FACTS)
    assert "failed: it did not converge" in html
    assert "pruned: worse than most" in html
    assert "failed: pruned" not in html
    assert "an identifier" in html


def test_cost_is_said_with_what_it_assumes(trained):
    facts = replace(FACTS, brief=FACTS.brief | {"cost_per_month": 0.2, "labels": 40.0})
    slow = replace(trained, trials=tuple(replace(trial, seconds=1800.0) for trial in trained.trials))
    html = card_html(slow, facts)
    assert "30 min of trials" in html
    assert "about 7.50 Wh (an estimate)" in html or "about 7.5 Wh (an estimate)" in html
    assert "unknown: it is not on record" in card_html(replace(trained, trials=()), CardFacts("churn"))
