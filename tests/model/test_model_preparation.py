"""The preparation against sklearn and brute force: no leak, the same for a table and for a row."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from everloop.core.errors import DataFault, SpecFault
from everloop.model.columns import column_kinds
from everloop.model.compile.graph import graph_gaps_of
from everloop.model.features import Features
from everloop.model.folds import Fold, FoldPlan, make_folds, stretches_of, thinned
from everloop.model.preparation import PreparationSettings, fit_preparation
from everloop.model.quick_frame import quick_frame
from everloop.model.target_encoding import SMOOTHING, encode_by_mean
from everloop.runtime.plan import LookupEncoder, Plan, compile_row
from everloop.runtime.plan_table import encode_table
from everloop.spec.frame import Frame
from everloop.table.feature import FeatureDefinition
from everloop.table.schema import schema_of

START = datetime(2024, 1, 1, tzinfo=UTC)


def table_of(rows: int = 300, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    number = random.normal(size=rows)
    number[::7] = np.nan
    return pl.DataFrame(
        {
            "number": number,
            "whole": random.integers(0, 9, rows),
            "flag": random.random(rows) < 0.5,
            "colour": random.choice(["red", "blue", "green"], rows),
            "town": [f"town {i}" for i in random.integers(0, 60, rows)],
            "at": [START + timedelta(hours=int(h)) for h in random.integers(0, 24 * 30, rows)],
            "y": random.random(rows) < 0.4,
        }
    ).with_columns(
        pl.when(pl.int_range(rows) % 11 == 0).then(None).otherwise(pl.col("colour")).alias("colour")
    )


def fitted(table: pl.DataFrame, definitions: dict | None = None, **settings):
    frame = quick_frame(table, "y")
    kinds = column_kinds(table, [*frame.inputs, *(definitions or {})])
    features = Features(kinds.kept, schema_of(table).types, definitions or {})
    actual = table["y"].to_numpy().astype(float)
    plan, X = fit_preparation(table, frame, features, PreparationSettings(**settings), actual)
    return plan, X, actual


@pytest.mark.parametrize("settings", [{}, {"wants_scaling": True}, {"takes_missing": True, "float32": True}])
def test_a_table_and_its_rows_are_encoded_alike(settings) -> None:
    table = table_of()
    plan, X, _ = fitted(table, **settings)
    encoded = encode_table(plan, table)
    row = compile_row(Plan.from_json(plan.to_json()))
    rows = np.array([row(values) for values in table.iter_rows(named=True)])
    assert np.array_equal(encoded, rows, equal_nan=True)
    cross_fitted = [encoder.offset for encoder in plan.encoders if encoder.column == "town"]
    others = np.setdiff1d(np.arange(plan.width), cross_fitted)
    assert np.array_equal(X[:, others], encoded[:, others], equal_nan=True)
    assert np.isnan(X).any() == bool(settings.get("takes_missing"))
    if settings.get("float32"):
        assert np.array_equal(X, X.astype(np.float32), equal_nan=True)


def test_weighed_rows_are_filled_and_scaled_as_repeated_ones() -> None:
    table = table_of().drop("y", "at", "flag")
    counts = 1 + np.arange(table.height) % 4
    repeated = table[np.repeat(np.arange(table.height), counts)]
    frame = Frame(task="clustering", target="", inputs=tuple(table.columns))
    kinds = column_kinds(table, frame.inputs)
    features = Features(kinds.kept, schema_of(table).types, {})
    assert set(kinds.kept.values()) == {"number", "category", "many_categories"}
    plans = [
        fit_preparation(
            rows, frame, features, PreparationSettings(wants_scaling=True), np.zeros(rows.height), weights
        )[0]
        for rows, weights in ((table, counts.astype(float)), (repeated, None))
    ]
    np.testing.assert_allclose(*(encode_table(plan, table) for plan in plans), atol=1e-12)


def test_numbers_are_scaled_as_sklearn_does() -> None:
    table = table_of()
    plan, X, _ = fitted(table, wants_scaling=True)
    slot = next(encoder for encoder in plan.encoders if encoder.column == "number")
    filled = table["number"].fill_nan(table["number"].drop_nans().median()).to_numpy()[:, None]
    np.testing.assert_allclose(X[:, slot.offset], StandardScaler().fit_transform(filled)[:, 0], atol=1e-12)
    assert slot.indicator
    assert np.array_equal(X[:, slot.offset + 1], table["number"].is_nan().to_numpy().astype(float))


def test_infinities_and_outliers_stay_finite() -> None:
    table = table_of().with_columns(pl.Series("whole", [np.inf, -np.inf, 1e300, *np.arange(297.0)]))
    for settings in ({}, {"wants_scaling": True}, {"float32": True}):
        _, X, _ = fitted(table, **settings)
        assert np.isfinite(X).all()


def test_rare_categories_share_a_slot() -> None:
    table = table_of().with_columns(
        pl.Series("colour", ["once", "twice", "twice", *["red", "blue", "green"] * 99])
    )
    plan, X, _ = fitted(table)
    colour = next(encoder for encoder in plan.encoders if encoder.column == "colour")
    assert colour.categories == ("blue", "green", "red")
    assert X[:3, colour.offset + 3].tolist() == [1, 1, 1]
    unseen = encode_table(plan, table[:1].with_columns(colour=pl.lit("violet")))
    assert unseen[0, colour.offset : colour.offset + 4].tolist() == [0, 0, 0, 1]


def test_times_become_parts_whose_cycle_was_seen() -> None:
    table = table_of()
    plan, X, _ = fitted(table)
    names = [item.name for item in plan.derived]
    assert names == ["at (hour)", "at (weekday)"]
    hour = next(encoder for encoder in plan.encoders if encoder.column == "at (hour)")
    assert np.array_equal(X[:, hour.offset], table["at"].dt.hour().to_numpy())


def test_defined_features_are_computed_by_the_plan() -> None:
    table = table_of()
    definition = FeatureDefinition.of("twice", "whole * 2 + 1", schema_of(table).types)
    wider = table.with_columns((pl.col("whole") * 2.0 + 1).alias("twice"))
    plan, _, _ = fitted(wider.select("twice", "whole", "y"), {"twice": definition.expression})
    assert [item.name for item in plan.inputs] == ["whole"]
    slot = next(encoder for encoder in plan.encoders if encoder.column == "twice")
    assert np.array_equal(encode_table(plan, table)[:, slot.offset], table["whole"].to_numpy() * 2.0 + 1)
    with pytest.raises(SpecFault, match="same name"):
        Features({"whole": "number"}, {}, {"whole": definition.expression})


def test_mean_encoding_is_the_smoothed_mean() -> None:
    codes = pl.Series("c", ["a"] * 30 + ["b"] * 10 + [None] * 5)
    target = np.r_[np.ones(20), np.zeros(25)]
    encoding = encode_by_mean(codes, target, seed=0)
    prior = 20 / 45
    assert encoding.values["a"] == pytest.approx((20 + SMOOTHING * prior) / (30 + SMOOTHING))
    assert encoding.values["b"] == pytest.approx((0 + SMOOTHING * prior) / (10 + SMOOTHING))
    assert encoding.missing == pytest.approx((0 + SMOOTHING * prior) / (5 + SMOOTHING))
    assert encoding.unknown == pytest.approx(prior)


def test_a_random_column_of_many_categories_tells_nothing() -> None:
    """Encoded naively its mean would read the answer back: an AUC of about 0.8 on these rows."""
    random = np.random.default_rng(0)
    rows = 4000
    table = pl.DataFrame(
        {"code": [f"c{i}" for i in random.integers(0, 1500, rows)], "y": random.random(rows) < 0.4}
    )
    plan, X, actual = fitted(table)
    naive = roc_auc_score(actual, encode_table(plan, table)[:, 0])
    assert naive > 0.75
    assert roc_auc_score(actual, X[:, 0]) == pytest.approx(0.5, abs=0.03)


def test_multiclass_has_a_mean_for_each_class() -> None:
    random = np.random.default_rng(0)
    table = pl.DataFrame(
        {"town": [f"t{i}" for i in random.integers(0, 40, 400)], "y": random.choice(["a", "b", "c"], 400)}
    )
    frame = quick_frame(table, "y")
    features = Features(column_kinds(table, ["town"]).kept, {"town": "text"})
    codes = (
        table["y"].to_physical()
        if table["y"].dtype == pl.Categorical
        else np.searchsorted(["a", "b", "c"], table["y"])
    )
    plan, _ = fit_preparation(table, frame, features, PreparationSettings(), codes)
    assert plan.width == 3
    np.testing.assert_allclose(encode_table(plan, table).sum(axis=1), 1.0, atol=1e-9)


def test_columns_that_are_no_feature_say_why() -> None:
    table = table_of().with_columns(
        pl.lit(1).alias("constant"),
        pl.lit(None, dtype=pl.Float64).alias("empty"),
        pl.Series("name", [f"person {i}" for i in range(300)]),
    )
    kinds = column_kinds(table, [name for name in table.columns if name != "y"])
    assert set(kinds.dropped) == {"constant", "empty", "name"}
    assert "has no words" in kinds.dropped["name"]
    with pytest.raises(DataFault, match="No column can be a feature"):
        column_kinds(table, ["constant", "empty"])
    with pytest.raises(DataFault, match="no column 'gone'"):
        column_kinds(table, ["gone"])


def frame_with(**options) -> Frame:
    return Frame(**{"task": "binary", "target": "y", "classes": ("0", "1"), "metric": "roc_auc", **options})


def check(folds: tuple[Fold, ...], rows: int) -> None:
    for fold in folds:
        assert not set(fold.train) & set(fold.validation)
        assert len(fold.train)
        assert len(fold.validation)
        assert max(fold.train.max(), fold.validation.max()) < rows


def test_folds_by_time_learn_from_what_was_known() -> None:
    random = np.random.default_rng(0)
    at = [START + timedelta(hours=int(h)) for h in random.permutation(400)]
    table = pl.DataFrame({"at": at})
    frame = frame_with(time="at", label_delay_seconds=24 * 3600.0)
    folds = make_folds(table, frame, np.zeros(400), FoldPlan(by="time", count=3))
    check(folds, 400)
    times = table["at"].to_numpy()
    assert len(folds) == 3
    for fold in folds:
        assert times[fold.validation].min() - times[fold.train].max() > np.timedelta64(24, "h")
    assert len(folds[0].train) < len(folds[1].train) < len(folds[2].train)


def test_folds_by_time_are_never_drawn_for_want_of_a_time() -> None:
    with pytest.raises(DataFault, match="names no time column"):
        make_folds(pl.DataFrame({"x": range(50)}), frame_with(), np.zeros(50), FoldPlan(by="time"))


def test_stretches_of_time_are_as_large_as_each_other_and_divide_no_moment() -> None:
    random = np.random.default_rng(0)
    days = random.permutation(np.repeat(np.arange(40), 10))
    table = pl.DataFrame({"at": [START + timedelta(days=int(day)) for day in days]})
    found = stretches_of(table, frame_with(time="at"))
    assert np.bincount(found).tolist() == [50] * 8
    for earlier in range(7):
        assert days[found == earlier].max() < days[found == earlier + 1].min()
    few = pl.DataFrame({"at": [START, START + timedelta(days=1)] * 50})
    assert stretches_of(few, frame_with(time="at")) is None


def test_groups_are_never_divided() -> None:
    groups = np.random.default_rng(0).integers(0, 20, 200)
    folds = make_folds(
        pl.DataFrame({"g": groups}), frame_with(), np.zeros(200), FoldPlan(by="group", group="g")
    )
    check(folds, 200)
    for fold in folds:
        assert not set(groups[fold.train]) & set(groups[fold.validation])
    assert sorted(np.concatenate([fold.validation for fold in folds])) == list(range(200))


def test_stratified_folds_share_every_class() -> None:
    actual = np.r_[np.ones(20), np.zeros(180)].astype(int)
    folds = make_folds(pl.DataFrame({"x": range(200)}), frame_with(), actual, FoldPlan(count=4))
    check(folds, 200)
    assert [int(actual[fold.validation].sum()) for fold in folds] == [5, 5, 5, 5]


def test_many_rows_have_one_holdout() -> None:
    rows = 100_001
    table = pl.DataFrame({"x": np.arange(rows)})
    held_out = np.arange(90_000, rows)
    (fold,) = make_folds(table, frame_with(), np.zeros(rows, dtype=int), FoldPlan(), held_out)
    assert np.array_equal(fold.validation, held_out)
    (fold,) = make_folds(table, frame_with(time="x"), np.zeros(rows), FoldPlan(by="time"))
    assert fold.train.max() < fold.validation.min()
    assert len(thinned(fold.train, 1000)) == 1000


def test_rows_that_cannot_be_divided() -> None:
    with pytest.raises(DataFault, match="too few"):
        make_folds(pl.DataFrame({"x": [1, 2]}), frame_with(), np.zeros(2), FoldPlan())
    with pytest.raises(DataFault, match="one group"):
        make_folds(pl.DataFrame({"g": [1] * 9}), frame_with(), np.zeros(9), FoldPlan(by="group", group="g"))
    with pytest.raises(DataFault, match="no column"):
        make_folds(pl.DataFrame({"g": [1] * 9}), frame_with(), np.zeros(9), FoldPlan(by="group"))


NOTES = (
    "paid late twice this year",
    "always paid early and in full",
    "asked for more time to pay",
    "moved house, new job",
)


def with_notes(rows: int = 300) -> pl.DataFrame:
    random = np.random.default_rng(3)
    notes = [f"{NOTES[random.integers(4)]}; case {number} noted" for number in range(rows)]
    notes[5] = None
    return table_of(rows).with_columns(pl.Series("note", notes))


@pytest.mark.parametrize("settings", [{"wants_scaling": True}, {"takes_missing": True, "float32": True}])
def test_a_text_is_scored_alike_for_a_table_and_a_row(settings) -> None:
    table = with_notes()
    assert column_kinds(table, ["note"]).kept == {"note": "text"}
    plan, X, _ = fitted(table, **settings)
    (encoder,) = (one for one in plan.encoders if one.column == "note")
    assert {"late", "paid late", "#ate "} <= set(encoder.terms)
    assert "note" in graph_gaps_of(plan)[0]
    encode = compile_row(Plan.from_json(plan.to_json()))
    rows = [*table.to_dicts(), {"note": None}, {"note": "\u0130 zzz qqq"}, {"note": ""}]
    own = encode_table(plan, table)
    np.testing.assert_array_equal(np.stack([encode(row) for row in rows[: table.height]]), own)
    slots = slice(encoder.offset, encoder.offset + encoder.width)
    assert [encode(row)[slots].tolist() for row in rows[-3:]] == [own[5, slots].tolist()] * 3
    # Training rows are scored by fits that did not see them.
    assert (X[:, slots] != own[:, slots]).any(axis=1).mean() > 0.9


def test_a_cycle_is_bent_for_learners_that_draw_lines() -> None:
    table = table_of()
    plan, X, _ = fitted(table, wants_scaling=True)
    sine, cosine = (
        X[:, e.offset] for e in plan.encoders if isinstance(e, LookupEncoder) and e.column == "at (hour)"
    )
    angle = 2 * np.pi * table["at"].dt.hour().to_numpy() / 24
    np.testing.assert_allclose(sine, np.sin(angle), atol=1e-12)
    np.testing.assert_allclose(cosine, np.cos(angle), atol=1e-12)
    trees, _, _ = fitted(table, takes_missing=True)
    assert not any(isinstance(e, LookupEncoder) and e.column.startswith("at") for e in trees.encoders)
