"""What every record must do: `RecordSuite` for all, `DurableRecordSuite` for those with an address.

A test module makes a class of one of them and gives the fixture that it asks for::

    class TestOurRecord(DurableRecordSuite):
        @pytest.fixture
        def url(self, tmp_path):
            return f"sqlite:///{tmp_path}/record.db"
"""
# ruff: noqa: PT012, S101
# (They are tests: they assert, and raise in the midst of a transaction.)

from __future__ import annotations

import math
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from everloop.core.errors import DataFault, NotFound, RecordBusy, UsageFault
from everloop.record import (
    AlertRow,
    AlreadyRecorded,
    DecisionRow,
    DeploymentRow,
    Link,
    Record,
    RolloutRow,
    Row,
    RunRow,
    StepRow,
    VersionRow,
    WindowRow,
    open_record,
    why,
)

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

ROWS: tuple[Row, ...] = (
    RunRow("run_1", "flights", NOON, "done", "deploy", NOON, "schedule", NOON + HOUR, {"a": [1, 2.5, None]}),
    StepRow("step_1", "flights", NOON, "run_1", "snapshot", "data", "k" * 64, "done", 1.25, {"rows": 3}),
    VersionRow("version_1", "flights", NOON, 7, "run_1", "p/7", "d1", "champion", {"auc": 0.7}, {"x": "é"}),
    DeploymentRow("deployment_1", "flights", NOON, 3, "version_1", None, {}),
    RolloutRow("rollout_1", "flights", NOON, None, "version_2", "canary", "going", 1, 0.05, {}, NOON),
    WindowRow(
        "window_1", "flights", NOON, NOON - HOUR, NOON, "version_1", "judged", 100, 80, {"d": {"e": 1}}
    ),
    AlertRow("alert_1", "flights", NOON, "window_1", "drift", "high", "dep_delay moved", {}),
    DecisionRow("decision_1", "flights", NOON, "retrain", "yes", "drift in 3 windows", {"windows": [1, 2]}),
)


class RecordSuite:
    """The promises of `Record`; a subclass gives the fixture `record`, an empty one for each test."""

    @pytest.mark.parametrize("row", ROWS, ids=lambda row: type(row).__name__)
    def test_a_row_comes_back_as_it_was(self, record: Record, row: Row) -> None:
        """Every field of every kind survives."""
        record.add(row)
        assert record.get(type(row), row.id) == row

    def test_rows_are_values(self, record: Record) -> None:
        """What is done to a row's facts outside changes nothing inside."""
        facts: dict[str, Any] = {"deep": {"list": [1]}}
        record.add(RunRow("run_1", "flights", NOON, facts=facts))
        facts["deep"]["list"].append(2)
        record.get(RunRow, "run_1").facts["deep"]["list"].append(3)
        assert record.get(RunRow, "run_1").facts == {"deep": {"list": [1]}}

    def test_facts_come_back_as_json_carries_them(self, record: Record) -> None:
        """Tuples are lists, times are text, what is no number is None."""
        facts = {
            "tuple": (1, 2),
            "time": NOON,
            "nan": math.nan,
            "infinite": math.inf,
            "text": "naïve ☂ \U0001f6eb",
        }
        record.add(RunRow("run_1", "flights", NOON, facts=facts))
        assert record.get(RunRow, "run_1").facts == {
            "tuple": [1, 2],
            "time": "2013-05-01T12:00:00Z",
            "nan": None,
            "infinite": None,
            "text": "naïve ☂ \U0001f6eb",
        }

    def test_a_fact_without_a_json_form_is_refused(self, record: Record) -> None:
        """The error names the row and the type."""
        with pytest.raises(DataFault, match=r"facts of run 'run_1'.*object"):
            record.add(RunRow("run_1", "flights", NOON, facts={"x": object()}))

    def test_times_come_back_in_utc(self, record: Record) -> None:
        """To the microsecond, whatever their zone was."""
        east = datetime(2013, 5, 1, 14, 0, 0, 123456, tzinfo=timezone(2 * HOUR))
        record.add(RunRow("run_1", "flights", east))
        found = record.get(RunRow, "run_1").at
        assert found == east
        assert found.tzinfo is UTC

    def test_a_time_without_a_zone_is_refused(self, record: Record) -> None:
        """The error names the field."""
        with pytest.raises(DataFault, match="at of run 'run_1'"):
            record.add(RunRow("run_1", "flights", datetime(2013, 5, 1)))  # noqa: DTZ001

    def test_adding_twice_is_refused(self, record: Record) -> None:
        """The first row stays."""
        record.add(RunRow("run_1", "flights", NOON, reason="first"))
        with pytest.raises(AlreadyRecorded, match="run_1"):
            record.add(RunRow("run_1", "flights", NOON, reason="second"))
        assert record.get(RunRow, "run_1").reason == "first"

    @pytest.mark.parametrize("way", ["add", "put"])
    def test_a_version_has_its_number_alone(self, record: Record, way: str) -> None:
        """Within its lifecycle."""
        record.add(VersionRow("version_1", "flights", NOON, number=1))
        record.add(VersionRow("version_2", "loans", NOON, number=1))
        with pytest.raises(AlreadyRecorded, match="number 1"):
            getattr(record, way)(VersionRow("version_3", "flights", NOON, number=1))
        assert len(record.find(VersionRow)) == 2

    def test_putting_replaces(self, record: Record) -> None:
        """All fields, and adds where there was none."""
        row = RunRow("run_1", "flights", NOON, facts={"a": 1})
        record.put(row)
        record.put(replace(row, status="done", finished_at=NOON + HOUR, facts={}))
        assert record.find(RunRow) == [replace(row, status="done", finished_at=NOON + HOUR, facts={})]

    def test_a_missing_id_names_the_nearest(self, record: Record) -> None:
        """As everywhere."""
        record.add(RunRow("run_01JD2Q8M2V", "flights", NOON))
        with pytest.raises(NotFound, match="run_01JD2Q8M2V"):
            record.get(RunRow, "run_01JD2Q8M2X")
        with pytest.raises(NotFound):
            record.get(StepRow, "run_01JD2Q8M2V")

    def test_finding(self, record: Record) -> None:
        """By equality, by any of several, by None; in order, turned round, cut."""
        for number in range(5):
            record.add(
                StepRow(
                    f"step_{number}", "flights", NOON - number * HOUR, run=f"run_{number % 2}", seconds=1.0
                )
            )
        record.add(WindowRow("window_1", "flights", NOON, version=None))
        record.add(WindowRow("window_2", "flights", NOON, version="version_1", since=NOON))

        def found(*rows: Row) -> str:
            return " ".join(row.id.partition("_")[2] for row in rows)

        assert found(*record.find(StepRow)) == "4 3 2 1 0"
        assert found(*record.find(StepRow, order="-at", limit=2)) == "0 1"
        assert found(*record.find(StepRow, run="run_1")) == "3 1"
        assert found(*record.find(StepRow, run=("run_0", "run_1"), seconds=1.0, order="id")) == "0 1 2 3 4"
        assert found(*record.find(StepRow, run=[])) == ""
        assert found(*record.find(StepRow, at=NOON.astimezone(timezone(HOUR)))) == "0"
        assert found(*record.find(WindowRow, version=None)) == "1"
        assert found(*record.find(WindowRow, order="since")) == "1 2"
        assert found(*record.find(WindowRow, order="-since")) == "2 1"
        assert found(*record.find(StepRow, limit=0)) == ""

    def test_order_among_equals_is_by_id(self, record: Record) -> None:
        """Both ways."""
        for name in ("b", "c", "a"):
            record.add(RunRow(name, "flights", NOON))
        assert [row.id for row in record.find(RunRow)] == ["a", "b", "c"]
        assert [row.id for row in record.find(RunRow, order="-at")] == ["c", "b", "a"]

    def test_text_is_ordered_by_code_points(self, record: Record) -> None:
        """Whatever the place or the database thinks of letters."""
        for number, reason in enumerate(["a", "B", "_", "é", "b", "10", "9", "Z", ""]):
            record.add(RunRow(f"run_{number}", "flights", NOON, reason=reason))
        found = [row.reason for row in record.find(RunRow, order="reason")]
        assert found == ["", "10", "9", "B", "Z", "_", "a", "b", "é"]
        assert [row.reason for row in record.find(RunRow, order="-reason")] == found[::-1]

    def test_text_that_no_database_keeps_is_written_out(self, record: Record) -> None:
        """A file's name may hold bytes that are no text; it must not end a run."""
        strange = "file\udcff\0.csv"
        record.add(RunRow("run_1", "flights", NOON, reason=strange))
        assert record.get(RunRow, "run_1").reason == r"file\udcff\x00.csv"
        assert len(record.find(RunRow, reason=strange)) == 1

    @pytest.mark.parametrize("field", ["stats", "facts", "id; drop table everloop_runs"])
    def test_finding_by_what_is_no_field_is_refused(self, record: Record, field: str) -> None:
        """With the fields that there are."""
        with pytest.raises(UsageFault, match="lifecycle"):
            record.find(RunRow, **dict[str, Any]({field: 1}))
        with pytest.raises(UsageFault, match="lifecycle"):
            record.find(RunRow, order=field)

    def test_links(self, record: Record) -> None:
        """Both ends, in the order made, each once."""
        record.link("run_1", "version_1", "made")
        record.link("step_1", "version_1", "package")
        record.link("run_1", "version_1", "made")
        record.link("run_1", "version_1", "named")
        assert record.causes("version_1") == [
            Link("run_1", "version_1", "made"),
            Link("step_1", "version_1", "package"),
            Link("run_1", "version_1", "named"),
        ]
        assert [link.role for link in record.effects("run_1")] == ["made", "named"]
        assert record.causes("run_1") == []

    def test_measurements(self, record: Record) -> None:
        """The newest value of a name counts; NaN and infinities are numbers here."""
        record.measure("run_1", {"b": 1, "a": 0.1, "nan": math.nan, "infinite": -math.inf})
        record.measure("run_1", {"b": 2.5})
        record.measure("run_1", {})
        record.measure("run_2", {"c": 3.0})
        found = record.measurements("run_1")
        assert math.isnan(found.pop("nan"))
        assert list(found.items()) == [("a", 0.1), ("b", 2.5), ("infinite", -math.inf)]
        assert record.measurements("nobody") == {}

    @pytest.mark.parametrize("value", [None, False, 0, "", [], {"a": [1, {"b": None}]}, 1.5, "é"])
    def test_state(self, record: Record, value: Any) -> None:
        """Any JSON value, None among them, told apart from nothing."""
        assert record.state("flights", "key", "nothing") == "nothing"
        assert record.generation("flights", "key") == 0
        assert record.set_state("flights", "key", value) == 1
        assert record.state("flights", "key", "nothing") == value
        assert record.set_state("flights", "key", 5) == 2
        assert record.state("flights", "key") == 5
        assert record.state("loans", "key") is None

    def test_state_is_compared_and_set(self, record: Record) -> None:
        """Only one of two writers who saw the same generation succeeds."""
        assert record.set_state("flights", "key", "a", expect=0) == 1
        with pytest.raises(RecordBusy, match="expected generation 0, found 1"):
            record.set_state("flights", "key", "b", expect=0)
        with pytest.raises(RecordBusy, match="expected generation 3, found 0"):
            record.set_state("flights", "other", "b", expect=3)
        assert record.set_state("flights", "key", "c", expect=1) == 2
        assert record.state("flights", "key") == "c"
        assert record.state("flights", "other") is None

    def test_a_lease_is_held_by_one_until_it_ends(self, record: Record) -> None:
        """Renewed by its holder, taken over when it has run out, given back."""
        assert record.lease("rollout", "anna", NOON + HOUR, NOON)
        assert not record.lease("rollout", "bert", NOON + 2 * HOUR, NOON)
        assert record.lease("rollout", "anna", NOON + 2 * HOUR, NOON)
        assert not record.lease("rollout", "bert", NOON + 3 * HOUR, NOON + HOUR)
        assert record.lease("rollout", "bert", NOON + 3 * HOUR, NOON + 2 * HOUR)
        record.release("rollout", "anna")
        assert not record.lease("rollout", "anna", NOON + 4 * HOUR, NOON + 2 * HOUR)
        record.release("rollout", "bert")
        assert record.lease("rollout", "anna", NOON + 4 * HOUR, NOON + 2 * HOUR)
        assert record.lease("another", "bert", NOON + HOUR, NOON)

    def test_a_transaction_is_all_or_nothing(self, record: Record) -> None:
        """Every kind of write goes back, and the next transaction works."""
        record.set_state("flights", "key", 1)
        with pytest.raises(ZeroDivisionError), record.transaction():
            record.add(RunRow("run_1", "flights", NOON))
            record.link("a", "b", "c")
            record.measure("run_1", {"a": 1})
            record.set_state("flights", "key", 2)
            record.lease("rollout", "anna", NOON + HOUR, NOON)
            assert record.get(RunRow, "run_1").id == "run_1"
            _ = 1 / 0
        assert record.find(RunRow) == []
        assert record.effects("a") == []
        assert record.measurements("run_1") == {}
        assert record.state("flights", "key") == 1
        assert record.lease("rollout", "bert", NOON + HOUR, NOON)
        with record.transaction():
            record.add(RunRow("run_1", "flights", NOON))
        assert len(record.find(RunRow)) == 1

    def test_a_nested_transaction_joins_the_outer_one(self, record: Record) -> None:
        """What the inner one wrote goes back with the outer one."""
        with pytest.raises(KeyboardInterrupt), record.transaction():
            with record.transaction():
                record.add(RunRow("run_1", "flights", NOON))
            record.add(RunRow("run_2", "flights", NOON))
            raise KeyboardInterrupt
        assert record.find(RunRow) == []

    def test_threads_share_a_record(self, record: Record) -> None:
        """Counting up by compare-and-set loses nothing."""

        def count(_: int) -> None:
            counted = 0
            while counted < 10:
                generation = record.generation("flights", "count")
                try:
                    record.set_state("flights", "count", generation + 1, expect=generation)
                except RecordBusy:
                    continue
                counted += 1

        _in_threads(4, count)
        assert record.state("flights", "count") == 40
        assert record.generation("flights", "count") == 40

    def test_one_of_many_gets_the_lease(self, record: Record) -> None:
        """Asked for by threads at once."""
        got: list[bool] = []
        _in_threads(8, lambda number: got.append(record.lease("x", str(number), NOON + HOUR, NOON)))
        assert sum(got) == 1

    def test_why_walks_links_and_references(self, record: Record) -> None:
        """And ends in a circle."""
        for row in ROWS:
            record.add(row)
        record.link("alert_1", "decision_1", "alert")
        record.link("decision_1", "run_1", "trigger")
        chain = why(record, "prediction_9", facts={"score": 0.4}, causes=[("version_1", "version")])
        assert chain.ids()[:3] == ["prediction_9", "version_1", "run_1"]
        assert set(chain.ids()) == {"prediction_9", "version_1", "run_1", "decision_1", "alert_1", "window_1"}
        assert "told above" in chain.to_text()
        assert chain.to_dict()["links"][0] == {
            "cause": "version_1",
            "effect": "prediction_9",
            "role": "version",
        }

    def test_a_kind_that_is_not_kept_is_refused(self, record: Record) -> None:
        """With the kinds that are."""
        with pytest.raises(UsageFault, match="RunRow"):
            record.get(Row, "run_1")


class DurableRecordSuite(RecordSuite):
    """The promises of a record with an address; a subclass gives the fixture `url`."""

    @pytest.fixture
    def record(self, url: str) -> Iterator[Record]:
        """Opens the record, and closes it after the test."""
        with open_record(url, wait=10) as opened:
            yield opened

    def test_it_is_there_when_opened_again(self, record: Record, url: str) -> None:
        """With every kind of content."""
        with record.transaction():
            for row in ROWS:
                record.add(row)
            record.measure("run_1", {"a": 1.5})
            record.set_state("flights", "key", [1])
        record.close()
        record.close()
        with open_record(url) as again:
            assert [again.get(type(row), row.id) for row in ROWS] == list(ROWS)
            assert again.measurements("run_1") == {"a": 1.5}
            assert again.state("flights", "key") == [1]

    def test_others_do_not_see_an_open_transaction(self, record: Record, url: str) -> None:
        """Neither another connection nor another thread."""
        with open_record(url) as other, record.transaction():
            record.add(RunRow("run_1", "flights", NOON))
            assert other.find(RunRow) == []
            seen: list[int] = []
            _in_threads(1, lambda _: seen.append(len(record.find(RunRow))))
            assert seen == [0]

    def test_many_processes_open_a_new_record_at_once(self, url: str) -> None:
        """One makes the tables, and all find them."""
        script = """
            from everloop.record import RunRow, open_record
            from datetime import UTC, datetime
            with open_record(sys.argv[1], wait=30) as record:
                record.add(RunRow(f"run_{sys.argv[2]}", "flights", datetime(2013, 5, 1, tzinfo=UTC)))
        """
        processes = [_process(script, url, str(number)) for number in range(4)]
        assert [_finished(process) for process in processes] == [""] * 4
        with open_record(url) as record:
            assert len(record.find(RunRow)) == 4

    def test_a_lease_holds_across_processes(self, record: Record, url: str) -> None:
        """Of several processes that ask at once, one gets it, and we do not."""
        script = """
            from everloop.record import open_record
            from datetime import UTC, datetime
            noon = datetime(2013, 5, 1, 12, tzinfo=UTC)
            with open_record(sys.argv[1], wait=30) as record:
                print(record.lease("rollout:flights", sys.argv[2], noon.replace(hour=13), noon))
        """
        processes = [_process(script, url, str(number)) for number in range(3)]
        answers = [_finished(process).strip() for process in processes]
        assert sorted(answers) == ["False", "False", "True"]
        assert not record.lease("rollout:flights", "us", NOON + 2 * HOUR, NOON)
        assert record.lease("rollout:flights", "us", NOON + 2 * HOUR, NOON + HOUR)

    def test_nothing_remains_of_a_process_killed_in_its_transaction(self, record: Record, url: str) -> None:
        """And its lock goes with it."""
        script = """
            from everloop.record import RunRow, open_record
            from datetime import UTC, datetime
            record = open_record(sys.argv[1])
            with record.transaction():
                record.add(RunRow("run_1", "flights", datetime(2013, 5, 1, tzinfo=UTC)))
                print("written", flush=True)
                sys.stdin.read()
        """
        process = _process(script, url)
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.kill()
        process.communicate()
        record.add(RunRow("run_2", "flights", NOON))
        assert [row.id for row in record.find(RunRow)] == ["run_2"]

    def test_a_holder_that_does_not_let_go_is_named(self, record: Record, url: str) -> None:
        """Which record, and how long was waited."""
        record.add(RunRow("run_1", "flights", NOON))
        with open_record(url, wait=0.3) as other, record.transaction():
            record.put(RunRow("run_1", "flights", NOON, reason="ours"))
            with pytest.raises(RecordBusy, match=r"record.*waited \d+\.\d s") as caught:
                other.put(RunRow("run_1", "flights", NOON, reason="theirs"))
            assert caught.value.hint
        assert record.get(RunRow, "run_1").reason == "ours"


def _in_threads(count: int, work: Callable[[int], object]) -> None:
    faults: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001  (told to the test)
            faults.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def _process(script: str, *arguments: str) -> subprocess.Popen[str]:
    code = "import sys\n" + textwrap.dedent(script)
    return subprocess.Popen(  # noqa: S603  (this interpreter, with the script above)
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finished(process: subprocess.Popen[str]) -> str:
    output, faults = process.communicate(timeout=60)
    assert process.returncode == 0, faults
    return output
