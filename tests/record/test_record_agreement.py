"""Whatever is done to them, the record in memory and the record in SQLite answer alike."""

import contextlib
import math
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from everloop.core.errors import EverloopError
from everloop.record import RunRow, VersionRow, open_record
from everloop.testing.memory_record import MemoryRecord
from everloop.testing.record_suite import NOON

names = st.sampled_from(["a", "b", "c"])
texts = st.text(max_size=8).filter(lambda text: text.isprintable())
json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
times = st.integers(-1000, 1000).map(lambda hours: NOON + timedelta(hours=hours, microseconds=hours))


class Broken(Exception):
    pass


class Agreement(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.memory = MemoryRecord()
        self.sqlite = open_record(f"sqlite:///{self.folder}/record.db")

    def teardown(self):
        self.sqlite.close()
        shutil.rmtree(self.folder)

    def both(self, work):
        answers = []
        for record in (self.memory, self.sqlite):
            try:
                answers.append(work(record))
            except EverloopError as error:
                answers.append((type(error), error.message))
        assert answers[0] == answers[1]

    @rule(
        name=names,
        at=times,
        reason=texts,
        facts=st.dictionaries(texts, json, max_size=3),
        way=st.sampled_from(["add", "put"]),
    )
    def write_run(self, name, at, reason, facts, way):
        self.both(lambda record: getattr(record, way)(RunRow(name, "x", at, reason=reason, facts=facts)))

    @rule(name=names, number=st.integers(1, 3), way=st.sampled_from(["add", "put"]))
    def write_version(self, name, number, way):
        self.both(lambda record: getattr(record, way)(VersionRow(name, "x", NOON, number=number)))

    @rule(cause=names, effect=names, role=names)
    def link(self, cause, effect, role):
        self.both(lambda record: record.link(cause, effect, role))

    @rule(owner=names, numbers=st.dictionaries(names, st.floats(allow_nan=False), max_size=3))
    def measure(self, owner, numbers):
        self.both(lambda record: record.measure(owner, numbers))

    @rule(key=names, value=json, expect=st.none() | st.integers(0, 3))
    def set_state(self, key, value, expect):
        self.both(lambda record: record.set_state("x", key, value, expect=expect))

    @rule(name=names, holder=names, until=times, now=times)
    def lease(self, name, holder, until, now):
        self.both(lambda record: record.lease(name, holder, until, now))

    @rule(name=names, holder=names)
    def release(self, name, holder):
        self.both(lambda record: record.release(name, holder))

    @rule(name=names, fails=st.booleans(), nested=st.booleans())
    def transaction(self, name, fails, nested):
        def work(record):
            with contextlib.suppress(Broken), record.transaction():
                record.put(RunRow(name, "y", NOON))
                with record.transaction() if nested else contextlib.nullcontext():
                    record.measure(name, {"z": 1})
                    record.set_state("x", name, "in a transaction")
                if fails:
                    raise Broken

        self.both(work)

    @rule(
        order=st.sampled_from(["at", "-at", "reason", "-finished_at"]),
        limit=st.none() | st.integers(0, 2),
        at=times,
    )
    def find(self, order, limit, at):
        self.both(lambda record: record.find(RunRow, order=order, limit=limit))
        self.both(lambda record: record.find(RunRow, at=at))
        self.both(lambda record: record.find(RunRow, lifecycle=["y", "z"]))

    @invariant()
    def they_agree(self):
        for name in "abc":
            self.both(lambda record, name=name: record.get(RunRow, name))
            self.both(lambda record, name=name: record.get(VersionRow, name))
            self.both(lambda record, name=name: (record.causes(name), record.effects(name)))
            self.both(
                lambda record, name=name: [
                    (k, v, math.copysign(1, v)) for k, v in record.measurements(name).items() if v
                ]
            )
            self.both(
                lambda record, name=name: (record.state("x", name, "none"), record.generation("x", name))
            )


TestAgreement = Agreement.TestCase
TestAgreement.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
