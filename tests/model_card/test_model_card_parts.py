"""Every part of an evaluation is drawn on the card of a task that has it."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, replace

import numpy as np
import pytest

from everloop.measure.intervals import Interval
from everloop.model.card import card_page
from everloop.model.card_facts import CardFacts
from everloop.model.card_limits import limits
from everloop.model.card_pictures import gain_sentence
from everloop.model.evaluation import (
    Cluster,
    Evaluation,
    Group,
    GroupFairness,
    Mitigation,
    Requirement,
    Slice,
    Trait,
)
from everloop.model.evaluation_curves import binary_curves, residual_facts
from everloop.model.evaluation_pictures import DRAWN, Shown
from everloop.model.explanation import Dependence, Effects, Explanation
from everloop.model.explanation_pictures import effect_blocks
from everloop.model.group_pictures import mitigation_blocks
from everloop.model.trained import FeatureChoice, Trained
from everloop.report import Beside, Fold, Picture, Text, pictures
from everloop.runtime.plan import Plan
from everloop.spec.frame import Frame

RANDOM = np.random.default_rng(0)
CHANCES = RANDOM.uniform(size=200)
CAME = (RANDOM.uniform(size=200) < CHANCES).astype(int)
SOME = Interval(0.5, 0.6, 0.7)
LESS = Interval(0.1, 0.2, 0.3)

BINARY = Evaluation(
    part="test",
    rows=200,
    metric="roc_auc",
    metrics={"roc_auc": SOME, "log_loss": SOME},
    threshold=0.4,
    value=SOME,
    value_today=LESS,
    gain=LESS,
    against_today={"recall": LESS},
    best_possible=2.0,
    confusion=((90, 10), (20, 80)),
    classes=("no", "yes"),
    value_curve={"thresholds": [0.1, 0.4, 0.9], "values": [0.1, 0.6, 0.2]},
    importance={"x": 0.1},
    fairness=(
        GroupFairness(
            ("sex",),
            tuple(
                Group(name, 90, enough=True, rates={"positive_rate": rate})
                for name, rate in {"f": SOME, "m": LESS}.items()
            ),
            {"demographic_parity_difference": LESS},
        ),
    ),
    mitigation=Mitigation(
        "thresholds",
        changes={"recall": LESS},
        without={"sex": {"demographic_parity_difference": SOME}},
    ),
    slices=(Slice((("kind", "a"),), 50, LESS, 0.8, 0.01),),
    slices_looked_at=9,
    requirements=(Requirement("roc_auc", ">= 0.5", 0.5, 0.6, holds=True),),
    **binary_curves(CHANCES, CAME),
)
REGRESSION = Evaluation(
    part="test",
    rows=200,
    metric="rmse",
    metrics={"rmse": SOME, "max_error": SOME},
    predicted={"predicted": [1.0, 2.0], "actual": [1.5, 2.5]},
    residuals=residual_facts(CHANCES, CAME),
)
CLUSTERING = Evaluation(
    part="test",
    rows=200,
    metric="silhouette",
    metrics={"silhouette": LESS, "calinski_harabasz": Interval(90, 100, 110)},
    clusters=(Cluster("1", 120, 0.6, (Trait("x", None, 1.0, 2.0, -0.8),), worth=LESS, acted=True),),
)
TASKS = {"binary": BINARY, "regression": REGRESSION, "clustering": CLUSTERING}


def trained_of(task: str, found: Evaluation) -> Trained:
    frame = Frame(task=task, target="y", classes=found.classes, metric=found.metric, inputs=("x",))
    if task == "binary":
        frame = replace(frame, positive="yes")
    gains = tuple(FeatureChoice(name, True, "it helps", gain) for name, gain in found.importance.items())
    return Trained(
        frame=frame, plan=Plan((), (), 0), learner="linear", configuration={}, estimator=None,
        features=gains, evaluation=found,
    )  # fmt: skip


def drawn_in(blocks: object) -> list[str]:
    """Gives the pictures among blocks, those inside others as well."""
    found = []
    for block in blocks:
        if isinstance(block, Picture):
            found.append(block.svg + block.caption)
        elif isinstance(block, (Beside, Fold)):
            found += drawn_in(block.blocks)
    return found


def emptied(field: Field) -> object:
    """Gives what a field holds where an evaluation has no such part."""
    return field.default if field.default is not MISSING else field.default_factory()


@pytest.fixture
def as_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has a picture be what it is drawn from: to draw each would take long, and is shown elsewhere."""
    for name in ("bars", "calibration", "confusion", "curve", "histogram", "intervals", "lines", "points"):
        monkeypatch.setattr(pictures, name, lambda *given, _name=name, **how: f"{_name} {given} {how}")


def test_every_part_of_an_evaluation_is_in_a_picture_on_the_card(as_called: None) -> None:
    homes = {part: drawn for drawn in DRAWN for part in drawn.parts}
    assert sorted(part for drawn in DRAWN for part in drawn.parts) == sorted(
        field.name for field in fields(Evaluation)
    )
    card = {
        task: [
            each
            for section in card_page(trained_of(task, found), CardFacts("x")).sections
            for each in drawn_in(section.blocks)
        ]
        for task, found in TASKS.items()
    }
    for field in fields(Evaluation):
        optional = field.default is not MISSING or field.default_factory is not MISSING
        having = [
            task
            for task, found in TASKS.items()
            if not optional or getattr(found, field.name) != emptied(field)
        ]
        assert having, f"no evaluation here has {field.name}"
        task = having[0]
        shown = drawn_in(homes[field.name].blocks(Shown(trained_of(task, TASKS[task]), TASKS[task])))
        assert shown, f"{field.name} has no picture"
        assert set(shown) <= set(card[task]), f"{field.name} is not on the card of {task}"
        if optional:
            without = replace(TASKS[task], **{field.name: emptied(field)})
            left = drawn_in(homes[field.name].blocks(Shown(trained_of(task, without), without)))
            assert left != shown, f"{field.name} is in none of the pictures that are said to show it"


def test_a_large_number_of_a_cluster_is_told_in_digits() -> None:
    assert Trait("spend", None, 13450.0, 3666.5, 0.9).sentence() == (
        "spend high (median 13,450, all rows 3,666)"
    )


def test_a_difference_that_may_be_none_lies_between_two_amounts() -> None:
    found = replace(BINARY, gain=Interval(-1.0, 0.5, 2.0))
    assert gain_sentence(found, "EUR").endswith(
        "lies between \N{MINUS SIGN}1.00 and +2.00\N{NO-BREAK SPACE}EUR."
    )


def test_a_recommender_is_judged_by_lists_and_its_labels_are_no_judges_alone() -> None:
    found = Evaluation("test", 80, "ndcg_at_10", {"ndcg_at_10": SOME})
    facts = CardFacts("shop", labels={"verdict": "not needed", "labels": 2000})
    page = card_page(trained_of("recommendation", found), facts)
    assert page.lead == "ndcg_at_10 is 0.6 on 80 held-out lists."
    said = " ".join(limits(trained_of("recommendation", found), facts))
    assert "rest on 80 lists" in said
    assert "label" not in said


@pytest.mark.parametrize("output", ["cnt", "Größe"])
def test_the_name_of_what_is_predicted_is_written_as_it_is(as_called: None, output: str) -> None:
    over = Dependence("x", (0.0, 1.0), (1.0, 2.0), (0.5, 1.5), (1.5, 2.5))
    found = Explanation(output, "rmse", 2, 1, (Effects("x", SOME, (0.1, 0.3), (0.0, 1.0)),), (over,))
    shown = effect_blocks(found)
    assert f"Over x: {output}, all else as it is" in "".join(drawn_in(shown))


def test_names_in_the_reason_for_more_labels_keep_their_capitals() -> None:
    labels = {"verdict": "more", "reason": "with 90 more labels: rmse of Umsatz 5", "labels": 10}
    trained = trained_of("regression", REGRESSION)
    assert "Labels: more. With 90 more labels: rmse of Umsatz 5." in limits(
        trained, CardFacts("sales", labels=labels)
    )


def test_a_mitigation_that_changes_nothing_is_told_and_not_drawn(as_called: None) -> None:
    nothing = replace(BINARY.mitigation, changes={"recall": Interval(0.0, -1.4e-17, 0.0)})
    blocks = mitigation_blocks(replace(BINARY, mitigation=nothing), "EUR")
    assert Text("On these rows it changes no metric.") in blocks
    assert not any("as without" in drawn for drawn in drawn_in(blocks))
    assert any("as without" in drawn for drawn in drawn_in(mitigation_blocks(BINARY, "EUR")))
