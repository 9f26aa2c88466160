"""An Apache Beam transform that holds rows against a contract and cleans them: for Dataflow, Flink, Spark.

Rows are dicts. The check is the server's and the cleaning is the training's: the same code on one row.

    rows = pipeline | beam.io.ReadFromParquet("gs://bucket/loans-*.parquet")
    checked = rows | conform("contract.yaml", dataset.plan)
    checked.good | beam.io.WriteToParquet("gs://bucket/clean/loans", schema)
    checked.bad | beam.Map(json.dumps) | beam.io.WriteToText("gs://bucket/bad/loans")
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from everloop.core.extras import require
from everloop.core.values import to_jsonable
from everloop.table.cleaning import CleaningPlan
from everloop.table.contract import Contract, RowChecker, load_contract, row_checker

EXTRA = "beam"
GOOD, BAD = "good", "bad"
"""The outputs: clean rows, and rows that break the contract with what is wrong with each."""


def conform(contract: Contract | str | Path, plan: CleaningPlan | None = None) -> Any:
    """Makes the transform: from rows to the outputs `good` and `bad`.

    A good row has the contract's columns in its types (times as datetimes in UTC) and the clean twins that
    the plan adds. A bad row is ``{"row": ..., "violations": [{"field", "rule", "expected", "type"}]}``, as
    JSON can carry it. What one row alone cannot show (uniqueness, shares, row counts, freshness,
    references) is not looked at, and rules of severity ``warn`` refuse no row.

    Args:
        contract: What rows must satisfy, or the path of its file, which is read now.
        plan: What cleaning was fitted, such as `Dataset.plan`; None cleans nothing.

    Returns:
        A `beam.PTransform` on a collection of dicts.

    Raises:
        MissingExtra: When Apache Beam is not installed.
        DataFault: When the contract's file is not there.
    """
    beam = require("apache_beam", extra=EXTRA)
    held = contract if isinstance(contract, Contract) else load_contract(contract)
    work = _Conforming(json.dumps(held.to_dict()), json.dumps((plan or CleaningPlan()).to_dict()))
    return beam.FlatMap(work).with_outputs(BAD, main=GOOD)


@dataclass(frozen=True)
class _Conforming:
    """What is sent to the workers: contract and plan as JSON, compiled where rows are."""

    contract: str
    plan: str

    def __call__(self, row: Mapping[str, Any]) -> Iterator[Any]:
        checker, clean = _compiled(self.contract, self.plan)
        values, violations = checker.normalise(row)
        if not violations:
            yield clean(values)
            return
        told = {"row": to_jsonable(dict(row)), "violations": [one._asdict() for one in violations]}
        yield require("apache_beam.pvalue", extra=EXTRA).TaggedOutput(BAD, told)


@lru_cache(maxsize=16)
def _compiled(contract: str, plan: str) -> tuple[RowChecker, Callable[[Mapping[str, Any]], dict[str, Any]]]:
    cleaning = CleaningPlan.from_dict(json.loads(plan))
    return row_checker(Contract.from_dict(json.loads(contract))), cleaning.row_cleaner()
