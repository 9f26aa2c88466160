"""Metrics of lists judge as many items as their name says."""

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from everloop.core.errors import SpecFault
from everloop.measure import compute
from everloop.measure.metrics import METRICS, metric_named, metrics_of
from everloop.measure.recommendation import longest_list, read_list_metric


def judged(seed: int = 0):
    """Who had which of 30 items later, everyone's scores, and the 25 items listed."""
    random = np.random.default_rng(seed)
    truth = random.random((40, 30)) < 0.2
    truth[:, 0] |= ~truth.any(axis=1)
    scores = random.random((40, 30))
    order = np.argsort(-scores, axis=1)[:, :25]
    return truth, scores, np.take_along_axis(truth, order, axis=1).astype(float)


@pytest.mark.parametrize("places", [1, 3, 10, 20])
def test_lists_are_judged_up_to_the_place_that_the_name_says(places):
    truth, scores, hits = judged()
    relevant = truth.sum(axis=1)
    recalls, precisions = [], []
    for row, wanted in zip(hits[:, :places], relevant, strict=True):
        recalls.append(row.sum() / wanted)
        at_hits = [row[: place + 1].mean() for place in range(places) if row[place]]
        precisions.append(sum(at_hits) / min(places, wanted))
    assert compute(f"ndcg_at_{places}", hits, relevant) == pytest.approx(ndcg_score(truth, scores, k=places))
    assert compute(f"recall_at_{places}", hits, relevant) == pytest.approx(np.mean(recalls))
    assert compute(f"map_at_{places}", hits, relevant) == pytest.approx(np.mean(precisions))


@pytest.mark.parametrize("family", ["recall", "ndcg", "map"])
def test_more_places_than_items_judge_all_items(family):
    truth, _, hits = judged()
    assert compute(f"{family}_at_500", hits, np.minimum(truth.sum(axis=1), 25)) == pytest.approx(
        compute(f"{family}_at_25", hits, np.minimum(truth.sum(axis=1), 25))
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("recall@5", "did you mean recall_at_5?"),
        ("ndcg_at_0", "write ndcg_at_K, K a whole number from 1 to 1,000: ndcg_at_5"),
        ("map_at_-3", "write map_at_K"),
        ("map_at_2.5", "write map_at_K"),
        ("recall_at_ten", "write recall_at_K"),
        ("recall_at_05", "write recall_at_K"),
        ("recall_at_1001", "write recall_at_K"),
        ("recall_at_" + "9" * 5000, "write recall_at_K"),
        ("ndcg_at_", "write ndcg_at_K"),
        ("recall_at_٣", "write recall_at_K"),
        ("recall_at_2_percent", "did you mean recall_at_"),
    ],
)
def test_a_place_that_is_none_is_refused_with_how_to_write_it(name, hint):
    assert name not in METRICS
    with pytest.raises(SpecFault) as told:
        metric_named(name)
    assert told.value.hint.startswith(hint)


def test_ten_items_are_judged_where_no_number_is_chosen():
    usual = [metric.name for metric in metrics_of("recommendation")]
    assert usual == ["recall_at_10", "ndcg_at_10", "map_at_10"]
    assert (METRICS["map_at_7"].name, METRICS["map_at_7"].needs) == ("map_at_7", "lists")
    assert read_list_metric("recall_at_1_percent") is None


def test_lists_are_as_long_as_the_longest_metric_and_no_shorter_than_usual():
    assert longest_list(["recall_at_5", "value_per_decision"]) == 20
    assert longest_list(["recall_at_5", "ndcg_at_50", "map_at_30"]) == 50


def test_a_table_gives_what_it_says_it_has():
    assert METRICS.get("map_at_7").name == "map_at_7"
    assert METRICS.get("map_at_0") is None
    assert METRICS.get("map_at_0", "none") == "none"
