"""Corrupted parts: real histories that are clean have none, and each kind of corruption is found."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from everloop.data.partitions import FEWEST_PARTS, Numbers, judge_numbers, judge_parts
from everloop.table.tables import as_frame

REAL = Path("../shared/data")
MONTH = pl.col("date").dt.strftime("%Y-%m")
WEEK = pl.col("date").dt.strftime("%G-W%V")


def real(name):
    if not (REAL / name).is_file():
        pytest.skip(f"{REAL / name} is not here")
    return as_frame(REAL / name)


def blocks(rows):
    return (pl.int_range(pl.len()) // rows + 10_000).cast(pl.String)


CLEAN = {
    "bikes by month": ("bike_hourly.csv.gz", MONTH, ("date",), 12),
    "bikes by week": ("bike_hourly.csv.gz", WEEK, ("date",), 90),
    "electricity by week": ("elec2.parquet", blocks(336), (), 120),
    "loans by thousand": ("taiwan_default.csv.gz", blocks(1000), (), 17),
}


@pytest.mark.parametrize("name", list(CLEAN))
def test_a_clean_history_is_not_kept_out(name):
    file, part, ignore, judged = CLEAN[name]
    table = real(file)
    # Blocks of rows end with one that is not full.
    growing = table.select(part.max()).item() if part.meta.root_names() != ["date"] else None
    parts = judge_parts(table, part, ignore=ignore, growing=growing)
    assert [one.name for one in parts if one.quarantined] == []
    assert sum(one.judged for one in parts) >= judged


def only_in(part, name, column, changed):
    return pl.when(part == name).then(changed).otherwise(pl.col(column)).alias(column)


CORRUPTIONS = {
    "nulls": lambda t, at, p: t.with_columns(only_in(p, at, "hum", pl.lit(None))),
    "a third null": lambda t, at, p: t.with_columns(
        only_in(p, at, "hum", pl.when(pl.int_range(pl.len()) % 3 > 0).then(pl.col("hum")))
    ),
    "unit": lambda t, at, p: t.with_columns(only_in(p, at, "temp", pl.col("temp") * 100)),
    "half the rows": lambda t, at, p: t.filter((p != at) | (pl.int_range(pl.len()) % 2 == 0)),
    "twice the rows": lambda t, at, p: pl.concat([t, t.filter(p == at)]),
    "swapped": lambda t, at, p: t.with_columns(
        only_in(p, at, "temp", pl.col("casual")), only_in(p, at, "casual", pl.col("temp"))
    ),
    "constant": lambda t, at, p: t.with_columns(only_in(p, at, "windspeed", pl.lit(0.2))),
    "category": lambda t, at, p: t.with_columns(only_in(p, at, "weathersit", pl.lit(4))),
}


@pytest.mark.parametrize("kind", list(CORRUPTIONS))
@pytest.mark.parametrize(("part", "at"), [(MONTH, "2012-04"), (MONTH, "2012-12"), (WEEK, "2012-W30")])
def test_each_corruption_is_found_and_nothing_else(kind, part, at):
    table = real("bike_hourly.csv.gz")
    parts = judge_parts(CORRUPTIONS[kind](table, at, part), part, ignore=("date",))
    (found,) = [one for one in parts if one.quarantined]
    assert found.name == at
    assert found.unlike[0].score > found.unlike[0].bar
    assert "in earlier parts" in found.reason


def test_text_that_turns_constant_or_unknown_is_found():
    random = np.random.default_rng(0)
    rows = 20 * 200
    table = pl.DataFrame(
        {
            "part": np.repeat(np.arange(100, 120), 200),
            "town": random.choice(["A", "B", "C"], rows, p=[0.6, 0.3, 0.1]),
            "word": [f"w{n}" for n in random.integers(0, 500, rows)],
            "yes": random.random(rows) < 0.5,
        }
    )
    last, part = pl.col("part") == 119, pl.col("part")

    def kept_out(**changes):
        changed = table.with_columns(
            pl.when(last).then(value).otherwise(pl.col(name)).alias(name) for name, value in changes.items()
        )
        return [(one.name, one.unlike[0].column) for one in judge_parts(changed, part) if one.quarantined]

    assert kept_out() == []
    assert kept_out(town=pl.lit("A")) == [("119", "town")]
    assert kept_out(town=pl.lit("?")) == [("119", "town")]
    assert kept_out(word=pl.lit("a word that is much longer")) == [("119", "word")]
    assert kept_out(yes=pl.lit(True)) == [("119", "yes")]


@pytest.mark.parametrize("seed", range(20))
def test_parts_of_one_distribution_are_never_kept_out(seed):
    random = np.random.default_rng(seed)
    sizes = random.integers(60, 90, 40)
    rows = int(sizes.sum())
    columns = {f"n{i}": random.normal(size=rows) for i in range(6)}
    columns |= {f"heavy{i}": random.lognormal(sigma=2, size=rows) for i in range(3)}
    columns |= {f"rare{i}": (random.random(rows) < 0.01).astype(int) for i in range(3)}
    columns |= {"season": np.sin(np.arange(rows) / 300) + random.normal(scale=0.2, size=rows)}
    table = pl.DataFrame(columns | {"part": np.repeat(np.arange(100, 140), sizes)})
    assert [one.name for one in judge_parts(table, pl.col("part")) if one.quarantined] == []


def test_a_released_part_is_an_earlier_part_again():
    table = real("bike_hourly.csv.gz")
    twice = CORRUPTIONS["unit"](CORRUPTIONS["unit"](table, "2012-09", MONTH), "2012-11", MONTH)
    found = [one.name for one in judge_parts(twice, MONTH, ignore=("date",)) if one.quarantined]
    assert found == ["2012-09", "2012-11"]
    released = judge_parts(twice, MONTH, ignore=("date",), released=("2012-09",))
    assert [one.name for one in released if one.quarantined] == []
    assert [one.name for one in released if one.released] == ["2012-09"]


def test_what_is_not_over_has_no_volume_and_few_parts_are_not_judged():
    table = real("bike_hourly.csv.gz")
    begun = table.filter((MONTH != "2012-12") | (pl.col("date").dt.day() < 10))
    assert [p.name for p in judge_parts(begun, MONTH, ignore=("date",)) if p.quarantined] == ["2012-12"]
    parts = judge_parts(begun, MONTH, ignore=("date",), growing="2012-12")
    assert not any(one.quarantined for one in parts)
    assert [one.judged for one in parts].index(True) == FEWEST_PARTS


def test_the_days_of_a_week_that_is_not_over_are_no_corruption():
    table = real("bike_hourly.csv.gz").with_columns(weekday=pl.col("date").dt.weekday())
    week = pl.col("date").dt.strftime("%G-W%V")
    begun = table.filter(pl.col("date") < pl.date(2012, 6, 27))
    assert "2012-W26" in [one.name for one in judge_parts(begun, week, ignore=("date",)) if one.quarantined]
    parts = judge_parts(begun, week, ignore=("date",), growing="2012-W26")
    assert not any(one.quarantined for one in parts)
    assert not parts[-1].judged


def test_numbers_that_some_parts_lack_are_compared_with_the_parts_that_have_them():
    names = tuple(f"{place:02d}" for place in range(20))
    share = np.tile([0.1, 0.2], 10)
    gaps = np.where(np.arange(20) % 3 == 1, np.nan, share)
    share[-1] = gaps[-1] = 0.9
    values = {("whole", "true", ""): share, ("gaps", "true", ""): gaps}
    last = judge_numbers(Numbers(names, np.full(20, 1e6), values))[-1]
    # Beyond 0.2 by 0.7; the floor of a share is 0.1, and so much it moves from part to part as well.
    assert {one.column: one.score for one in last.unlike} == pytest.approx({"whole": 7.0, "gaps": 7.0})
