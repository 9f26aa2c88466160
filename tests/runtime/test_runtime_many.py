"""Many rows at once: what a table scorer answers is what the graph answers, bit for bit."""

import lightgbm
import numpy as np
import onnx
import polars as pl
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import ensemble, linear_model
from threadpoolctl import threadpool_limits

from everloop.model.compile import score_model
from everloop.model.ensemble import Ensemble
from everloop.runtime.graph import Graph
from everloop.runtime.many import TableScorer, trees_of
from everloop.runtime.plan import LookupEncoder, NumberEncoder, OneHotEncoder, Plan, PlanInput, compile_row
from everloop.runtime.plan_table import encode_table
from everloop.spec.frame import Frame

CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}


@pytest.fixture(autouse=True)
def _one_thread():
    """Small tables are fitted sooner by one thread, above all on a busy machine."""
    with threadpool_limits(1):
        yield


def plan(*, float32=True, fill=None):
    """Numbers of several sizes, a category with others, one without, a lookup."""
    return Plan(
        inputs=(
            PlanInput("small", "number"),
            PlanInput("time", "number"),
            PlanInput("count", "integer"),
            PlanInput("region", "text"),
            PlanInput("kind", "text"),
            PlanInput("city", "text"),
        ),
        encoders=(
            NumberEncoder("small", 0, low=-3.0, high=3.0, fill=fill, float32=float32),
            OneHotEncoder("region", 1, ("north", "south", "")),
            NumberEncoder("time", 4, fill=fill, float32=float32, indicator=True),
            OneHotEncoder("kind", 6, ("x", "y"), other=True),
            NumberEncoder("count", 9, fill=fill, centre=3.0, scale=7.0, float32=float32),
            LookupEncoder("city", 10, {"A": 0.25, "B": -1.5, "C": 0.5}, unknown=0.1, missing=fill),
        ),
        width=11,
    )


def table(rows, seed=0):
    random = np.random.default_rng(seed)
    gaps = lambda values: [None if gone else value for gone, value in zip(random.random(rows) < 0.1, values)]  # noqa: B905, E731
    odd = random.choice([np.inf, -np.inf, 0.0, -0.0, 1e300, -1e300, 1e-300], size=rows)
    small = np.where(random.random(rows) < 0.05, odd, random.normal(size=rows))
    return pl.DataFrame(
        {
            "small": pl.Series(gaps(small.tolist()), dtype=pl.Float64),
            "time": pl.Series(gaps((1.7e15 + random.uniform(0, 3e13, rows)).tolist()), dtype=pl.Float64),
            "count": pl.Series(gaps(random.integers(0, 40, rows).tolist()), dtype=pl.Int64),
            "region": pl.Series(
                gaps(random.choice(["north", "south", "", "east"], rows).tolist()), dtype=pl.String
            ),
            "kind": pl.Series(gaps(random.choice(["x", "y", "z"], rows).tolist()), dtype=pl.String),
            "city": pl.Series(gaps(random.choice(list("ABCD"), rows).tolist()), dtype=pl.String),
        }
    )


def frame_of(task):
    return Frame(
        task=task, target="y", classes=CLASSES[task], positive="yes" if task == "binary" else None, metric=""
    )


def target(rows, task):
    frame = table(rows)
    signal = (
        frame["small"].fill_null(1.0).clip(-3, 3).to_numpy()
        + (frame["region"] == "north").fill_null(value=False).to_numpy()
    )
    signal = (
        signal + np.sin(frame["count"].fill_null(0).to_numpy()) + frame["time"].fill_null(0).to_numpy() / 1e16
    )
    if task == "regression":
        return signal * 100
    return np.digitize(signal, np.quantile(signal, [0.6] if task == "binary" else [0.3, 0.7]))


def estimator_of(name, task):
    classified = task != "regression"
    kinds = {
        "histogram": (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor),
        "lightgbm": (lightgbm.LGBMClassifier, lightgbm.LGBMRegressor),
        "xgboost": (xgboost.XGBClassifier, xgboost.XGBRegressor),
        "forest": (ensemble.RandomForestClassifier, ensemble.RandomForestRegressor),
    }
    options = {
        "histogram": {"max_iter": 12, "random_state": 0, "early_stopping": False},
        "lightgbm": {"n_estimators": 40, "num_leaves": 50, "verbose": -1, "n_jobs": 1},
        "xgboost": {"n_estimators": 40, "max_depth": 6, "n_jobs": 1},
        "forest": {"n_estimators": 20, "max_leaf_nodes": 30, "random_state": 0},
    }
    return kinds[name][0 if classified else 1](**options[name])


def both_of(model, encoding, outputs):
    graph = Graph(model, width=encoding.width, outputs=outputs)
    return graph, TableScorer(encoding, graph, model)


def scores_of(scorer, rows):
    return np.concatenate(list(scorer.scores(rows)))


@pytest.mark.parametrize("name", ["histogram", "lightgbm", "xgboost", "forest"])
@pytest.mark.parametrize("task", list(CLASSES))
def test_masks_answer_as_the_graph_bit_for_bit(name, task):
    encoding = plan(float32=name != "lightgbm", fill=0.5 if name == "forest" else None)
    estimator = estimator_of(name, task).fit(encode_table(encoding, table(800)), target(800, task))
    model = score_model(estimator, frame_of(task))
    assert trees_of(model, encoding.width)[0], "the trees are small, so they have masks"
    graph, scorer = both_of(model, encoding, 3 if task == "multiclass" else 1)
    rows = table(5_000, seed=1)
    assert np.array_equal(scores_of(scorer, rows), graph.scores(encode_table(encoding, rows)))


def test_rows_on_the_splits_and_beside_them_answer_as_the_graph():
    encoding = plan()
    estimator = estimator_of("histogram", "binary").fit(
        encode_table(encoding, table(800)), target(800, "binary")
    )
    model = score_model(estimator, frame_of("binary"))
    graph, scorer = both_of(model, encoding, 1)
    nodes = trees_of(model, encoding.width)[0][0].nodes
    splits = np.unique(nodes.split[nodes.slot == 0])
    beside = np.concatenate([splits, np.nextafter(splits, np.inf), np.nextafter(splits, -np.inf)])
    beside = np.concatenate([beside, beside.astype(np.float32)])
    rows = table(len(beside), seed=2).with_columns(pl.Series("small", beside))
    assert np.array_equal(scores_of(scorer, rows), graph.scores(encode_table(encoding, rows)))


@pytest.mark.parametrize("second", ["linear", "deep"])
def test_an_ensemble_whose_other_part_stays_in_the_graph_answers_as_the_graph(second):
    encoding = plan(fill=0.5)
    X, y = encode_table(encoding, table(800)), target(800, "binary")
    small = estimator_of("xgboost", "binary").fit(X[:, ::2], y)
    other = linear_model.LogisticRegression() if second == "linear" else ensemble.RandomForestClassifier(5)
    X[:, 4] /= 1e15
    other.fit(X, y)
    slots = (np.arange(0, 11, 2), np.arange(11))
    both = Ensemble((small, other), slots, weights=(0.25, 0.75), classes=2)
    graph, scorer = both_of(score_model(both, frame_of("binary")), encoding, 1)
    rows = table(5_000, seed=1)
    assert np.array_equal(scores_of(scorer, rows), graph.scores(encode_table(encoding, rows)))


def test_large_trees_stay_in_the_graph():
    encoding = plan(fill=0.5)
    estimator = ensemble.RandomForestClassifier(5, random_state=0)
    random = np.random.default_rng(0)
    estimator.fit(random.normal(size=(2_000, 11)), random.integers(0, 2, 2_000))
    model = score_model(estimator, frame_of("binary"))
    assert trees_of(model, encoding.width) == ([], model, True)
    graph, scorer = both_of(model, encoding, 1)
    rows = table(40_000, seed=1)
    assert np.array_equal(scores_of(scorer, rows), graph.scores(encode_table(encoding, rows)))


def test_the_graph_that_is_left_reads_the_trees_alone():
    encoding = plan()
    estimator = estimator_of("lightgbm", "binary").fit(
        encode_table(encoding, table(800)), target(800, "binary")
    )
    taken, rest, reads_vector = trees_of(score_model(estimator, frame_of("binary")), encoding.width)
    graph = onnx.load_from_string(rest).graph
    assert not reads_vector
    assert [one.name for one in graph.input] == [one.output for one in taken]
    assert "TreeEnsemble" not in {node.op_type for node in graph.node}


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["x", "other", "y"])])
def test_categories_that_are_numbered_already_are_encoded_as_their_texts(kind):
    encoding = plan()
    rows = table(200, seed=3).with_columns(pl.col("kind").replace("z", "other"))
    numbered = rows.with_columns(pl.col("kind").cast(kind))
    assert np.array_equal(encode_table(encoding, numbered), encode_table(encoding, rows), equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "small": st.none() | st.floats(),
                "time": st.none() | st.floats(),
                "count": st.none() | st.integers(-(2**53), 2**53),
                "region": st.none() | st.sampled_from(["north", "", "Ω", "north "]),
                "kind": st.none() | st.text(max_size=2),
                "city": st.none() | st.sampled_from(["A", "a", "B"]),
            }
        ),
        min_size=1,
        max_size=8,
    ),
    float32=st.booleans(),
    fill=st.none() | st.just(0.5),
)
def test_whatever_the_rows_a_table_encodes_as_its_rows_do(rows, float32, fill):
    encoding = plan(float32=float32, fill=fill)
    columns = {
        name: pl.Series([row[name] for row in rows], dtype=kind) for name, kind in table(1).schema.items()
    }
    encoded = encode_table(encoding, pl.DataFrame(columns))
    encode = compile_row(encoding)
    alone = np.stack([encode(row) for row in rows])
    assert encoded.view(np.int64).tolist() == alone.view(np.int64).tolist()
