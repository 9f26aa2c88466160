"""What every engine of the data phase must do: the same as Polars, to the bit where numbers are stored.

A test module makes a class of it and names the engine::

    class TestSpark(EngineSuite):
        engine = "pyspark"
"""
# ruff: noqa: S101, D102  (a suite asserts, and a test's name says what it holds)

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from everloop.core.clock import SimulatedClock
from everloop.core.errors import EverloopError
from everloop.data import check
from everloop.data.engines import open_engine
from everloop.data.preparing import prepare_dataset
from everloop.spec import parse
from everloop.spec.frame import Frame
from everloop.table.contract import ColumnRule, Contract, TableRule
from everloop.table.feature import define, derive

if TYPE_CHECKING:
    import polars as pl

    from everloop.data.snapshots import Snapshot

START = datetime(2013, 1, 1, tzinfo=UTC)
ROWS = 600
FEATURES = {
    "ratio": "debt / nullif(income, 0)",
    "twice": "ratio * 2",
    "late": "hour(at) >= 18 and isodow(at) < 6",
    "since": "date_diff('month', known, at)",
    "kind": "case when work like '%a%' then upper(trim(work)) else coalesce(note, '-') end",
    "when": "case when debt > 10 then at end",
    "root": "sqrt(debt - 10) + ln(income) % 3",
}
SPLITS = {
    "time": "{by: time, validation: 20%, test: 20%}",
    "random": "{by: random, validation: 20%, test: 20%}",
    "stratified": "{by: stratified, validation: 15%, test: 25%}",
    "group": "{by: group, group: who, validation: 20%, test: 20%}",
}
CONTRASTS = {
    "as it is": "",
    "kept": "  clean: {duplicates: keep, missing: keep}\n",
}


TYPES = {"income": "number", "debt": "number", "at": "time", "known": "time"}
KEPT = Contract(
    (
        ColumnRule("id", "text", nullable=False, pattern=r"L\d+"),
        ColumnRule("who", "integer", minimum=0, maximum=119),
        ColumnRule("income", "number", minimum=-999, maximum=100),
        ColumnRule("work", "text", allowed=("?", "shop", "farm")),
        ColumnRule("paid", "boolean", max_missing=0.2),
        ColumnRule("at", "time", minimum=START),
    ),
    (TableRule("row_count", minimum=100), TableRule("fresh", columns=("at",), within=timedelta(days=50))),
)
BROKEN = Contract(
    (
        ColumnRule("id", "text", unique=True, pattern=r"L[1-4]\d*"),
        ColumnRule("who", "integer", minimum=3, maximum=100, severity="warn"),
        ColumnRule("income", "number", minimum=0, allowed=(*map(float, range(20, 60)),)),
        ColumnRule("debt", "integer", maximum=40),
        ColumnRule("work", "text", allowed=("shop", "farm")),
        ColumnRule("paid", "boolean", nullable=False, max_missing=0.01),
        ColumnRule("note", "number"),
        ColumnRule("at", "time", minimum=START + timedelta(hours=3), maximum=START + timedelta(days=5)),
        ColumnRule("known", "time"),
        ColumnRule("elsewhere", "text"),
    ),
    (
        TableRule("row_count", maximum=100),
        TableRule("unique", columns=("who", "at")),
        TableRule.holds("debt < income + 40 or income < 0", TYPES),
        TableRule("fresh", columns=("at",), within=timedelta(hours=1)),
        TableRule("refers", columns=("who",), source="people", key=("who",)),
    ),
)


def loans(rows: int = ROWS, seed: int = 7) -> pl.DataFrame:
    """Makes a table with each of the five types, missing and odd values, repeated rows and twins."""
    import polars as pl

    generator = np.random.default_rng(seed)
    income = np.where(generator.random(rows) < 0.1, -999.0, generator.integers(20, 90, rows).astype(float))
    notes = ["plain", 'a "quoted" word', "żółć 漢字", "two\nlines", " blanks ", "", None]
    table = pl.DataFrame(
        {
            "id": [f"L{i}" for i in range(rows)],
            "who": generator.integers(0, rows // 5, rows),
            "at": [START + timedelta(hours=i // 2, microseconds=i % 7) for i in range(rows)],
            "known": [START + timedelta(hours=i // 2 + 30 * (i % 3)) for i in range(rows)],
            "income": income,
            "debt": generator.exponential(10, rows).round(3),
            "work": generator.choice(["?", "shop", "farm"], rows),
            "note": [notes[i] for i in generator.integers(0, len(notes), rows)],
            "paid": [None if i % 11 == 0 else bool(i % 2) for i in range(rows)],
            "same": ["x"] * rows,
            "defaulted": [
                None if i % 9 == 0 else ("yes", "no")[int(generator.random() < 0.7)] for i in range(rows)
            ],
        }
    )
    twins = table.head(40).with_columns(pl.col("at") + timedelta(hours=rows // 4))
    return pl.concat([table, table.tail(30), twins])


def frame_of(**changes: Any) -> Frame:
    """Gives the problem of `loans`."""
    given: dict[str, Any] = {
        "task": "binary",
        "target": "defaulted",
        "classes": ("no", "yes"),
        "positive": "yes",
        "metric": "roc_auc",
        "time": "at",
        "inputs": ("income", "debt", "work", "note", "paid", "same"),
        "excluded": {"id": "an identifier"},
    }
    return Frame(**{**given, **changes})


class EngineSuite:
    """The behaviour that `everloop.data.engines.DataEngine` states, as tests."""

    engine: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def snapshot(cls, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
        from everloop.data import snapshot

        folder = tmp_path_factory.mktemp("loans")
        loans().write_parquet(folder / "loans.parquet")
        spec = parse(_lifecycle("time", ""), folder)
        return snapshot(spec, folder / "s", clock=SimulatedClock(START + timedelta(days=900)))

    def test_it_says_what_it_can_do(self) -> None:
        assert open_engine(self.engine).capabilities.name == self.engine

    @pytest.mark.parametrize("handed", ["path", "table"])
    def test_columns_are_read_in_the_order_of_the_table(self, snapshot: Snapshot, handed: str) -> None:
        expected = snapshot.table()
        with open_engine(self.engine).open(snapshot.path if handed == "path" else expected) as table:
            assert table.columns == expected.columns
            assert table.height == expected.height
            assert table["note"].equals(expected["note"])
            assert table.lazy().collect().equals(expected)
            mask = (expected["who"] % 3 == 0).to_numpy()
            kept, wanted = table.where(mask), expected.filter(mask)
            assert kept.height == wanted.height
            assert kept["at"].equals(wanted["at"])
            assert kept.lazy().select("paid", "who").collect().equals(wanted.select("paid", "who"))

    def test_equal_rows_share_a_hash_and_others_do_not(self, snapshot: Snapshot) -> None:
        mask = np.arange(snapshot.rows) % 5 != 0
        for columns in (snapshot.table().columns, ["note", "paid", "work"]):
            read = []
            for name in ("polars", self.engine):
                with open_engine(name).open(snapshot.path) as table:
                    read.append(table.where(mask).row_hashes(columns).rank("dense").to_list())
            assert len(set(zip(*read, strict=True))) == len(set(read[0])) == len(set(read[1]))

    def test_a_missing_value_is_equal_to_its_own_column_alone(self) -> None:
        import polars as pl

        rows = pl.DataFrame({"a": [None, "x", None, None], "b": ["x", None, None, None]})
        with open_engine(self.engine).open(rows) as table:
            first, second, third, fourth = table.row_hashes(["a", "b"])
        assert len({first, second, third}) == 3
        assert third == fourth

    @pytest.mark.parametrize("kept", ["all", "some", "none"])
    def test_features_are_those_of_polars(self, snapshot: Snapshot, tmp_path: Path, kept: str) -> None:
        import polars as pl
        from polars.testing import assert_frame_equal

        definitions = define({**FEATURES, "work": "lower(work)"}, snapshot.schema.types)
        mask = np.arange(snapshot.rows) % 3 != 0 if kept == "some" else np.full(snapshot.rows, kept == "all")
        expected = derive(snapshot.table().filter(mask), definitions).collect()
        with open_engine(self.engine).open(snapshot.path) as table:
            written = table.where(mask).write(tmp_path / "out.parquet", definitions)
        made = pl.read_parquet(tmp_path / "out.parquet")
        assert written == made.height == expected.height
        assert_frame_equal(made, expected, rel_tol=1e-12, abs_tol=0)

    def test_a_contract_is_judged_as_polars_judges_it(self, snapshot: Snapshot) -> None:
        import polars as pl

        others = {"people": pl.DataFrame({"who": range(100)})}
        for contract in (KEPT, BROKEN):
            expected, found = (
                check(snapshot, contract, now=START + timedelta(days=60), tables=others, engine=name)
                for name in ("polars", self.engine)
            )
            assert found.passed is (contract is KEPT)
            assert found == expected
        rules = {(finding.column, finding.rule) for finding in found.findings}
        assert len(rules) == len(found.findings) == 20
        assert found.broken > 0

    def test_odd_values_are_judged_as_polars_judges_them(self) -> None:
        import polars as pl

        table = pl.DataFrame(
            {
                "x": [1.0, float("nan"), float("inf"), -0.0, 0.0, 2.5, None, 1e300, -float("inf")],
                "s": ["a1", "a\n", "é٣", "", None, "a1", "B2", "a 1", "a1\n"],
                "t": [START + timedelta(days=day) if day % 4 else None for day in range(9)],
            }
        )
        contract = Contract(
            (
                ColumnRule(
                    "x", "integer", nullable=False, minimum=0, maximum=10, unique=True, max_missing=0.1
                ),
                ColumnRule("s", "text", pattern=r"\w\d", unique=True),
                ColumnRule("t", "time", minimum=START, maximum=START + timedelta(days=3), nullable=False),
                ColumnRule("absent", "text"),
            ),
            (TableRule("unique", columns=("x", "s")), TableRule.holds("x < 5", {"x": "number"})),
        )
        expected, found = (
            open_engine(name).check(table, contract, without=()) for name in ("polars", self.engine)
        )
        # Which of the two zeros stands for both is no matter.
        assert repr(found).replace("-0.0", "0.0") == repr(expected).replace("-0.0", "0.0")
        assert len(found.findings) == 13

    @pytest.mark.parametrize("cleaning", CONTRASTS)
    @pytest.mark.parametrize("by", SPLITS)
    def test_a_dataset_is_that_of_polars(
        self, snapshot: Snapshot, tmp_path: Path, by: str, cleaning: str
    ) -> None:
        from polars.testing import assert_frame_equal

        spec = parse(_lifecycle(by, CONTRASTS[cleaning]), tmp_path)
        frame = frame_of(label_time="known") if by == "time" else frame_of()
        ours, theirs = (
            prepare_dataset(snapshot, frame, spec.data, tmp_path / who, seed=3, engine=engine).dataset
            for who, engine in (("ours", "polars"), ("theirs", self.engine))
        )
        assert json.dumps(theirs.to_dict()) == json.dumps(ours.to_dict())
        assert theirs.cleaning
        for part in ("train", "validation", "test"):
            assert ours.table(part).height > 20
            assert_frame_equal(theirs.table(part), ours.table(part), rel_tol=1e-12, abs_tol=0)

    def test_what_cannot_be_done_is_refused_in_the_same_words(
        self, snapshot: Snapshot, tmp_path: Path
    ) -> None:
        spec = parse(_lifecycle("time", ""), tmp_path)
        for frame in (frame_of(inputs=("elsewhere",)), frame_of(time=None), frame_of(inputs=("same",))):
            said = []
            for name in ("polars", self.engine):
                with pytest.raises(EverloopError) as refused:
                    prepare_dataset(snapshot, frame, spec.data, tmp_path / name, engine=name)
                said.append((type(refused.value), str(refused.value)))
            assert said[0] == said[1]


def _lifecycle(by: str, cleaning: str) -> str:
    features = "".join(f"    {name}: {json.dumps(sql)}\n" for name, sql in FEATURES.items())
    return (
        "name: loans\nproblem: {target: defaulted, time: at}\ndata:\n"
        f"  sources: {{loans: {{file: loans.parquet}}}}\n{cleaning}"
        f"  split: {SPLITS[by]}\n  features:\n{features}"
    )
