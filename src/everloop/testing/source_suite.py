"""What every source must pass.

A test module subclasses `SourceSuite` for its kind and says how a table is put where the source
reads it::

    class TestFiles(SourceSuite):
        kind = "file"

        def offer(self, table, folder):
            table.write_parquet(folder / "rows.parquet")
            return FileSource(file="rows.parquet")

        def withdraw(self, folder):
            (folder / "rows.parquet").unlink()

A kind that can continue where it was passes `incremental_source_suite.IncrementalSourceSuite` too.
"""
# ruff: noqa: S101, D102, PT017  (a suite asserts, and a test's name says what it holds)

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.core.clock import SimulatedClock
from everloop.core.errors import OutsideFault, SourceUnreachable
from everloop.core.progress import Event
from everloop.data.sources import Reading, Source, Surroundings, installed_kinds, open_source

if TYPE_CHECKING:
    import polars as pl

START = datetime(2013, 5, 1, tzinfo=UTC)


def example_table(rows: int = 50) -> pl.DataFrame:
    """Makes a table with each of the five types, missing values and texts that are hard to carry."""
    import polars as pl

    texts = ["plain", "two\nlines", 'a "quoted" word', "comma, semicolon;", "żółć 漢字", " blanks ", "00123"]
    return pl.DataFrame(
        {
            "id": pl.Series(range(rows), dtype=pl.Int64),
            "amount": pl.Series([None if i % 7 == 0 else i / 3 for i in range(rows)], dtype=pl.Float64),
            "note": pl.Series([None if i % 5 == 0 else texts[i % 7] for i in range(rows)], dtype=pl.String),
            "paid": pl.Series([None if i % 11 == 0 else i % 2 == 0 for i in range(rows)], dtype=pl.Boolean),
            "at": pl.Series(
                [START.replace(minute=i % 60) for i in range(rows)], dtype=pl.Datetime("us", "UTC")
            ),
        }
    )


class SourceSuite(ABC):
    """The behaviour that `Source` states, as tests.

    Attributes:
        kind: The name of the kind in the registry.
        secrets: Texts that no message, fingerprint or repr may carry.
        loose: Columns whose type the kind cannot keep, such as booleans in SQLite, with the reason.
        waits: Whether a source that is not there is tried again; a file that is not there is not.
    """

    kind: ClassVar[str]
    secrets: ClassVar[tuple[str, ...]] = ()
    loose: ClassVar[dict[str, str]] = {}
    waits: ClassVar[bool] = False

    @abstractmethod
    def offer(self, table: pl.DataFrame, folder: Path) -> Any:
        """Puts a table where the source reads it, in place of an earlier one, and gives its spec."""

    @abstractmethod
    def withdraw(self, folder: Path) -> None:
        """Makes the source unreachable."""

    def restore(self, folder: Path) -> None:
        """Makes a source that was withdrawn reachable again; for kinds that wait."""
        raise NotImplementedError(f"{type(self).__name__} waits, but cannot restore its source in {folder}")

    def open(self, table: pl.DataFrame, folder: Path) -> Source:
        """Opens the source on a table."""
        return self.reopen(self.offer(table, folder), folder)

    def reopen(self, spec: Any, folder: Path, **surroundings: Any) -> Source:
        """Opens the source on what was offered before."""
        around = {"folder": folder, "clock": SimulatedClock(START), **surroundings}
        return open_source(self.kind, spec, Surroundings(**around))

    def rows(self, source: Source, scratch: Path) -> pl.DataFrame:
        """Reads a source into memory."""
        import polars as pl

        scratch.mkdir()
        return pl.concat([pl.read_parquet(file) for file in source.read(scratch).files])

    def test_is_a_source_of_its_kind(self, tmp_path: Path) -> None:
        source = self.open(example_table(), tmp_path)
        assert isinstance(source, Source)
        assert source.capabilities.kind == self.kind
        assert self.kind in installed_kinds()

    def test_every_row_comes_once_with_its_values(self, tmp_path: Path) -> None:
        table = example_table()
        found = self.rows(self.open(table, tmp_path), tmp_path / "scratch").sort("id")
        assert found.columns == table.columns
        for name in table.columns:
            if name not in self.loose:
                assert found[name].to_list() == table[name].to_list(), name

    def test_types_are_kept(self, tmp_path: Path) -> None:
        from everloop.table.schema import schema_of

        table = example_table()
        found = schema_of(self.rows(self.open(table, tmp_path), tmp_path / "scratch")).types
        wanted = schema_of(table).types
        for name, kind in wanted.items():
            assert name in self.loose or found[name] == kind, name

    def test_two_readings_are_equal(self, tmp_path: Path) -> None:
        source = self.open(example_table(), tmp_path)
        first, second = (self.rows(source, tmp_path / name) for name in ("one", "two"))
        assert first.schema == second.schema
        if not source.capabilities.keeps_order:
            first, second = first.sort("id"), second.sort("id")
        assert first.equals(second)

    def test_many_rows_come_once_each(self, tmp_path: Path) -> None:
        found = self.rows(self.open(example_table(45_000), tmp_path), tmp_path / "scratch")
        assert found["id"].sort().to_list() == list(range(45_000))

    def test_a_table_without_rows_has_its_columns(self, tmp_path: Path) -> None:
        table = example_table(0)
        source = self.open(table, tmp_path)
        if not source.capabilities.knows_columns:
            return
        found = self.rows(source, tmp_path / "scratch")
        assert found.columns == table.columns
        assert found.height == 0

    def test_fingerprint_is_the_content(self, tmp_path: Path) -> None:
        table = example_table()
        source = self.open(table, tmp_path)
        first = source.fingerprint()
        assert json.loads(json.dumps(first)) == first
        assert self.reopen(self.offer(table, tmp_path), tmp_path).fingerprint() == first
        changed = self.open(table.with_columns(id=table["id"] + 1), tmp_path)
        assert changed.fingerprint() != first

    def test_reading_names_what_it_read(self, tmp_path: Path) -> None:
        source = self.open(example_table(), tmp_path)
        (tmp_path / "scratch").mkdir()
        reading = source.read(tmp_path / "scratch")
        assert isinstance(reading, Reading)
        assert reading.fingerprint == source.fingerprint()

    def test_what_is_not_there_is_unreachable(self, tmp_path: Path) -> None:
        spec = self.offer(example_table(), tmp_path)
        self.withdraw(tmp_path)
        (tmp_path / "scratch").mkdir()
        message = ""
        try:
            self.reopen(spec, tmp_path).read(tmp_path / "scratch")
        except OutsideFault as error:
            message = f"{error} {error.hint} {error.__cause__}"
            assert error.exit_status == 3
        assert message, "a source that is not there gave an answer"
        assert not any(secret in message for secret in self.secrets)

    def test_one_that_does_not_answer_is_tried_again_with_pauses_that_grow(self, tmp_path: Path) -> None:
        if not self.waits:
            return
        spec = self.offer(example_table(), tmp_path)
        self.withdraw(tmp_path)
        told: list[Event] = []
        clock = SimulatedClock(START)
        source = self.reopen(spec, tmp_path, clock=clock, progress=told.append)
        fault = None
        try:
            source.fingerprint()
        except SourceUnreachable as error:
            fault = error
        assert fault is not None
        assert fault.message.endswith("Tried 4 times.")
        assert clock.now() - START == timedelta(seconds=1 + 2 + 4)
        notices = [event.message for event in told if event.kind == "notice"]
        assert len(notices) == 3
        assert all("Trying again in" in notice for notice in notices)
        shown = f"{fault} {fault.hint} {fault.__cause__} {notices}"
        assert not any(secret in shown for secret in self.secrets)

    def test_one_that_answers_again_gives_its_rows(self, tmp_path: Path) -> None:
        if not self.waits:
            return
        table = example_table()
        spec = self.offer(table, tmp_path)
        self.withdraw(tmp_path)
        clock = _Restoring(lambda: self.restore(tmp_path), failures=2)
        found = self.rows(self.reopen(spec, tmp_path, clock=clock), tmp_path / "scratch")
        assert sorted(found["id"].to_list()) == table["id"].to_list()
        assert clock.slept == [1.0, 2.0]

    def test_reading_from_outside_tells_how_far_it_is(self, tmp_path: Path) -> None:
        told: list[Event] = []
        source = self.reopen(self.offer(example_table(), tmp_path), tmp_path, progress=told.append)
        self.rows(source, tmp_path / "scratch")
        counted = [event.facts["rows"] for event in told if "rows" in event.facts]
        assert not source.capabilities.needs_network or counted[-1] == 50

    def test_no_secret_is_shown(self, tmp_path: Path) -> None:
        source = self.open(example_table(), tmp_path)
        shown = f"{source!r} {source.fingerprint()}"
        assert not any(secret in shown for secret in self.secrets)


class _Restoring:
    """A clock that mends what is broken during a pause."""

    def __init__(self, mend: Callable[[], None], failures: int) -> None:
        self._mend = mend
        self._failures = failures
        self.slept: list[float] = []

    def now(self) -> datetime:
        return START

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == self._failures:
            self._mend()
