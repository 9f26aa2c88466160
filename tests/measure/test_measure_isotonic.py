import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.errors import DataFault
from everloop.measure.isotonic import fit_isotonic

ROWS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 1), st.integers(0, 3)), min_size=2, max_size=60)


@given(rows=ROWS)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_the_curve_is_scikit_learns(rows):
    from sklearn.isotonic import IsotonicRegression

    scores, actual, weights = (np.array(each, dtype=float) for each in zip(*rows, strict=True))
    if not weights.any():
        weights[:] = 1.0
    theirs = IsotonicRegression(out_of_bounds="clip").fit(scores, actual, weights)
    asked = np.linspace(-1, 9, 41)
    np.testing.assert_allclose(
        fit_isotonic(scores, actual, weights).apply(asked), theirs.predict(asked), atol=1e-9
    )


def test_no_row_is_refused():
    with pytest.raises(DataFault, match="no row"):
        fit_isotonic([0.1], [1], [0.0])
