"""Texts that hold numbers or times, read as what they hold: for tables that no data phase has cleaned.

A time kept as text has as many values as rows and would be left out; read, its hour and its weekday are
features. What is read is an expression over the raw column, so a served row is read in the same way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from everloop.model.folds import thinned

if TYPE_CHECKING:
    from everloop.model.training_inputs import Parts
    from everloop.spec.frame import Frame
    from everloop.table.text_types import TextType

LOOKED_AT = 20_000
"""So many rows, evenly over all, show what a text holds."""


def read_texts(parts: Parts, frame: Frame) -> Parts:
    """Gives parts whose texts have a twin of numbers or times wherever they hold such.

    Args:
        parts: The rows; columns that something stands for already are left as they are.
        frame: The problem; only its inputs are looked at.
    """
    import polars as pl

    from everloop.table.cleaning import CleaningPlan, ColumnCleaning, ReadNumber, ReadTime, free_name
    from everloop.table.text_types import text_types

    def reading(name: str, found: TextType) -> ColumnCleaning:
        action = ReadNumber(found.style) if found.kind == "number" else ReadTime(found.forms)
        return ColumnCleaning(name, "text", free_name(f"{name}_clean", set(parts.train.columns)), (action,))

    texts = [
        name
        for name, kind in parts.train.schema.items()
        if kind == pl.String and name in frame.inputs and name not in parts.replaced
    ]
    if not texts:
        return parts
    rows = thinned(np.arange(parts.train.height), LOOKED_AT)
    held = parts.train.select(texts)[rows]
    found = text_types(held.lazy(), {name: pl.col(name) for name in texts})
    plan = CleaningPlan(tuple(reading(name, one) for name, one in found.items() if one.kind != "text"))
    return replace(
        parts,
        definitions=(*parts.definitions, *plan.definitions),
        replaced={**parts.replaced, **plan.clean_names},
    )
