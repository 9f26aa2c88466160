"""Snapshots: what is taken as of a time, in which order, and what the query may not do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import polars as pl
import pytest

from everloop import data
from everloop.core.clock import SimulatedClock
from everloop.core.errors import DataFault, NotFound, SourceUnreadable, SpecFault
from everloop.data import Snapshot
from everloop.data.sources import Surroundings
from everloop.data.steps import snapshot_step
from everloop.data.taking import take_snapshot
from everloop.spec import DataSpec, ProblemSpec, parse

START = datetime(2013, 1, 1, tzinfo=UTC)
LATER = START + timedelta(days=1000)


def loans(rows=200, seed=0):
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "id": range(rows),
            "at": [START + timedelta(days=int(day)) for day in generator.integers(0, 100, rows)],
            "amount": generator.exponential(100, rows).round(2),
            "defaulted": generator.choice(["yes", "no"], rows),
        }
    ).with_columns(known=pl.col("at") + pl.duration(days=30))


def take(folder, tables, *, table=None, problem=None, as_of=LATER, name="out", sources=None, **more):
    out = folder / name
    out.mkdir(exist_ok=True)
    data = DataSpec.model_validate({"sources": sources or {"unused": {"file": "unused.csv"}}, "table": table})
    if sources is None:
        data = data.model_copy(update={"sources": {}})
    problem = ProblemSpec.model_validate(problem) if problem else None
    around = Surroundings(folder=folder, clock=SimulatedClock(START))
    return take_snapshot(data, problem, out, as_of, around, tables=tables, **more)


def test_rows_and_actuals_as_known_then(tmp_path):
    table, as_of = loans(), START + timedelta(days=60)
    problem = {"target": "defaulted", "time": "at", "label_time": "known"}
    taken = take(tmp_path, {"loans": table}, problem=problem, as_of=as_of)
    found = taken.table()
    wanted = table.filter(pl.col("at") < as_of)
    assert taken.rows == found.height == wanted.height
    assert found["at"].max() < as_of
    visible = wanted.filter(pl.col("known") <= as_of)
    assert found["defaulted"].count() == visible.height == taken.rows - taken.hidden_actuals
    assert set(found.filter(pl.col("defaulted").is_not_null())["id"]) == set(visible["id"])
    assert found.filter(pl.col("known") > as_of).is_empty()
    assert taken.time_range == (wanted["at"].min(), wanted["at"].max())


def test_what_a_query_answered_serves_snapshots_of_other_times(tmp_path):
    """To the byte: of the same sources and query alone, and whoever cuts it leaves it as it is."""
    problem = {"target": "defaulted", "time": "at", "label_time": "known"}
    query, tables, joins = "select * from loans where amount > 10", {"loans": loans()}, tmp_path / "joins"
    for number, days in enumerate((60, 80)):
        cut = {"table": query, "problem": problem, "as_of": START + timedelta(days=days)}
        kept = take(tmp_path, tables, name=f"kept-{number}", joins=joins, **cut)
        plain = take(tmp_path, tables, name=f"plain-{number}", **cut)
        assert (kept.digest, kept.hidden_actuals) == (plain.digest, plain.hidden_actuals)
        assert len(list(joins.iterdir())) == 1
    cheap = take(tmp_path, tables, name="cheap", table=query.replace("10", "50"), joins=joins)
    other = take(tmp_path, {"loans": loans(seed=1)}, name="other", table=query, joins=joins)
    assert len(list(joins.iterdir())) == 3
    assert cheap.table()["amount"].min() > 50
    assert other.rows == loans(seed=1).filter(pl.col("amount") > 10).height


def test_the_time_is_inferred_where_the_file_names_none(tmp_path):
    table, as_of = loans(), START + timedelta(days=60)
    table = table.with_columns(known=pl.when(pl.col("id") > 20).then(pl.col("known")))
    named = take(
        tmp_path,
        {"loans": table},
        problem={"target": "defaulted", "time": "at", "label_time": "known"},
        as_of=as_of,
    )
    inferred = take(
        tmp_path,
        {"loans": table},
        problem={"target": "defaulted", "label_time": "known"},
        as_of=as_of,
        name="b",
    )
    assert (inferred.time, inferred.digest) == ("at", named.digest)
    assert take(tmp_path, {"loans": table.drop("at")}, problem={"target": "defaulted"}, name="c").time is None


def test_actuals_by_delay(tmp_path):
    table, as_of = loans().drop("known"), START + timedelta(days=60)
    problem = {"target": "defaulted", "time": "at", "label_delay": "30d"}
    taken = take(tmp_path, {"loans": table}, problem=problem, as_of=as_of)
    expected = table.filter((pl.col("at") < as_of) & (pl.col("at") + timedelta(days=30) > as_of)).height
    assert taken.hidden_actuals == taken.table()["defaulted"].null_count() == expected > 0


def test_rows_are_in_a_fixed_order_whatever_the_order_they_came_in(tmp_path):
    table = loans()
    problem = {"target": "defaulted", "time": "at"}
    digests = {
        take(
            tmp_path,
            {"loans": table.sample(fraction=1, shuffle=True, seed=seed)},
            problem=problem,
            name=f"o{seed}",
        ).digest
        for seed in range(4)
    }
    assert len(digests) == 1
    found = Snapshot.load(tmp_path / "o0").table()
    assert found.equals(table.select(found.columns).sort("at", "id").cast(dict(found.schema)))


def test_a_lone_source_without_time_keeps_its_order(tmp_path):
    table = loans().sample(fraction=1, shuffle=True, seed=1)
    assert take(tmp_path, {"loans": table}).table()["id"].to_list() == table["id"].to_list()


def test_order_dependent_queries_give_the_same_each_time(tmp_path):
    events = pl.DataFrame({"k": [i % 3 for i in range(20_000)], "v": [i * 0.1 for i in range(20_000)]})
    query = "select k, sum(v) as total, first(v) as one, row_number() over () as nr from events group by k"
    digests = {take(tmp_path, {"events": events}, table=query, name=f"o{i}").digest for i in range(3)}
    assert len(digests) == 1


def test_types_are_ours_and_times_utc(tmp_path):
    query = """
        select 1::tinyint as i, 2::hugeint as h, 1.5::decimal(9, 2) as d, 'NaN'::double as n, 'a'::varchar as t,
          date '2013-01-02' as day, timestamp '2013-01-02 03:04:05' as naive, null as nothing,
          timestamptz '2013-01-02 03:04:05+02' as zoned, '03:04'::time as clock, true as b, -0.0::float as zero
        from loans limit 1
    """
    found = take(tmp_path, {"loans": loans()}, table=query).table()
    moment = datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert found.row(0) == (
        1, 2, 1.5, None, "a", datetime(2013, 1, 2, tzinfo=UTC), moment, None, moment - timedelta(hours=2),
        "03:04:00", True, 0.0,
    )  # fmt: skip
    assert str(found["zero"][0]) == "0.0"


def test_times_in_text_are_read_and_others_refused(tmp_path):
    table = loans().with_columns(pl.col("at").dt.strftime("%Y-%m-%d"), number=pl.col("id"))
    problem = {"target": "defaulted", "time": "at"}
    taken = take(tmp_path, {"loans": table}, problem=problem)
    assert taken.schema.types["at"] == "time"
    with pytest.raises(DataFault, match="holds text that is no time"):
        take(tmp_path, {"l": table.with_columns(at=pl.lit("1/2/2013"))}, problem=problem, name="b")
    with pytest.raises(SpecFault, match=r"problem\.time names number, which holds integer values"):
        take(tmp_path, {"l": table}, problem={"target": "defaulted", "time": "number"}, name="c")


def test_arithmetic_and_parts_of_times_with_a_zone_are_steady(tmp_path):
    query = (
        "select *, amount - 1 + 2 as more, year(zoned) as year, date_trunc('day', zoned) as day, "
        "date_diff('day', zoned, zoned + interval 2 day) as days "
        "from (select *, known::timestamptz as zoned from loans)"
    )
    found = take(tmp_path, {"loans": loans()}, table=query).table()
    assert set(found["days"]) == {2}
    assert set(found["year"]) == {2013}


def test_sources_are_joined(tmp_path):
    loans().write_parquet(tmp_path / "loans.parquet")
    (tmp_path / "rates.csv").write_text("since,rate\n2013-01-01,0.1\n2013-02-01,0.2\n")
    taken = take(
        tmp_path,
        None,
        sources={"loans": {"file": "loans.parquet"}, "rates": {"file": "rates.csv"}},
        table="select l.*, r.rate from loans l asof left join rates r on l.at >= r.since",
        problem={"target": "defaulted", "time": "at"},
    )
    found = taken.table()
    assert (
        found["rate"]
        == pl.Series([0.1 if at < datetime(2013, 2, 1, tzinfo=UTC) else 0.2 for at in found["at"]])
    ).all()
    assert set(taken.sources) == {"loans", "rates"}


WRONG = {
    "select * from lons": ("Table with name lons does not exist", "did you mean loans?"),
    "select amout from loans": ("amout", "did you mean amount?"),
    "selct 1": ("is no SQL", None),
    "select 1; select 2": ("one SELECT", None),
    "delete from loans": ("one SELECT", None),
    "copy loans to 'x.csv'": ("one SELECT", None),
    "attach 'x.db'": ("one SELECT", None),
    "set memory_limit = '9GB'": ("one SELECT", None),
    "select * from loans) union (select 1": ("no SQL", None),
    "select *, now() as t from loans": ("uses now", None),
    "select *, current_date as t from loans": ("uses current_date", None),
    "select *, random() as t from loans": ("uses random", None),
    "select *, age(known) as t from loans": ("uses age", None),
    "select * from loans using sample 5": ("samples rows", None),
    "select * from read_csv('/etc/passwd')": ("file system operations are disabled", None),
    "select * from read_text('/etc/passwd')": ("file system operations are disabled", None),
    "select * from glob('/*')": ("disabled", None),
    "select * from '/etc/passwd'": ("does not exist", None),
    "select * from 'https://example.com/x.parquet'": ("disabled", None),
    "select * from around": ("does not exist", None),
    "select [id] as ids from loans": (r"column ids is of the type BIGINT\[\]", None),
    "select cast(defaulted as integer) as x from loans": ("Could not convert string", None),
}


@pytest.mark.parametrize("query", WRONG)
def test_wrong_queries(tmp_path, query):
    message, hint = WRONG[query]
    around = pl.DataFrame({"a": [1]})  # a name of the calling program, which SQL must not see
    assert around.height == 1
    with pytest.raises(SpecFault, match=message) as caught:
        take(tmp_path, {"loans": loans()}, table=query)
    assert "LINE 1" not in str(caught.value)
    assert "pg_" not in str(caught.value)
    if hint:
        assert caught.value.hint == hint
    assert list((tmp_path / "out").iterdir()) == []


def test_empty_results_say_why(tmp_path):
    with pytest.raises(DataFault, match="gave no row"):
        take(tmp_path, {"loans": loans()}, table="select * from loans where false")
    with pytest.raises(DataFault, match="None of the 200 rows has a at before"):
        take(
            tmp_path, {"loans": loans()}, problem={"target": "defaulted", "time": "at"}, as_of=START, name="b"
        )


def test_roles_must_be_columns(tmp_path):
    with pytest.raises(SpecFault, match=r"problem\.target names defaultd") as caught:
        take(tmp_path, {"loans": loans()}, problem={"target": "defaultd"})
    assert caught.value.hint == "did you mean defaulted?"


def test_several_sources_need_a_query(tmp_path):
    with pytest.raises(SpecFault, match="2 sources and no query"):
        take(tmp_path, {"a": loans(), "b": loans()})
    with pytest.raises(SpecFault, match="no source"):
        take(tmp_path, {})


def test_parquet_that_is_damaged_inside_is_named(tmp_path):
    values = np.random.default_rng(0).integers(0, 1000, 50_000)
    pl.DataFrame({"a": values}).write_parquet(tmp_path / "rows.parquet", compression="zstd")
    content = bytearray((tmp_path / "rows.parquet").read_bytes())
    content[4:2_000] = bytes(1_996)
    (tmp_path / "rows.parquet").write_bytes(content)
    for table in (None, "select sum(a) as a from rows"):
        with pytest.raises(SourceUnreadable, match=r"rows\.parquet of the source rows is damaged"):
            take(tmp_path, None, sources={"rows": {"file": "rows.parquet"}}, table=table)


def test_load_and_verify(tmp_path):
    taken = take(tmp_path, {"loans": loans()}, problem={"target": "defaulted", "time": "at"})
    loaded = Snapshot.load(taken.folder, verify=True)
    assert loaded == taken
    assert json.loads(json.dumps(taken.to_dict())) == taken.to_dict()
    assert taken.lazy().collect().equals(taken.table())
    assert "200" in taken._repr_html_()
    content = taken.path.read_bytes()
    taken.path.write_bytes(content[:-1])
    with pytest.raises(SourceUnreadable, match="is not the file that was written"):
        Snapshot.load(taken.folder, verify=True)
    (taken.folder / "snapshot.json").write_text("{")
    with pytest.raises(SourceUnreadable, match="damaged"):
        Snapshot.load(taken.folder)
    with pytest.raises(NotFound):
        Snapshot.load(tmp_path / "nowhere")


def test_the_step_gives_what_the_function_gives(tmp_path):
    loans().write_csv(tmp_path / "loans.csv")
    settings = {
        "data": {"sources": {"loans": {"file": "loans.csv"}}},
        "problem": {"target": "defaulted", "time": "at"},
        "sources": {},
        "as_of": "2013-03-01T00:00:00Z",
    }
    (tmp_path / "step").mkdir()
    facts = snapshot_step(tmp_path / "step", settings, {}, home=tmp_path)
    loaded = Snapshot.load(tmp_path / "step", verify=True)
    assert facts == loaded.to_dict()
    assert sorted(path.name for path in (tmp_path / "step").iterdir()) == ["snapshot.json", "table.parquet"]


def test_equal_content_is_stored_once_across_snapshots_and_lifecycles(tmp_path):
    """Two lifecycles that share an artifact store, each at two times: one table on the disk."""
    from everloop.data.steps import snapshot_settings
    from everloop.engine import Engine, Step
    from everloop.record.store import ArtifactStore
    from everloop.testing import MemoryRecord

    loans().write_csv(tmp_path / "loans.csv")
    tables, keys = [], set()
    with ArtifactStore(tmp_path / "artifacts") as store:
        for name, table in (("one", "loans"), ("two", "(select * from loans)")):
            spec = parse(
                f"name: {name}\nproblem: {{target: defaulted, time: at}}\n"
                f"data: {{sources: {{loans: {{file: loans.csv}}}}, table: select * from {table}}}\n",
                tmp_path,
            )
            engine = Engine(MemoryRecord(), store, SimulatedClock(datetime(2020, 1, 1, tzinfo=UTC)))
            take = partial(snapshot_step, home=tmp_path)
            for year in (2018, 2019):
                settings = snapshot_settings(spec, datetime(year, 1, 1, tzinfo=UTC))
                done = engine.run(Step("snapshot", "data", 1, take, settings))
                tables.append(done.path / "table.parquet")
                keys.add(done.key)
        assert len(keys) == 4
        assert len({table.stat().st_ino for table in tables}) == 1
        kept = [
            path for path in (tmp_path / "artifacts" / "contents").iterdir() if path.stat().st_size > 1000
        ]
        assert len(kept) == 1


def test_a_snapshot_from_python_is_kept_once_whatever_lifecycle_took_it(tmp_path):
    loans().write_csv(tmp_path / "loans.csv")
    for name in ("one", "two"):
        spec = parse(
            f"name: {name}\nproblem: {{target: defaulted, time: at}}\n"
            "data: {sources: {loans: {file: loans.csv}}}\n",
            tmp_path,
        )
        data.snapshot(spec, tmp_path / "snapshots", datetime(2018, 1, 1, tzinfo=UTC))
    assert len(list((tmp_path / "snapshots").rglob("table.parquet"))) == 1
