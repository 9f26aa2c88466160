import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.core.errors import DataFault
from everloop.table.labels import class_indices, label_text, label_texts


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
