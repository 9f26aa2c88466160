"""Events, and rows without a target, that say more than others: `problem.weight`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, davies_bouldin_score, silhouette_score

import everloop as el
from everloop.core.clock import SimulatedClock
from everloop.core.errors import DataFault, ModelFault, SpecFault
from everloop.core.units import Bound
from everloop.deploy.candidate import Candidate
from everloop.loop.support import refuse_unsupported
from everloop.measure.acting import choose_acted
from everloop.model import package
from everloop.model.budget import Budget
from everloop.model.learners.registry import learner
from everloop.model.learners.repeating import repeated
from everloop.model.recommending import Histories
from everloop.model.recommending.train import fitted_lists, train_recommender
from everloop.model.steps import training_settings
from everloop.model.training_inputs import Parts, TrainingSettings
from everloop.model.unsupervised import train_unsupervised
from everloop.model.unsupervised.anomaly import capacity_threshold
from everloop.model.unsupervised.clustering import criterion
from everloop.problem.frame import build_frame
from everloop.spec import parse
from everloop.spec.frame import Frame
from everloop.table.weights import row_counts

FILE = """
name: shop
problem: {task: TASK, target: item, entity: customer, time: at, weight: WEIGHT}
data: {sources: {rows: {file: rows.csv}}}
model: {learners: [item_item], budget: {trials: 2}}
"""


def events(count=600, seed=0):
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "customer": random.integers(0, 30, count),
            "item": [f"i{number:02d}" for number in random.integers(0, 15, count)],
            "strength": random.integers(1, 4, count),
            "at": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=place) for place in range(count)],
        }
    )


def told(task="recommendation", weight="strength"):
    return parse(FILE.replace("TASK", task).replace("WEIGHT", weight))


@pytest.mark.parametrize("name", ["item_item", "popularity"])
def test_an_event_of_weight_three_says_what_three_of_one_say(name):
    rows = events()
    repeated = rows.select(pl.all().repeat_by("strength").explode())
    one = learner(name)
    weighed, plain = (
        fitted_lists(one, one.portfolio[0], histories, TrainingSettings())
        for histories in (
            Histories.of(rows, "customer", "item", "strength"),
            Histories.of(repeated, "customer", "item"),
        )
    )
    np.testing.assert_allclose(weighed.scores, plain.scores, atol=1e-9)


def test_weights_are_what_the_matrix_of_every_learner_counts():
    rows = events()
    found = Histories.of(rows, "customer", "item", "strength")
    counted = rows.group_by("customer", "item").agg(pl.col("strength").sum())
    matrix = found.matrix().toarray()
    for who, what, times in counted.iter_rows():
        assert matrix[found.entities.index(str(who)), found.items.index(what)] == times


def test_an_event_of_weight_nothing_is_none():
    rows = events().with_columns(strength=pl.when(pl.col("item") == "i03").then(0).otherwise(1))
    found = Histories.of(rows, "customer", "item", "strength")
    assert "i03" not in found.items
    assert found.events.shape == (rows.filter(pl.col("item") != "i03").height, 2)


def test_the_file_says_what_an_event_weighs():
    rows = events().with_columns(
        item=pl.when(pl.col("customer") % 2 == 0).then(pl.lit("i99")).otherwise(pl.col("item"))
    )
    spec = told(weight="case when item = 'i99' then 0 else strength end")
    refuse_unsupported(spec)
    settings = {
        part: getattr(spec, part).model_dump(mode="json", by_alias=True)
        for part in ("goal", "problem", "model")
    }
    frame = build_frame(rows, spec.problem)
    trained = train_recommender(
        Parts(rows[:400], rows[400:500], rows[500:]),
        frame,
        training_settings(settings, SimpleNamespace(split={"by": "time"})),
    )
    assert "i99" not in trained.frame.classes


@pytest.mark.parametrize(
    ("weight", "fault", "said"),
    [
        ("-strength", DataFault, "The weight of 600 of 600 rows is negative"),
        ("strenght", SpecFault, "strenght"),
        ("strength > 1", SpecFault, "A weight is a number"),
    ],
)
def test_a_weight_that_is_none_is_named(weight, fault, said):
    with pytest.raises(fault, match=said) as raised:
        Histories.of(events(), "customer", "item", weight)
    assert raised.value.place == "problem.weight"


def shoppers(count=240, seed=0):
    """Two kinds of customers of a weight of 1 or 3, and a third, far away, of weight 0."""
    random = np.random.default_rng(seed)
    kind = np.arange(count) % 3
    return pl.DataFrame(
        {
            "spend": random.normal(np.array([0.0, 10.0, 500.0])[kind], 1.0),
            "visits": random.normal(np.array([0.0, 10.0, -500.0])[kind], 1.0),
            "counts": np.array([1.0, 3.0, 0.0])[kind],
        }
    )


def framed(task, metric, weight="counts"):
    classes, positive = (("normal", "anomaly"), "anomaly") if task == "anomaly" else ((), None)
    inputs = ("spend", "visits")
    return Frame(
        task=task, target="", classes=classes, positive=positive, metric=metric, inputs=inputs, weight=weight
    )


def without_target(task, metric, *learners, weight="counts", table=None, required=None):
    """Trains on two thirds of the rows and judges by the others."""
    table = shoppers() if table is None else table
    settings = TrainingSettings(learners=learners, budget=Budget(trials=1), required=required or {})
    cut = table.height * 2 // 3
    return train_unsupervised(Parts(table[:cut], test=table[cut:]), framed(task, metric, weight), settings)


def packaged(trained, rows, folder):
    """Gives a package as the gate holds it against rows."""
    package(trained, folder, sample=rows, clock=SimulatedClock(datetime(2025, 1, 1, tzinfo=UTC)))
    return Candidate(folder, rows, trained.frame, counts=row_counts(rows, trained.frame))


def test_clusters_are_made_and_told_by_what_rows_count():
    trained = without_target("clustering", "silhouette", "k_means", "hdbscan")
    assert trained.frame.classes == ("1", "2")
    heavy, light = trained.evaluation.clusters
    assert heavy.share == pytest.approx(0.75, abs=0.01)
    assert heavy.rows == pytest.approx(light.rows, abs=1)
    assert heavy.traits[0].overall == pytest.approx(10, abs=1.5)
    assert any(note.startswith("hdbscan was not tried, for rows are weighed: it") for note in trained.notes)


def test_learners_that_cannot_weigh_rows_are_no_choice_by_themselves():
    with pytest.raises(ModelFault, match=r"problem.weight weighs rows, which local_outlier cannot"):
        without_target("anomaly", "volume_excluded", "local_outlier")


def test_clusters_of_weighed_rows_are_measured_as_scikit_learn_measures_repeated_ones(tmp_path):
    rows = shoppers().filter(pl.col("counts") > 0)
    trained = without_target("clustering", "silhouette", "k_means")
    found = el.model.evaluate(trained, shoppers()).metrics
    repeated = rows.select(pl.all().repeat_by(pl.col("counts").cast(pl.Int64)).explode())
    X, labels = trained.encode(repeated), trained.scores(repeated).argmax(axis=1)
    assert found["davies_bouldin"].estimate == pytest.approx(davies_bouldin_score(X, labels))
    assert found["silhouette"].estimate == pytest.approx(silhouette_score(X, labels), abs=0.01)
    candidate = packaged(trained, rows, tmp_path / "package")
    for name in ("silhouette", "davies_bouldin", "calinski_harabasz"):
        assert candidate.metric(name) == pytest.approx(found[name].estimate)
    alike = el.model.evaluate(replace(trained, frame=replace(trained.frame, weight=None)), repeated).metrics
    width, repeated_width = (one["silhouette"].high - one["silhouette"].low for one in (found, alike))
    assert width > 1.2 * repeated_width, "weights are no evidence"


def test_the_criterion_of_mixtures_weighs_the_likelihood_of_rows():
    random = np.random.default_rng(0)
    X, counts = random.normal(size=(200, 2)), np.arange(200) % 4
    mixture = learner("gaussian_mixture").fit(X, None, task="clustering", configuration={"clusters": 2})
    times = np.repeat(np.arange(200), counts)
    free = 2 * 2 + 2 * 3 + 1
    expected = -2 * 200 * mixture.score(X[times]) + free * np.log(200)
    assert criterion(mixture, X, counts / counts.mean()) == pytest.approx(expected)
    assert criterion(mixture, X, np.ones(200)) == pytest.approx(mixture.bic(X))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_a_capacity_is_a_share_of_the_weight(share):
    random = np.random.default_rng(1)
    scores, counts = random.normal(size=300).round(1), random.integers(0, 4, 300)
    repeated = capacity_threshold(np.repeat(scores, counts), share)
    assert ((scores >= repeated) == (scores >= capacity_threshold(scores, share, counts)))[counts > 0].all()
    flagged = (scores >= repeated) * counts
    assert flagged.sum() <= share * counts.sum()


def test_a_detector_of_weighed_rows_flags_a_share_of_their_weight_and_is_packaged_so(tmp_path):
    table = shoppers(900)
    most = {"positive_rate": Bound.parse("<= 10%")}
    trained = without_target("anomaly", "volume_excluded", "ecod", table=table, required=most)
    counted = table.filter(pl.col("counts") > 0)
    flagged = trained.scores(counted) >= trained.threshold
    assert np.average(flagged, weights=counted["counts"]) < 0.12
    again = without_target("anomaly", "volume_excluded", "ecod", table=counted, required=most)
    assert again.threshold == trained.threshold, "a row of weight 0 is none"
    candidate = packaged(trained, counted, tmp_path / "package")
    measured = el.model.evaluate(trained, counted).metrics
    for name in ("positive_rate", "volume_excluded"):
        assert candidate.metric(name) == pytest.approx(measured[name].estimate, abs=1e-9)


def test_labels_of_weighed_rows_judge_by_what_they_count():
    random = np.random.default_rng(0)
    away = np.arange(600) % 12 == 0
    table = pl.DataFrame(
        {
            "spend": random.normal(size=600) + 3.0 * away * random.choice([-1.0, 1.0], 600),
            "fraud": np.where(away, "yes", "no"),
            "counts": random.integers(1, 5, 600),
        }
    )
    frame = Frame(
        task="anomaly", target="fraud", classes=("no", "yes"), positive="yes",
        metric="average_precision", inputs=("spend",), weight="counts",
    )  # fmt: skip
    settings = TrainingSettings(learners=("ecod",), budget=Budget(trials=1), by="random")
    trained = train_unsupervised(Parts(table[:400], test=table[400:]), frame, settings)
    test = table[400:]
    expected = average_precision_score(
        test["fraud"] == "yes", trained.scores(test), sample_weight=test["counts"]
    )
    assert trained.evaluation.metrics["average_precision"].estimate == pytest.approx(expected)


def test_acting_is_chosen_and_priced_by_what_rows_count():
    money, labels, counts = [4.0, -5.0, 1.0, 1.0], [0, 0, 1, 1], [3.0, 1.0, 2.0, 2.0]
    assert choose_acted(money, labels, clusters=2) == (1,)
    assert choose_acted(money, labels, clusters=2, weights=counts) == (0, 1)
    assert choose_acted(money, labels, clusters=2, weights=counts, most=0.5) == (0,)


def test_a_row_is_repeated_as_often_as_it_counts_beside_the_least():
    X = np.arange(4.0)[:, None]
    assert repeated(X, np.array([0.0, 0.25, 0.75, 0.5]), 10).ravel().tolist() == [1, 2, 2, 2, 3, 3]
    assert repeated(X, np.array([1e-9, 1.0, 1.0, 1.0]), 6).ravel().tolist() == [1, 1, 2, 2, 3, 3]
    assert repeated(X, None, 2) is X
