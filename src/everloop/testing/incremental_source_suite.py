"""What every source that can continue where it was must pass, beside `source_suite.SourceSuite`.

A test module subclasses both and says how further rows are put where the source reads them::

    class TestMessages(IncrementalSourceSuite, SourceSuite):
        kind = "messages"
        exact = True                      # its positions are offsets

        def offer(self, table, folder): ...
        def withdraw(self, folder): ...
        def append(self, table, folder): ...
"""
# ruff: noqa: S101, D102  (a suite asserts, and a test's name says what it holds)

from __future__ import annotations

import json
import shutil
import sys
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.core.clock import SimulatedClock
from everloop.data.sources import Reading, Surroundings, open_source
from everloop.data.sources.keeping import KeptSource
from everloop.testing.source_suite import START, SourceSuite, example_table

if TYPE_CHECKING:
    import polars as pl


class IncrementalSourceSuite(SourceSuite):
    """The behaviour that `IncrementalSource` and `KeptSource` state, as tests.

    `offer_incremental` gives a spec that continues by the column `id` (or by offsets).

    Attributes:
        exact: Whether positions are exact, such as offsets; otherwise a cursor may have rows of equal
            value on both sides of a reading.
    """

    exact: ClassVar[bool] = False

    @abstractmethod
    def offer_incremental(self, table: pl.DataFrame, folder: Path) -> Any:
        """Does what `offer` does, and gives a spec that continues."""

    @abstractmethod
    def append(self, table: pl.DataFrame, folder: Path) -> None:
        """Adds rows to what was offered."""

    def kept(self, spec: Any, folder: Path, kept: Path | None = None) -> KeptSource:
        """Opens the source anew, as another process would, with what was kept."""
        around = Surroundings(folder=folder, clock=SimulatedClock(START), kept=kept or folder / "kept")
        source = open_source(self.kind, spec, around)
        assert isinstance(source, KeptSource)
        return source

    def table(self, reading: Reading) -> pl.DataFrame:
        """Reads all rows."""
        import polars as pl

        return pl.concat([pl.read_parquet(file) for file in reading.files])

    def ids(self, source: KeptSource, scratch: Path) -> Counter[int]:
        """Counts the rows by their `id`."""
        scratch.mkdir(parents=True)
        return Counter(self.table(source.read(scratch))["id"].to_list())

    def test_rows_that_came_since_are_added(self, tmp_path: Path) -> None:
        table = example_table(60)
        spec = self.offer_incremental(table[:40], tmp_path)
        assert self.ids(self.kept(spec, tmp_path), tmp_path / "one") == Counter(range(40))
        self.append(table[40:], tmp_path)
        (tmp_path / "two").mkdir()
        found = self.table(self.kept(spec, tmp_path).read(tmp_path / "two")).sort("id")
        for name in table.columns:
            if name not in self.loose:
                assert found[name].to_list() == table[name].to_list(), name

    def test_only_what_is_newer_is_read(self, tmp_path: Path) -> None:
        import polars as pl

        table = example_table(60)
        spec = self.offer_incremental(table[:40], tmp_path)
        source = self.kept(spec, tmp_path)
        position = source.fingerprint()["position"]
        self.append(table[40:], tmp_path)
        (tmp_path / "after").mkdir()
        given = [
            row
            for increment in source.source.read_after(position, tmp_path / "after")
            for file in increment.files
            for row in pl.read_parquet(file)["id"].to_list()
        ]
        assert sorted(given) == list(range(40 if self.exact else 39, 60))

    def test_equal_values_at_the_position_are_neither_lost_nor_doubled(self, tmp_path: Path) -> None:
        if self.exact:
            return
        import polars as pl

        table = example_table(40)
        last = table[39:]
        spec = self.offer_incremental(table, tmp_path)
        self.kept(spec, tmp_path).fingerprint()
        other = last.with_columns(note=pl.lit("another row with the same cursor"))
        self.append(pl.concat([other, last, last]), tmp_path)
        expected = Counter(range(40)) + Counter({39: 3})
        for name in ("one", "two"):
            assert self.ids(self.kept(spec, tmp_path), tmp_path / name) == expected

    def test_where_nothing_is_new_nothing_changes(self, tmp_path: Path) -> None:
        spec = self.offer_incremental(example_table(), tmp_path)
        first = self.kept(spec, tmp_path).fingerprint()
        files = _files(tmp_path / "kept")
        assert self.kept(spec, tmp_path).fingerprint() == first
        assert _files(tmp_path / "kept") == files

    def test_the_position_is_in_the_fingerprint(self, tmp_path: Path) -> None:
        table = example_table(60)
        spec = self.offer_incremental(table[:40], tmp_path)
        first = self.kept(spec, tmp_path).fingerprint()
        self.append(table[40:], tmp_path)
        second = self.kept(spec, tmp_path).fingerprint()
        assert first["position"]
        assert first["position"] != second["position"]
        assert json.loads(json.dumps(second)) == second
        assert (first["rows"], second["rows"]) == (40, 60)

    def test_however_it_was_read_the_fingerprint_is_that_of_the_rows(self, tmp_path: Path) -> None:
        table = example_table(60)
        spec = self.offer_incremental(table[:40], tmp_path)
        self.kept(spec, tmp_path).fingerprint()
        self.append(table[40:], tmp_path)
        by_parts = self.kept(spec, tmp_path).fingerprint()
        at_once = self.kept(spec, tmp_path, tmp_path / "elsewhere").fingerprint()
        assert by_parts == at_once

    def test_an_earlier_fingerprint_gives_the_earlier_table(self, tmp_path: Path) -> None:
        table = example_table(60)
        spec = self.offer_incremental(table[:40], tmp_path)
        first = self.kept(spec, tmp_path).fingerprint()
        self.append(table[40:], tmp_path)
        self.kept(spec, tmp_path).fingerprint()
        (tmp_path / "then").mkdir()
        reading = self.kept(spec, tmp_path).read_at(first, tmp_path / "then")
        assert reading.fingerprint == first
        assert sorted(self.table(reading)["id"].to_list()) == list(range(40))

    def test_types_do_not_depend_on_how_it_was_read(self, tmp_path: Path) -> None:
        import polars as pl

        whole = example_table(60)
        table = pl.concat(
            [
                whole[:40].with_columns(note=pl.lit(None, pl.String), amount=pl.lit(None, pl.Float64)),
                whole[40:],
            ]
        )
        spec = self.offer_incremental(table[:40], tmp_path)
        self.kept(spec, tmp_path).fingerprint()
        self.append(table[40:], tmp_path)
        found = []
        for name in ("kept", "elsewhere"):
            (tmp_path / f"scratch-{name}").mkdir()
            reading = self.kept(spec, tmp_path, tmp_path / name).read(tmp_path / f"scratch-{name}")
            found.append((self.table(reading).schema, reading.fingerprint))
        assert found[0] == found[1]

    def test_a_kill_at_any_moment_loses_no_row_and_doubles_none(self, tmp_path: Path) -> None:
        """The process dies before each thing that it does to the folder of kept parts, in turn."""
        table = example_table(60)
        spec = self.offer_incremental(table[:40], tmp_path)
        self.kept(spec, tmp_path).fingerprint()
        self.append(table[39:] if not self.exact else table[40:], tmp_path)
        expected = Counter(range(60)) + Counter([] if self.exact else [39])
        deaths = 0
        while True:
            state = tmp_path / f"state-{deaths}"
            shutil.copytree(tmp_path / "kept", state)
            with _death(state, after=deaths) as death:
                self.kept(spec, tmp_path, state).fingerprint()
            assert self.ids(self.kept(spec, tmp_path, state), tmp_path / f"s{deaths}") == expected, deaths
            shutil.rmtree(state)
            if not death.happened:
                break
            deaths += 1
        assert deaths > 5

    def test_a_damaged_part_is_named(self, tmp_path: Path) -> None:
        from everloop.core.errors import SourceUnreadable

        spec = self.offer_incremental(example_table(), tmp_path)
        self.kept(spec, tmp_path).fingerprint()
        part = next((tmp_path / "kept").rglob("*.parquet"))
        part.write_bytes(part.read_bytes()[:-1] + b"!")
        (tmp_path / "scratch").mkdir()
        message = ""
        try:
            self.kept(spec, tmp_path).read(tmp_path / "scratch")
        except SourceUnreadable as error:
            message = f"{error.message} {error.hint}"
        assert str(part) in message
        assert "rm -r" in message


class _Death(BaseException):
    """The process is gone: nothing that runs afterwards may touch the folder either."""

    happened = False


@contextmanager
def _death(folder: Path, *, after: int) -> Iterator[_Death]:
    """Ends the block at its `after`-th act upon the file system within a folder, as a kill would.

    Python tells of each act before it is done (PEP 578). Later acts fail too, so that no cleaning up
    happens; a hook cannot be taken away, so it is made to do nothing at the end.
    """
    death, acts, armed = _Death(), 0, True
    root = str(folder.resolve())

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal acts
        if not armed or event not in _ACTS:
            return
        if any(isinstance(one, (str, Path)) and str(one).startswith(root) for one in arguments):
            acts += 1
            if acts > after:
                death.happened = True
                raise death

    sys.addaudithook(hook)
    try:
        yield death
    except _Death:
        pass
    finally:
        armed = False


_ACTS = ("open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
