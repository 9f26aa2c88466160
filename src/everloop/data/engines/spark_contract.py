"""A Spark table held against a contract: judged in one query, and what failed is looked up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.core.errors import SpecFault
from everloop.core.extras import require
from everloop.data.engines.spark_probes import Columns, spark_probes
from everloop.data.engines.spark_session import EXTRA
from everloop.data.engines.spark_stream import streamed
from everloop.table.contract.checking import EXAMPLES, Held, LookedUp, which_fail
from everloop.table.contract.references import ROW as POSITION
from everloop.table.expression.spark_form import quoted

if TYPE_CHECKING:
    import polars as pl

    from everloop.table.contract.probes import Probe


@dataclass(frozen=True)
class SparkHeld(Held):
    """A table on Spark.

    Attributes:
        table: The Spark table, with the position of each row in the column `row`.
        row: That column's name.
    """

    table: Any = None
    row: str = ""

    def judged(self, now: datetime | None) -> tuple[int, list[tuple[Probe, int]]]:
        """Judges all probes in one query."""
        probes = spark_probes(self.contract, Columns(self.schema, dict(self.table.dtypes)), now)
        measured = [
            f"{f'count_if({probe.fails})' if probe.measure is None else probe.measure} AS n{place}"
            for place, probe in enumerate(probes)
        ]
        facts = self._run(self.table.selectExpr("count(*) AS rows", *measured), 1)
        return which_fail(probes, facts.row(0, named=True))

    def looked_up(self, failing: Sequence[tuple[Probe, int]]) -> LookedUp:
        """Counts the rows that fail, and brings the first ones and how often their values do."""
        probes = [probe for probe, _ in failing]
        return LookedUp(self._rows_broken(probes), tuple(self._looked_up(probe) for probe in probes))

    def _rows_broken(self, probes: list[Probe]) -> int:
        marked = self.table.selectExpr(*(f"{probe.fails} AS f{place}" for place, probe in enumerate(probes)))
        any_of = " OR ".join(f"coalesce(f{place}, false)" for place in range(len(probes)))
        return int(self._run(marked.selectExpr(f"count_if({any_of}) AS broken"), 1).item())

    def _looked_up(self, probe: Probe) -> tuple[pl.DataFrame, pl.DataFrame]:
        shown = [quoted(name) for name in probe.shows]
        position = f"{self.row} AS {POSITION}"
        failing = (
            self.table.selectExpr(position, *shown, f"{probe.fails} AS fails").where("fails").drop("fails")
        )
        first = self._run(failing.orderBy(POSITION).limit(EXAMPLES), EXAMPLES)
        if len(shown) != 1:
            return first, self._run(failing.selectExpr("count(*) AS failing"), 1)
        functions = require("pyspark.sql.functions", extra=EXTRA)
        counted = failing.groupBy(*shown).agg(
            functions.expr("count(*) AS failing"), functions.expr(f"min({POSITION}) AS {POSITION}")
        )
        return first, self._run(counted, None)

    def _run(self, query: Any, rows: int | None) -> pl.DataFrame:
        errors = require("pyspark.errors", extra=EXTRA)
        try:
            return streamed(query, rows).collect()
        except errors.PySparkException as error:
            if "INVALID_REGEXP" in str(error) or "PatternSyntax" in str(error):
                raise SpecFault(
                    "A pattern of the contract cannot be used on Spark: "
                    f"{str(error).strip().splitlines()[0]}",
                    hint="write it without what only one kind of regular expression knows",
                ) from error
            raise
