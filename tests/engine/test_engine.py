import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.clock import SimulatedClock
from everloop.core.errors import (
    DataFault,
    OutsideFault,
    RecordBusy,
    SourceUnreachable,
    StorageFull,
    UsageFault,
)
from everloop.engine import Engine, Step
from everloop.record import ArtifactStore, Link, RunRow, StepRow
from everloop.testing.memory_record import MemoryRecord
from everloop.testing.record_suite import NOON


class Bench:
    """An engine, what it was told, and a function that counts its calls."""

    def __init__(self, folder):
        self.record = MemoryRecord()
        self.store = ArtifactStore(folder)
        self.clock = SimulatedClock(NOON)
        self.events = []
        self.calls = []
        self.record.add(RunRow("run_1", "flights", NOON))
        self.engine = self.new_engine("run_1")

    def new_engine(self, run_id):
        return Engine(self.record, self.store, self.clock, self.events.append, run_id)

    def write(self, folder, settings, inputs):
        self.calls.append(settings.get("name", "?"))
        text = "".join((path / "out").read_text() for _, path in sorted(inputs.items()))
        (folder / "out").write_text(text + settings.get("text", "x"))
        return {"length": len(text), "tuple": (1, 2)}

    def step(self, name="a", inputs=None, **settings):
        return Step(name, "data", 1, self.write, {"name": name, **settings}, inputs or {})

    def notices(self):
        return [event.message for event in self.events if event.kind == "notice"]


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "artifacts")
    yield made
    made.store.close()


def test_a_step_is_executed_once(bench):
    first = bench.engine.run(bench.step(text="hello"))
    again = bench.engine.run(bench.step(text="hello"))
    assert bench.calls == ["a"]
    assert (first.cached, again.cached) == (False, True)
    assert first.facts == again.facts == {"length": 0, "tuple": [1, 2]}
    assert first.key == again.key
    assert first.id == again.id
    assert (again.path / "out").read_text() == "hello"


def test_facts_of_the_same_step_are_not_shared(bench):
    first = bench.engine.run(bench.step())
    first.facts["length"] = -1
    assert bench.engine.run(bench.step()).facts["length"] == 0


def test_the_row_says_what_was_done(bench):
    a = bench.engine.run(bench.step("a"))
    b = bench.engine.run(bench.step("b", {"first": a}))
    row = bench.record.get(StepRow, b.id)
    assert (row.lifecycle, row.run, row.name, row.phase, row.status) == (
        "flights",
        "run_1",
        "b",
        "data",
        "done",
    )
    assert row.facts["inputs"] == {"first": a.key}
    assert row.facts["settings"] == {"name": "b"}
    assert row.facts["artifact"] == b.digest
    assert bench.record.causes(b.id) == [Link(a.id, b.id, "first")]


def test_a_change_reaches_everything_behind_it_and_nothing_else(bench):
    def run(text):
        bench.calls.clear()
        a = bench.engine.run(bench.step("a", text=text))
        b = bench.engine.run(bench.step("b"))
        c = bench.engine.run(bench.step("c", {"x": a, "y": b}))
        return bench.calls.copy(), (c.path / "out").read_text()

    assert run("1") == (["a", "b", "c"], "1xx")
    assert run("1") == ([], "1xx")
    assert run("2") == (["a", "c"], "2xx")
    assert run("1") == ([], "1xx")


@pytest.mark.parametrize(
    "change",
    [{"name": "other"}, {"phase": "model"}, {"version": 2}, {"settings": {"n": 2}}, {"settings": {"n": "1"}}],
)
def test_what_the_key_depends_on(bench, change):
    from dataclasses import replace

    step = Step("a", "data", 1, bench.write, {"n": 1})
    assert step.key == Step("a", "data", 1, bench.write, {"n": 1}).key
    assert replace(step, **change).key != step.key


@given(st.permutations([("a", 1), ("b", [1, 2]), ("c", {"d": None})]))
@settings(max_examples=6, derandomize=True)
def test_the_order_of_settings_does_not_matter(pairs):
    assert (
        Step("a", "data", 1, print, dict(pairs)).key == Step("a", "data", 1, print, dict(sorted(pairs))).key
    )


def test_another_run_notes_what_it_took_over(bench):
    first = bench.engine.run(bench.step())
    engine = bench.new_engine("run_2")
    for _ in range(2):
        assert engine.run(bench.step()).cached
    (row,) = bench.record.find(StepRow, run="run_2")
    assert row.status == "cached"
    assert bench.record.causes(row.id) == [Link(first.id, row.id, "executed")]
    assert len(bench.record.find(StepRow, run="run_1")) == 1


def test_a_run_that_failed_notes_what_another_one_made(bench):
    step = Step("a", "data", 1, failing(1, UsageFault("no")))
    with pytest.raises(UsageFault):
        bench.engine.run(step)
    bench.new_engine("run_2").run(step)
    assert bench.engine.run(step).cached
    assert sorted(row.status for row in bench.record.find(StepRow, run="run_1")) == ["cached", "failed"]


def test_unchanged_steps_do_not_open_files(bench, monkeypatch):
    a = bench.engine.run(bench.step("a"))
    bench.engine.run(bench.step("b", {"x": a}))
    engine = bench.new_engine("run_2")
    monkeypatch.setattr("everloop.record.artifact.digest_file", None)
    a = engine.run(bench.step("a"))
    assert engine.run(bench.step("b", {"x": a})).cached


@pytest.mark.parametrize("damage", ["folder", "file", "size"])
def test_missing_or_damaged_files_are_made_again(bench, damage):
    import shutil

    done = bench.engine.run(bench.step())
    if damage == "folder":
        shutil.rmtree(done.path.parent)
    elif damage == "file":
        (done.path / "out").unlink()
    else:
        (done.path / "out").write_text("longer than before")
    again = bench.new_engine("run_2").run(bench.step())
    assert not again.cached
    assert bench.calls == ["a", "a"]
    assert bench.notices() == ["a: its files are missing or damaged; it is done again"]
    assert (again.path / "out").read_text() == "x"
    assert bench.new_engine("run_3").run(bench.step()).cached


def test_a_changed_byte_is_found_before_it_is_read(bench):
    a = bench.engine.run(bench.step("a"))
    (a.path / "out").write_text("y")  # as long as before
    engine = bench.new_engine("run_2")
    a = engine.run(bench.step("a"))
    assert a.cached
    b = engine.run(bench.step("b", {"x": a}))
    assert (b.path / "out").read_text() == "xx"
    assert bench.calls == ["a", "a", "b"]
    assert bench.notices() == ["a: out does not have its digest; it is done again"]


def test_a_damaged_input_of_unknown_origin_is_told(bench):
    a = bench.engine.run(bench.step("a"))
    (a.path / "out").unlink()
    with pytest.raises(OutsideFault, match=r"cannot read its input 'x'.*out is missing"):
        bench.new_engine("run_2").run(bench.step("b", {"x": a}))


def failing(times, error):
    left = [times]

    def function(folder, settings, inputs):
        (folder / "half").write_text("half")
        if left[0]:
            left[0] -= 1
            raise error
        return {"ok": True}

    return function


def test_what_can_succeed_later_is_tried_again(bench):
    step = Step("a", "data", 1, failing(3, SourceUnreachable("The source is down.")))
    assert bench.engine.run(step).facts == {"ok": True}
    assert (bench.clock.now() - NOON).total_seconds() == 1 + 2 + 4
    assert bench.notices()[0] == "The source is down. Again in 1 s."


def test_retries_end(bench):
    with pytest.raises(SourceUnreachable):
        bench.engine.run(Step("a", "data", 1, failing(9, SourceUnreachable("down")), retries=2))
    (row,) = bench.record.find(StepRow)
    assert row.status == "failed"
    assert row.facts["error"]["code"] == "source-unreachable"
    assert bench.store.keys() == []


@pytest.mark.parametrize("error", [UsageFault("no"), ZeroDivisionError("no")])
def test_what_cannot_succeed_is_not_tried_again(bench, error):
    step = Step("a", "data", 1, failing(1, error))
    with pytest.raises(type(error)):
        bench.engine.run(step)
    assert bench.clock.now() == NOON
    assert bench.record.find(StepRow)[0].status == "failed"
    assert bench.engine.run(step).facts == {"ok": True}  # and a failure is not kept as a result


def test_an_interrupt_leaves_nothing(bench):
    step = Step("a", "data", 1, failing(1, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        bench.engine.run(step)
    assert bench.record.find(StepRow) == []
    assert bench.store.keys() == []
    assert not list(bench.store._kept.root.rglob("half"))
    assert bench.engine.run(step).facts == {"ok": True}


def test_a_commit_that_fails_is_taken_up_again(bench, monkeypatch):
    def busy(row):
        raise RecordBusy("held")

    with monkeypatch.context() as patched:
        patched.setattr(bench.record, "add", busy)
        with pytest.raises(RecordBusy):
            bench.engine.run(bench.step())
    done = bench.engine.run(bench.step())
    assert bench.calls == ["a"]  # its files were there, and whole
    assert not done.cached
    assert len(bench.record.find(StepRow)) == 1


def test_facts_without_a_json_form_are_refused(bench):
    with pytest.raises(DataFault, match="step 'a' of data returned"):
        bench.engine.run(Step("a", "data", 1, lambda folder, settings, inputs: {"x": object()}))
    assert bench.store.keys() == []


def test_a_function_may_return_nothing_and_write_nothing(bench):
    done = bench.engine.run(Step("a", "data", 1, lambda folder, settings, inputs: None))
    assert done.facts == {}
    assert list(done.path.iterdir()) == []
    assert bench.engine.run(Step("a", "data", 1, lambda folder, settings, inputs: None)).cached


@pytest.mark.parametrize("records", [1, 2])
def test_what_two_engines_need_at_once_is_made_once(tmp_path, records):
    from everloop.record import open_record

    executed, done = [], []
    begun = threading.Barrier(2)

    def function(folder, settings, inputs):
        executed.append(threading.current_thread().name)
        time.sleep(0.1)  # the other one has come to its lock by then
        (folder / "out").write_text(executed[0])

    def run(record, store):
        engine = Engine(record, store, SimulatedClock(NOON))
        begun.wait()
        done.append(engine.run(Step("a", "data", 1, function)))

    with (
        open_record(f"sqlite:///{tmp_path}/record.db") as record,
        open_record(f"sqlite:///{tmp_path}/record-{records}.db") as second,
        ArtifactStore(tmp_path / "artifacts") as store,
    ):
        other = record if records == 1 else second
        threads = [threading.Thread(target=run, args=(one, store)) for one in (record, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(done) == 2
        assert len(executed) == 1
        assert [len(one.find(StepRow, status="done")) for one in (record, other)] == [1, 1]
        assert list((tmp_path / "artifacts" / "making").iterdir()) == []
        assert done[0].digest == done[1].digest == store.find(done[0].key).digest
        assert Engine(record, store, SimulatedClock(NOON)).run(Step("a", "data", 1, function)).cached


def test_events(bench):
    bench.engine.run(bench.step())
    bench.engine.run(bench.step())
    assert [(event.phase, event.facts["step"], event.facts["state"]) for event in bench.events] == [
        ("data", "a", "started"),
        ("data", "a", "done"),
        ("data", "a", "cached"),
    ]


def test_a_full_disk_leaves_nothing_and_is_not_tried_again(bench):
    step = Step("a", "data", 1, failing(1, OSError(28, "No space left on device")))
    with pytest.raises(StorageFull, match="No room left"):
        bench.engine.run(step)
    assert bench.store.keys() == []
    assert not list(bench.store._kept.root.rglob("half"))
    assert bench.clock.now() == NOON
    assert bench.engine.run(step).facts == {"ok": True}
