"""Leaks: each kind is put into a table and found; clean real tables have none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from everloop.data.leak import LeakFound, Parts, block_leaks, find_leaks
from everloop.data.split import SplitPlan, split_rows
from everloop.spec.frame import Frame

START = datetime(2013, 1, 1, tzinfo=UTC)
REAL = Path("../shared/data")


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
    return find_leaks(Parts(parts, frame.inputs, frame, by))


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
    assert [(finding.check, finding.column) for finding in findings if finding.severity == "error"] == [
        ("target copy", "leak")
    ]
    with pytest.raises(LeakFound, match="leak alone tells y") as caught:
        block_leaks(findings)
    assert 'exclude ("leak")' in caught.value.hint
    assert caught.value.exit_status == 1


def test_a_clean_table_has_no_finding():
    assert found_in(table_of(), frame_of(["x", "town"])) == ()
    block_leaks(())


def test_identifiers_are_no_copies():
    table = table_of().with_columns(id=pl.Series(np.random.default_rng(1).permutation(600)))
    table = table.with_columns(name=pl.col("id").cast(pl.String))
    assert found_in(table, frame_of(["x", "id", "name"])) == ()


def test_copies_of_numbers_are_found():
    generator = np.random.default_rng(0)
    table = pl.DataFrame({"x": generator.normal(size=500), "y": generator.normal(size=500)})
    table = table.with_columns(scaled=pl.col("y") * -3 + 2, near=pl.col("y") + 0.1 * pl.col("x"))
    frame = frame_of(["x", "scaled", "near"], task="regression", classes=(), positive=None)
    assert [finding.column for finding in found_in(table, frame, by="random")] == ["scaled"]


def test_classes_of_several_kinds():
    table = table_of().with_columns(y=pl.when(pl.col("x") > 1).then(pl.lit("c")).otherwise(pl.col("y")))
    frame = frame_of(["town", "leak"], task="multiclass", classes=("c", "no", "yes"), positive=None)
    order = {"no": 0, "c": 5, "yes": 9}
    leaky = table.with_columns(leak=pl.col("y").replace_strict(order) + pl.col("x").abs() / 10)
    assert [finding.column for finding in found_in(leaky, frame)] == ["leak"]


def test_rows_shared_by_parts_are_found():
    table, frame = table_of(), frame_of(["x", "town"])
    parts = {"train": table[:400], "validation": table[400:500], "test": pl.concat([table[500:], table[:3]])}
    findings = find_leaks(Parts(parts, frame.inputs, frame, "random"))
    assert [(f.check, f.evidence["rows"]) for f in findings] == [("shared rows", 3)]


def test_time_travel_is_found():
    table, frame = table_of(), frame_of(["x", "town"], time="at")
    parts = {"train": table[100:], "validation": table[:50], "test": table[50:100]}
    findings = find_leaks(Parts(parts, frame.inputs, frame, "time"))
    assert {finding.check for finding in findings} == {"time travel"}
    assert found_in(table, frame, by="time") == ()


def test_columns_known_afterwards_are_found():
    table = table_of().with_columns(known=pl.col("at") + pl.duration(days=3) * pl.col("x").abs())
    frame = frame_of(["x", "known"], time="at", label_time="known")
    findings = found_in(table, frame)
    assert ("role", "known", "error") in {(f.check, f.column, f.severity) for f in findings}
    later = found_in(table, frame_of(["x", "known"], time="at"))
    assert [(f.check, f.severity) for f in later] == [("later time", "warn")]
    block_leaks(later)


CLEAN = {
    "taiwan_default.csv.gz": ("default payment", None),
    "german_credit.csv.gz": ("creditability", None),
    "heart_disease.csv.gz": ("target", None),
    "online_shoppers.csv.gz": ("revenue", None),
    "elec2.parquet": ("class", None),
    "card_fraud.csv.gz": ("Class", None),
}


@pytest.mark.parametrize("name", CLEAN)
def test_clean_real_tables_have_no_leak(name):
    if not (REAL / name).is_file():
        pytest.skip(f"{REAL / name} is not here")
    from everloop.table.labels import label_texts
    from everloop.table.tables import as_frame

    table, (target, _) = as_frame(REAL / name), CLEAN[name]
    table = table.filter(pl.col(target).is_not_null())
    classes = tuple(sorted(label_texts(table[target]).unique().to_list()))
    task = "binary" if len(classes) == 2 else "multiclass"
    frame = frame_of([c for c in table.columns if c != target], target=target, classes=classes, task=task)
    assert [f for f in found_in(table, frame) if f.severity == "error"] == []
