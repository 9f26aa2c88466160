"""Reasons are what their definition says, however little of the vector is written anew for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.runtime import explain
from everloop.runtime.explain import Reasons
from everloop.runtime.plan import (
    DerivedColumn,
    LookupEncoder,
    NumberEncoder,
    OneHotEncoder,
    Plan,
    PlanInput,
    compile_row,
    compile_rows,
)
from everloop.table.expression import parse

TYPES = {"a": "number", "b": "number", "c": "text", "d": "number", "unread": "number"}
PLAN = Plan(
    inputs=tuple(PlanInput(name, kind) for name, kind in TYPES.items()),
    encoders=(
        NumberEncoder("a", 0, low=-3.0, high=3.0, fill=0.5, centre=0.25, scale=2.0, indicator=True),
        OneHotEncoder("c", 2, ("x", "y"), other=True),
        NumberEncoder("ratio", 5, fill=0.0),
        NumberEncoder("b", 6, fill=1.0, float32=True),
        LookupEncoder("c", 7, {"x": 0.5, "z": -2.0}, unknown=0.1, missing=0.2),
    ),
    width=8,
    derived=(DerivedColumn("ratio", parse("b / d", TYPES).to_dict()),),
)
REFERENCE = {"a": 0.1, "b": 2.0, "c": "y", "d": 4.0, "unread": 7.0}
NUMBERS = st.none() | st.floats(-10, 10)
ROWS = st.fixed_dictionaries(
    {
        "a": NUMBERS,
        "b": NUMBERS,
        "c": st.sampled_from([None, "x", "y", "z", "w"]),
        "d": NUMBERS,
        "unread": NUMBERS,
    }
)


def scores(vectors: np.ndarray) -> np.ndarray:
    """Three scores in which all slots act together."""
    mixed = np.tanh(np.nan_to_num(vectors) @ np.sin(np.arange(24.0)).reshape(8, 3))
    return mixed + mixed[:, ::-1] ** 2


def by_definition(row: dict[str, Any]) -> dict[str, float]:
    encode = compile_row(PLAN)
    own = scores(encode(row)[None])[0]
    found = {}
    for column, typical in REFERENCE.items():
        other = scores(encode({**row, column: typical})[None])[0]
        found[column] = own[own.argmax()] - other[own.argmax()]
    return found


@pytest.mark.parametrize("cells", [1 << 20, 16, 1])
def test_reasons_are_the_changes_of_the_score(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    monkeypatch.setattr(explain, "_MOST_CELLS", cells)
    reasons = Reasons(REFERENCE, compile_rows(PLAN), scores, PLAN)

    @settings(deadline=None)
    @given(ROWS)
    def holds(row: dict[str, Any]) -> None:
        expected = by_definition(row)
        told = {reason.column: reason for reason in reasons.of(row, 5)}
        for column, effect in expected.items():
            assert (told[column].effect if column in told else 0.0) == pytest.approx(effect, abs=1e-12)
        sizes = [abs(reason.effect) for reason in told.values()]
        assert sizes == sorted(sizes, reverse=True)
        assert "unread" not in told

    holds()


def test_a_column_with_its_typical_value_is_no_reason() -> None:
    assert Reasons(REFERENCE, compile_rows(PLAN), scores, PLAN).of(REFERENCE, 5) == ()
