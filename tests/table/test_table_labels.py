import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.core.errors import DataFault
from everloop.table.labels import class_indices, label_counts, label_text, label_texts


@given(
    st.one_of(
        st.lists(st.one_of(st.none(), st.floats())),
        st.lists(st.one_of(st.none(), st.booleans())),
        st.lists(st.one_of(st.none(), st.integers(-(2**60), 2**60))),
        st.lists(st.one_of(st.none(), st.text())),
    )
)
def test_a_column_is_spelled_as_its_values_are(values):
    column = pl.Series("label", values, strict=False)
    assert label_texts(column).to_list() == [label_text(value) for value in column.to_list()]


def test_positions_follow_the_classes_and_missing_is_nan():
    found = class_indices(pl.Series("y", [1, None, 0]), ["0", "1"])
    assert found[0] == 1
    assert math.isnan(found[1])
    assert found[2] == 0
    assert found.dtype == np.float64


def test_a_label_that_is_no_class_is_named():
    with pytest.raises(DataFault, match=r"'y' holds \['maybe'\]"):
        class_indices(pl.Series("y", ["yes", "maybe"]), ["no", "yes"])


TYPES = (
    pl.String, pl.Float64, pl.Int8, pl.Boolean, pl.Null, pl.Date, pl.Datetime("us", "UTC"), pl.Categorical,
    pl.Enum(["a"]), pl.Decimal(10, 2), pl.List(pl.Int64), pl.Object,
)  # fmt: skip


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_column_without_a_value_is_text_all_the_same(kind, rows):
    column = pl.Series("y", [None] * rows, dtype=kind)
    texts = label_texts(column)
    assert (texts.name, texts.dtype, texts.to_list()) == ("y", pl.String, [None] * rows)
    assert label_counts(column) == {}
    assert np.isnan(class_indices(column, ["no", "yes"])).tolist() == [True] * rows


@pytest.mark.parametrize("name", ["count", "rows", "label", "len", "index", "literal", "", "a b", "é"])
def test_labels_are_counted_whatever_the_column_is_called(name):
    column = pl.Series(name, [1.0, 2.0, None, 2.0, float("nan"), 3.0])
    assert list(label_counts(column).items()) == [("2", 2), ("1", 1), ("3", 1)]
