"""Leaks: each kind is put into a table and found; clean real tables have none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from everloop.data.leaks import LeakFound, Parts, block_leaks, leaks_of, time_order
from everloop.data.leaks.skill import Skill, lucky_columns
from everloop.data.split import SplitPlan, split_rows
from everloop.spec.frame import Frame

START = datetime(2013, 1, 1, tzinfo=UTC)


def frame_of(inputs, **changes):
    given = {
        "task": "binary", "target": "y", "classes": ("no", "yes"), "positive": "yes", "metric": "roc_auc",
        "entity": None, "time": None, "label_time": None, "label_delay_seconds": None, "sensitive": (),
        "excluded": {}, "inputs": tuple(inputs), "reasons": {},
    }  # fmt: skip
    return Frame(**{**given, **changes})


def table_of(rows=600, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=rows)
    return pl.DataFrame(
        {
            "x": x,
            "town": generator.choice(list("abcdef"), rows),
            "at": [START + timedelta(hours=i) for i in range(rows)],
            "y": np.where(x + generator.normal(size=rows) > 0.5, "yes", "no"),
        }
    )


def found_in(table, frame, by="stratified"):
    split = split_rows(table, frame, SplitPlan(by, 0.2, 0.2))
    parts = {
        name: table.filter(pl.Series(split.assignment == code))
        for code, name in enumerate(("train", "validation", "test"))
    }
    return leaks_of(Parts(parts, frame.inputs, frame, by))


COPIES = {
    "as it is": pl.col("y"),
    "other words": pl.when(pl.col("y") == "yes").then(pl.lit("lost")).otherwise(pl.lit("paid")),
    "boolean": pl.col("y") == "yes",
    "code": pl.when(pl.col("y") == "yes").then(7).otherwise(3),
    "ranges": pl.col("x").abs() * pl.when(pl.col("y") == "yes").then(1).otherwise(-1),
    "only after": pl.when(pl.col("y") == "yes").then(pl.col("x")),
    "missing": pl.when(pl.col("y") == "yes").then(pl.lit("a reason")),
    "detail": pl.when(pl.col("y") == "yes").then(pl.col("town").str.to_uppercase()).otherwise(pl.col("town")),
    "time": pl.when(pl.col("y") == "yes").then(pl.col("at")),
}


@pytest.mark.parametrize("kind", COPIES)
def test_copies_of_the_target_are_found(kind):
    table = table_of().with_columns(leak=COPIES[kind])
    findings = found_in(table, frame_of(["x", "town", "leak"]))
    assert [(finding.kind, finding.column) for finding in findings if finding.severity == "error"] == [
        ("target copy", "leak")
    ]
    with pytest.raises(LeakFound, match="target copy: leak") as caught:
        block_leaks(findings)
    assert 'exclude ("leak")' in caught.value.hint
    assert caught.value.exit_status == 1


def test_a_clean_table_has_no_finding():
    assert found_in(table_of(), frame_of(["x", "town"])) == ()
    block_leaks(())


def test_identifiers_are_no_copies():
    table = table_of().with_columns(id=pl.Series(np.random.default_rng(1).permutation(600)))
    table = table.with_columns(name="n" + pl.col("id").cast(pl.String))
    found = found_in(table, frame_of(["x", "id", "name"]))
    assert [(f.kind, f.column) for f in found] == [("identifier", "id"), ("identifier", "name")]


def test_copies_of_numbers_are_found():
    generator = np.random.default_rng(0)
    table = pl.DataFrame({"x": generator.normal(size=500), "y": generator.normal(size=500)})
    table = table.with_columns(
        scaled=pl.col("y") * -3 + 2, near=pl.col("y") + pl.Series(generator.normal(size=500))
    )
    frame = frame_of(["x", "scaled", "near"], task="regression", classes=(), positive=None)
    assert [finding.column for finding in found_in(table, frame, by="random")] == ["scaled"]


@pytest.mark.parametrize("seed", range(4))
def test_the_luckiest_of_many_columns_is_no_copy(seed):
    """Of 200 honest columns that each tell much one tells nearly all of 60 rows: told, and not in the way."""
    generator = np.random.default_rng(seed)
    told = generator.integers(0, 2, 60)
    table = pl.DataFrame({f"c{i}": generator.normal(size=60) + 2.8 * told for i in range(200)})
    table = table.with_columns(y=np.where(told == 1, "yes", "no"))
    findings = [one for one in found_in(table, frame_of(table.columns[:-1])) if one.kind == "target copy"]
    assert {one.severity for one in findings} <= {"warn"}
    copied = table.with_columns(pl.col("y").replace_strict({"yes": 1.5, "no": 0.5}).alias("c7"))
    few = [f"c{i}" for i in range(1, 12)]
    assert "target copy: c7" in {one.name for one in found_in(copied, frame_of(few))}


def test_what_luck_would_do_is_the_binomial_and_fishers():
    """Draws the columns again and counts how many do as well."""
    draw = np.random.default_rng(0)
    shares = np.array([0.9, 0.8, 0.6])
    again = draw.binomial(40, shares, (20_000, 3)) >= 37
    told = lucky_columns(
        Skill(0.85, 37 / 40, 40), [Skill(0.0, float(one), 40) for one in shares], numbers=False
    )
    assert told == pytest.approx(again.sum(axis=1).mean(), abs=0.02)
    x = draw.normal(size=(20_000, 40))
    y = 0.9 * x + np.sqrt(1 - 0.81) * draw.normal(size=x.shape)
    r = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(x[:4_000], y[:4_000], strict=True)])
    told = lucky_columns(Skill(0.94**2, 0.94**2, 40), [Skill(0.81, 0.81, 40)], numbers=True)
    assert told == pytest.approx((r >= 0.94).mean(), abs=0.03)


def test_classes_of_several_kinds():
    table = table_of().with_columns(y=pl.when(pl.col("x") > 1).then(pl.lit("c")).otherwise(pl.col("y")))
    frame = frame_of(["town", "leak"], task="multiclass", classes=("c", "no", "yes"), positive=None)
    order = {"no": 0, "c": 5, "yes": 9}
    leaky = table.with_columns(leak=pl.col("y").replace_strict(order) + pl.col("x").abs() / 10)
    assert [finding.column for finding in found_in(leaky, frame)] == ["leak"]


def test_rows_shared_by_parts_are_found():
    table, frame = table_of(), frame_of(["x", "town"])
    parts = {"train": table[:400], "validation": table[400:500], "test": pl.concat([table[500:], table[:3]])}
    findings = leaks_of(Parts(parts, frame.inputs, frame, "random"))
    assert [(f.kind, f.evidence["rows"]) for f in findings] == [("duplicates", 3)]


def test_time_travel_is_found():
    table, frame = table_of(), frame_of(["x", "town"], time="at")
    parts = {"train": table[100:], "validation": table[:50], "test": table[50:100]}
    findings = leaks_of(Parts(parts, frame.inputs, frame, "time"))
    assert {finding.kind for finding in findings} == {"time travel"}
    assert found_in(table, frame, by="time") == ()


def test_columns_known_afterwards_are_found():
    table = table_of().with_columns(known=pl.col("at") + pl.duration(days=3) * pl.col("x").abs())
    frame = frame_of(["x", "known"], time="at", label_time="known")
    assert [(f.kind, f.column) for f in found_in(table, frame, by="time")] == [("target copy", "known")]
    later = found_in(table, frame_of(["x", "known"], time="at"), by="time")
    assert [(f.kind, f.column) for f in later] == [("time travel", "known")]


def test_times_that_were_planned_are_no_leak():
    days = pl.duration(days=30 * (1 + pl.col("x").abs().round()))
    table = table_of().with_columns(due=pl.col("at") + days)
    assert found_in(table, frame_of(["x", "due"], time="at"), by="time") == ()


def test_an_entity_may_come_again_after_a_split_by_time():
    table = table_of().with_columns(who=pl.Series(np.arange(600) % 40))
    frame = frame_of(["x", "town"], time="at", entity="who")
    assert found_in(table, frame, by="time") == ()
    by_chance = found_in(table, frame, by="random")
    assert [(f.kind, f.column) for f in by_chance] == [("groups", "who")]
    assert by_chance[0].evidence["groups"] > 30


def test_amounts_and_towns_are_no_groups():
    table = table_of(2000)
    table = table.with_columns(
        amount=(pl.col("x") * 100).round().cast(pl.Int64),  # equal amounts agree, and near ones as well
        town=pl.Series(np.random.default_rng(3).integers(0, 400, 2000)).cast(pl.String),
    )
    assert [f.kind for f in found_in(table, frame_of(["amount"])) if f.kind == "groups"] == []


def test_constants_of_the_training_part_are_no_leak():
    table = table_of(1000)
    split = split_rows(table, frame_of(["x"]), SplitPlan("random", 0.2, 0.2))
    of_train = table.filter(pl.Series(split.assignment == 0))["x"]
    scaled = table.with_columns(z=(pl.col("x") - of_train.mean()) / of_train.std())
    frame = frame_of(["z", "town"])
    parts = {
        name: scaled.filter(pl.Series(split.assignment == code))
        for code, name in enumerate(("train", "validation", "test"))
    }
    assert leaks_of(Parts(parts, frame.inputs, frame, "random")) == ()
    apart = {
        name: part.with_columns((pl.col("x") - pl.col("x").mean()) / pl.col("x").std())
        for name, part in parts.items()
    }
    found = leaks_of(Parts(apart, ["x"], frame_of(["x"]), "random"))
    assert [(f.kind, f.column, f.evidence["fitted on"]) for f in found] == [
        ("preprocessing", "x", "validation")
    ]


def test_published_limits_are_told_and_do_not_block():
    table = table_of(1000).with_columns(
        share=((pl.col("x") - pl.col("x").min()) / (pl.col("x").max() - pl.col("x").min())).round(4)
    )
    order = table.sort("share")
    parts = {"train": order[1:-1], "test": order[[0, -1]]}
    found = leaks_of(Parts(parts, ["share"], frame_of(["share"]), "given"))
    assert [(f.kind, f.severity) for f in found] == [("preprocessing", "warn")]
    block_leaks(found)


def test_encodings_from_other_rows_or_folds_are_no_leak():
    from sklearn.model_selection import KFold
    from sklearn.preprocessing import TargetEncoder

    generator = np.random.default_rng(0)
    kinds = generator.integers(0, 60, 4000)
    likely = generator.uniform(0.1, 0.6, 60)
    y = generator.random(4000) < likely[kinds]
    earlier = generator.random(8000) < likely[np.arange(8000) % 60]
    past = np.array([earlier[np.arange(8000) % 60 == kind].mean() for kind in range(60)])
    folded = TargetEncoder(target_type="continuous", cv=KFold(5, shuffle=True, random_state=0)).fit_transform(
        kinds[:, None], y.astype(float)
    )
    table = pl.DataFrame({"past": past[kinds], "folded": folded[:, 0], "y": np.where(y, "yes", "no")})
    for name in ("past", "folded"):
        rows = table.select(name, "y").with_columns(x=pl.Series(generator.normal(size=4000)))
        parts = Parts(
            {"train": rows[:3000], "test": rows[3000:]}, [name, "x"], frame_of([name, "x"]), "given"
        )
        assert [f for f in leaks_of(parts) if f.kind == "target encoding"] == []


def test_a_finding_is_waived_by_its_name():
    table = table_of().with_columns(leak=COPIES["as it is"])
    frame = frame_of(["x", "town", "leak"])
    split = split_rows(table, frame, SplitPlan("stratified", 0.2, 0.2))
    tables = {
        part: table.filter(pl.Series(split.assignment == code))
        for code, part in enumerate(("train", "validation", "test"))
    }
    waived = leaks_of(Parts(tables, frame.inputs, frame, "stratified"), {"target copy: leak": "known before"})
    assert [(f.name, f.severity, f.reason) for f in waived] == [
        ("target copy: leak", "waived", "known before")
    ]
    block_leaks(waived)
    with pytest.raises(LeakFound):
        block_leaks(leaks_of(Parts(tables, frame.inputs, frame, "stratified"), {"target copy": "too wide"}))


def test_a_trend_in_time_is_that_of_independent_tests():
    from scipy.stats import kruskal, spearmanr

    random = np.random.default_rng(0)
    times = random.integers(0, 300, 500).astype(float)
    classes = random.integers(0, 4, 500)
    told, chance = time_order._trend(times, np.eye(4)[classes])
    assert chance == pytest.approx(kruskal(*(times[classes == one] for one in range(4))).pvalue)
    numbers = np.argsort(np.argsort(times + 200 * random.normal(size=500))).astype(float)
    told, _ = time_order._trend(times, numbers[:, None])
    assert told == pytest.approx(spearmanr(times, numbers).statistic ** 2, abs=0.002)
    assert time_order._trend(times, np.eye(4)[np.zeros(500, dtype=int)]) == (0.0, 1.0)


def test_no_trend_is_seen_more_often_than_chance_allows():
    random = np.random.default_rng(1)
    times = np.arange(300.0)
    chances = [time_order._trend(times, np.eye(3)[random.integers(0, 3, 300)])[1] for _ in range(2_000)]
    assert sum(chance < 0.01 for chance in chances) == pytest.approx(20, abs=14)
    assert min(chances) > time_order.UNLIKELY / 10
