"""Splits: what each kind promises, on tables that chance makes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from everloop.core.errors import DataFault, SpecFault
from everloop.data.dealing import deal
from everloop.data.split import SplitPlan, default_plan, split_rows
from everloop.model.folds import FoldPlan, make_folds
from everloop.spec.frame import Frame
from everloop.table.twins import mixed

START = datetime(2013, 1, 1, tzinfo=UTC)


def frame_of(**changes):
    given_ = {
        "task": "binary", "target": "y", "classes": ("no", "yes"), "positive": "yes", "metric": "roc_auc",
        "entity": None, "time": None, "label_time": None, "label_delay_seconds": None, "sensitive": (),
        "excluded": {}, "inputs": ("a", "b"), "reasons": {},
    }  # fmt: skip
    return Frame(**{**given_, **changes})


def table_of(rows, seed=0, distinct=None):
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "a": generator.integers(0, distinct or 10**9, rows),
            "b": generator.choice(["x", "y", None], rows).tolist(),
            "at": [START + timedelta(hours=int(h)) for h in generator.integers(0, rows, rows)],
            "who": generator.integers(0, max(2, rows // 5), rows),
            "y": generator.choice(["no", "yes"], rows, p=[0.7, 0.3]),
        },
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )


def part_of(table, split, part):
    return table.filter(pl.Series(split.assignment == ("train", "validation", "test").index(part)))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    by=st.sampled_from(["time", "random", "stratified", "group"]),
    distinct=st.sampled_from([150, 10**9]),
)
def test_no_row_straddles(seed, by, distinct):
    table = table_of(400, seed, distinct)
    split = split_rows(
        table, frame_of(time="at"), SplitPlan(by, 0.2, 0.2, "who" if by == "group" else None, seed)
    )
    parts = [
        part_of(table, split, name).select("a", "b").unique() for name in ("train", "validation", "test")
    ]
    assert pl.concat(parts).is_duplicated().sum() == 0
    assert sum(split.counts().values()) + split.purged + split.twins + split.regrouped == table.height
    if by in ("random", "stratified"):
        assert sum(split.counts().values()) == table.height
        assert split.counts()["test"] == pytest.approx(80, abs=20)
        assert split.counts()["validation"] == pytest.approx(80, abs=20)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), delay=st.integers(0, 60))
def test_by_time_is_in_order_and_known_in_time(seed, delay):
    table = table_of(400, seed)
    frame = frame_of(time="at", label_delay_seconds=delay * 3600.0)
    split = split_rows(table, frame, SplitPlan("time", 0.2, 0.2))
    train, validation, test = (part_of(table, split, name)["at"] for name in ("train", "validation", "test"))
    wait = timedelta(hours=delay)
    assert train.max() < validation.min() < validation.max() < test.min()
    starts = [datetime.fromisoformat(split.starts[name]) for name in ("validation", "test")]
    assert train.max() + wait <= starts[0]
    assert validation.max() + wait <= starts[1]
    # Brute force: exactly these rows were purged.
    at = table["at"]
    late = ((at < starts[0]) & (at + wait > starts[0])) | (
        (at >= starts[0]) & (at < starts[1]) & (at + wait > starts[1])
    )
    assert split.purged == late.sum()


def test_by_time_purges_by_the_stated_label_time():
    table = table_of(300).with_columns(known=pl.col("at") + pl.duration(days=2))
    split = split_rows(table, frame_of(time="at", label_time="known"), SplitPlan("time", 0.2, 0.2))
    train = part_of(table, split, "train")
    assert split.purged > 0
    assert train["known"].max() <= datetime.fromisoformat(split.starts["validation"])


def test_equal_times_stay_together():
    table = table_of(300).with_columns(at=pl.col("at").dt.truncate("1d"))
    split = split_rows(table, frame_of(time="at"), SplitPlan("time", 0.2, 0.2))
    days = [set(part_of(table, split, name)["at"]) for name in ("train", "validation", "test")]
    assert days[0].isdisjoint(days[1])
    assert days[2].isdisjoint(days[0] | days[1])


def test_groups_stay_together():
    table = table_of(500)
    split = split_rows(table, frame_of(entity="who"), SplitPlan("group", 0.2, 0.2, seed=3))
    groups = [set(part_of(table, split, name)["who"]) for name in ("train", "validation", "test")]
    assert groups[0].isdisjoint(groups[1])
    assert groups[2].isdisjoint(groups[0] | groups[1])
    assert split.plan.group == "who"


def test_stratified_keeps_shares():
    table = table_of(2000).with_columns(y=pl.Series(["yes"] * 100 + ["no"] * 1900))
    split = split_rows(table, frame_of(), SplitPlan("stratified", 0.2, 0.2))
    for name, wanted in (("train", 60), ("validation", 20), ("test", 20)):
        assert (part_of(table, split, name)["y"] == "yes").sum() == pytest.approx(wanted, abs=1)


def test_stratified_numbers_keep_tenths():
    generator = np.random.default_rng(0)
    table = pl.DataFrame(
        {"a": generator.normal(size=1000), "b": ["x"] * 1000, "y": generator.exponential(size=1000)}
    )
    frame = frame_of(task="regression", classes=(), positive=None)
    split = split_rows(table, frame, SplitPlan("stratified", 0.2, 0.2))
    top = table["y"].quantile(0.9)
    assert (part_of(table, split, "test")["y"] > top).sum() == pytest.approx(20, abs=2)


def test_the_same_seed_gives_the_same_split_and_another_another():
    table = table_of(300)
    one, same, other = (
        split_rows(table, frame_of(), SplitPlan("random", 0.2, 0.2, seed=seed)).assignment
        for seed in (1, 1, 2)
    )
    assert (one == same).all()
    assert (one != other).any()


def test_parts_that_cannot_be_are_refused():
    one_class = table_of(100).with_columns(y=pl.when(pl.col("at") > START + timedelta(hours=60)).then(pl.lit("no"))
                                           .otherwise(pl.col("y")))  # fmt: skip
    with pytest.raises(DataFault, match="part would hold one class alone: no"):
        split_rows(one_class, frame_of(time="at"), SplitPlan("time", 0.2, 0.2))
    with pytest.raises(DataFault, match=r"train part would be empty.*actual is known 90d after the decision"):
        split_rows(
            table_of(100), frame_of(time="at", label_delay_seconds=90 * 86400.0), SplitPlan("time", 0.2, 0.2)
        )
    with pytest.raises(DataFault, match="part would be empty"):
        split_rows(table_of(1), frame_of(task="regression"), SplitPlan("random", 0.2, 0.2))
    with pytest.raises(SpecFault, match="no time column"):
        split_rows(table_of(100), frame_of(), SplitPlan("time", 0.2, 0.2))
    with pytest.raises(SpecFault, match="no column nobody"):
        split_rows(table_of(100), frame_of(), SplitPlan("group", 0.2, 0.2, "nobody"))
    with pytest.raises(SpecFault, match="expected time, random"):
        split_rows(table_of(100), frame_of(), SplitPlan("moon", 0.2, 0.2))
    with pytest.raises(SpecFault, match="nothing to train on"):
        split_rows(table_of(100), frame_of(), SplitPlan("random", 0.5, 0.5))
    without_time = table_of(100).with_columns(at=pl.when(pl.col("who") > 3).then(pl.col("at")))
    with pytest.raises(DataFault, match="rows have no at"):
        split_rows(without_time, frame_of(time="at"), SplitPlan("time", 0.2, 0.2))


def test_a_part_of_no_share_is_empty():
    split = split_rows(table_of(100), frame_of(time="at"), SplitPlan("time", 0.0, 0.2))
    assert split.counts()["validation"] == 0
    assert split.counts()["test"] > 0


def test_default_plans():
    assert default_plan(frame_of(time="at"), validation=0.2, test=0.2).by == "time"
    assert default_plan(frame_of(), validation=0.2, test=0.2).by == "stratified"
    assert default_plan(frame_of(task="regression"), validation=0.2, test=0.2).by == "random"


ROUTES = [
    SplitPlan("time", 0.2, 0.2),
    SplitPlan("time", 0.2, 0.2, "who"),
    SplitPlan("random", 0.2, 0.2),
    SplitPlan("random", 0.2, 0.2, "who"),
    SplitPlan("stratified", 0.2, 0.2),
    SplitPlan("stratified", 0.2, 0.2, "who"),
    SplitPlan("group", 0.2, 0.2, "who"),
]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    plan=st.sampled_from(ROUTES),
    rows=st.sampled_from([60, 400]),
    distinct=st.sampled_from([40, 10**9]),
)
def test_a_split_follows_from_the_rows_and_the_seed_whatever_their_order(seed, plan, rows, distinct):
    table = table_of(rows, seed, distinct).with_columns(
        who=pl.when(pl.col("who") % 7 > 0).then("who"),
        y=pl.Series(["no", "yes", "yes"] * (rows // 3 + 1))[:rows],
    )
    plan = replace(plan, seed=seed)
    try:
        split = split_rows(table, frame_of(time="at"), plan)
    except DataFault as fault:  # small tables may be too small for the promises; that is said
        assert "part would" in str(fault)  # noqa: PT017
        return
    order = np.random.default_rng(seed).permutation(rows)
    again = split_rows(table[order], frame_of(time="at"), plan)
    assert (again.assignment == split.assignment[order]).all()
    assert split.to_dict() == again.to_dict()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), plan=st.sampled_from([plan for plan in ROUTES if plan.group]))
def test_groups_are_whole_however_rows_are_divided(seed, plan):
    table = table_of(600, seed).with_columns(who=pl.when(pl.col("who") % 5 > 0).then("who"))
    split = split_rows(table, frame_of(time="at"), replace(plan, seed=seed))
    groups = [
        set(part_of(table, split, name)["who"].drop_nulls()) for name in ("train", "validation", "test")
    ]
    assert groups[0].isdisjoint(groups[1] | groups[2])
    assert groups[1].isdisjoint(groups[2])
    # Rows without a group are not held together.
    assert all(part_of(table, split, name)["who"].null_count() for name in ("train", "validation", "test"))
    assert sum(split.counts().values()) + split.regrouped + split.twins == table.height
    if plan.by == "time":
        train, test = part_of(table, split, "train")["at"], part_of(table, split, "test")["at"]
        assert train.max() < test.min()
        assert split.regrouped > 0


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    sizes=st.lists(st.integers(1, 40), min_size=3, max_size=60),
    validation=st.floats(0.05, 0.4),
    test=st.floats(0.05, 0.4),
)
@example(seed=0, sizes=[1, 5, 3, 3, 5, 1], validation=0.25, test=0.375)
def test_shares_are_off_by_half_the_largest_key_at_either_end(seed, sizes, validation, test):
    keys = np.repeat(np.random.default_rng(seed).integers(0, 2**63, len(sizes)).astype(np.uint64), sizes)
    part = deal(keys, validation, test, seed)
    assert all(len(set(part[keys == key])) == 1 for key in keys)
    assert set(part) == {0, 1, 2}
    for code, share in ((1, validation), (2, test)):
        assert abs((part == code).sum() - share * len(keys)) <= max(sizes)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=3, max_size=9),
    validation=st.floats(0.05, 0.4),
    test=st.floats(0.05, 0.4),
)
@example(sizes=[1, 5, 3, 3, 5, 1], validation=0.25, test=0.375)
def test_where_a_part_would_be_empty_the_cuts_are_the_best_of_all(sizes, validation, test):
    keys = np.repeat(np.arange(len(sizes), dtype=np.uint64), sizes)
    part, rows = deal(keys, validation, test, 1), len(keys)
    order = np.argsort(mixed(np.arange(len(sizes), dtype=np.uint64), 1))
    ends = np.cumsum(np.array(sizes)[order])

    def off(first, second):
        return max(abs(ends[first] - test * rows), abs(ends[second] - ends[first] - validation * rows))

    best = min(off(a, b) for a in range(len(sizes) - 2) for b in range(a + 1, len(sizes) - 1))
    found = [abs((part == code).sum() - share * rows) for code, share in ((1, validation), (2, test))]
    middle = ends - np.array(sizes)[order] / 2
    of_key = np.searchsorted([test * rows, (test + validation) * rows], middle, side="right")
    if len(set(of_key)) < 3:
        assert max(found) == pytest.approx(best)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), days=st.integers(3, 40), share=st.floats(0.1, 0.4))
def test_a_split_by_time_is_off_by_half_the_rows_of_a_time(seed, days, share):
    generator = np.random.default_rng(seed)
    day = np.sort(np.concatenate([np.arange(days), generator.integers(0, days, 300)]))
    table = table_of(len(day), seed).with_columns(
        at=pl.Series([START + timedelta(days=int(one)) for one in day]),
        y=pl.Series(["no", "yes"] * len(day))[: len(day)],
    )
    try:
        split = split_rows(table, frame_of(time="at"), SplitPlan("time", share, share))
    except DataFault as fault:
        assert "one class alone" in str(fault)  # noqa: PT017
        return
    parts = [part_of(table, split, name)["at"] for name in ("train", "validation", "test")]
    assert parts[0].max() < parts[1].min() <= parts[1].max() < parts[2].min()
    busiest = table["at"].value_counts()["count"].max()
    assert (
        abs(len(parts[2]) - share * len(day)) <= busiest / 2 + 1
        or len(parts[2]) == table["at"].value_counts().sort("at")["count"][-1]
    )


def test_every_class_is_in_every_part_where_it_can_be():
    labels = ["a"] * 60 + ["b"] * 30 + ["c"] * 3
    for seed in range(20):
        table = table_of(93, seed).with_columns(y=pl.Series(labels))
        frame = frame_of(task="multiclass", classes=("a", "b", "c"), positive=None)
        split = split_rows(table, frame, SplitPlan("stratified", 0.2, 0.2, seed=seed))
        for name in ("train", "validation", "test"):
            assert set(part_of(table, split, name)["y"]) == {"a", "b", "c"}


def test_a_class_that_training_would_lack_is_told():
    table = table_of(100).sort("at").with_columns(y=pl.Series(["a", "b"] * 49 + ["c", "c"]))
    frame = frame_of(time="at", task="multiclass", classes=("a", "b", "c"), positive=None)
    with pytest.raises(DataFault, match="no row of the class c, which has 2 of 100 rows"):
        split_rows(table, frame, SplitPlan("time", 0.2, 0.2))


def test_all_rows_of_one_time_cannot_be_split_by_it():
    table = table_of(100).with_columns(at=pl.lit(START))
    with pytest.raises(DataFault, match="part would be empty"):
        split_rows(table, frame_of(time="at"), SplitPlan("time", 0.2, 0.2))


def test_an_entity_that_comes_again_is_kept_whole_by_default():
    frame = frame_of(entity="who")
    plan = default_plan(frame, validation=0.2, test=0.2, table=table_of(100))
    assert (plan.by, plan.group) == ("stratified", "who")
    once = table_of(100).with_columns(who=pl.Series(range(100)))
    assert default_plan(frame, validation=0.2, test=0.2, table=once).group is None


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), plan=st.sampled_from(ROUTES), distinct=st.sampled_from([200, 10**9]))
def test_folds_keep_what_the_split_keeps(seed, plan, distinct):
    delay = 20
    table = table_of(600, seed, distinct)
    frame = frame_of(time="at", label_delay_seconds=delay * 3600.0)
    actual = (table["y"] == "yes").cast(pl.Int64).to_numpy()
    folds = make_folds(table, frame, actual, FoldPlan(plan.by, plan.group, 3, seed))
    assert len(folds) >= 2
    for fold in folds:
        learned, judged = table[fold.train], table[fold.validation]
        assert set(fold.train).isdisjoint(fold.validation)
        if plan.group:
            assert set(learned["who"]).isdisjoint(judged["who"])
        if plan.by == "time":
            assert learned["at"].max() + timedelta(hours=delay) <= judged["at"].min()
        elif not plan.group:
            assert (
                learned.select("a", "b")
                .join(judged.select("a", "b"), on=["a", "b"], nulls_equal=True)
                .is_empty()
            )


def test_ten_thousand_and_ten_rows_alike():
    for rows in (10, 10_000):
        table = table_of(rows).with_columns(y=pl.Series(["no", "yes"] * (rows // 2)))
        counts = split_rows(table, frame_of(), SplitPlan("stratified", 0.2, 0.2)).counts()
        assert counts == {"train": rows * 6 // 10, "validation": rows // 5, "test": rows // 5}


@pytest.mark.parametrize("plan", [plan for plan in ROUTES if plan.by != "group"])
def test_rows_that_are_equal_by_chance_are_divided_like_any(plan):
    table = table_of(1200, distinct=5)
    split = split_rows(table, frame_of(time="at"), plan)
    assert split.twins == 0
    counts = split.counts()
    if not plan.group:
        assert (counts["validation"], counts["test"]) == pytest.approx((240, 240), abs=8)
    known = part_of(table, split, "train").select("a", "b")
    judged = part_of(table, split, "test").select("a", "b")
    assert judged.join(known, on=["a", "b"], how="semi", nulls_equal=True).height >= 0.99 * judged.height
    folds = make_folds(table, frame_of(), (table["y"] == "yes").to_numpy(), FoldPlan("stratified", count=3))
    assert all(len(fold.validation) == pytest.approx(400, abs=3) for fold in folds)
