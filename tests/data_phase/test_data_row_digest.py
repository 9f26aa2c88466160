"""The digest of rows: a law about orders, cuts and types, and what must change it."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.data.sources.row_digest import MODULUS, digest_rows
from everloop.data.sources.united import united

ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**62), 2**62),
        st.none() | st.floats(allow_nan=False),
        st.none() | st.text(max_size=3),
        st.none() | st.booleans(),
    ),
    max_size=12,
)
SCHEMA = {"i": pl.Int64, "n": pl.Float64, "t": pl.String, "b": pl.Boolean}


def digest(folder, *frames):
    files = []
    for place, frame in enumerate(frames):
        files.append(folder / f"{place}.parquet")
        frame.write_parquet(files[-1])
    return digest_rows(files)


def frame_of(rows, schema=SCHEMA):
    return pl.DataFrame(rows, schema=schema, orient="row")


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, cut=st.integers(0, 12), random=st.randoms())
def test_neither_order_nor_cuts_matter(tmp_path_factory, rows, cut, random):
    folder = tmp_path_factory.mktemp("digest")
    whole = digest(folder, frame_of(rows))
    shuffled = list(rows)
    random.shuffle(shuffled)
    parts = (frame_of(shuffled[:cut]), frame_of(shuffled[cut:]))
    assert digest(folder, *parts) == whole
    assert sum(digest(folder, part) for part in parts) % MODULUS == whole


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, others=ROWS)
def test_other_rows_have_another_digest(tmp_path_factory, rows, others):
    folder = tmp_path_factory.mktemp("digest")
    same = sorted(rows, key=repr) == sorted(others, key=repr)
    equal_zero = any(
        row[1] == 0 for row in [*rows, *others]
    )  # 0.0 and -0.0 are equal and written differently
    if same or not equal_zero:
        assert (digest(folder, frame_of(rows)) == digest(folder, frame_of(others))) == same


def test_the_type_of_a_part_does_not_matter(tmp_path):
    """A whole number is its double, and a missing value a column that is not there."""
    whole = digest(tmp_path, pl.DataFrame({"a": [5, 7], "b": [1.0, None]}))
    assert digest(tmp_path, pl.DataFrame({"a": [5.0, 7.0], "b": [1, None]})) == whole
    parts = (pl.DataFrame({"a": [5], "b": [1.0]}), pl.DataFrame({"a": [7], "b": pl.Series([None])}))
    assert digest(tmp_path, *parts) == whole
    assert digest(tmp_path, parts[0], pl.DataFrame({"a": [7]})) == whole


def test_values_that_change_places_are_noticed(tmp_path):
    one = pl.DataFrame({"a": [1, 2], "b": [3, 4]})
    assert digest(tmp_path, one) != digest(tmp_path, pl.DataFrame({"a": [1, 2], "b": [4, 3]}))
    assert digest(tmp_path, one) != digest(tmp_path, pl.DataFrame({"b": [1, 2], "a": [3, 4]}))
    assert digest(tmp_path, one) != digest(tmp_path, pl.concat([one, one]))
    big = pl.DataFrame({"a": [2**53]})
    assert digest(tmp_path, big) != digest(tmp_path, pl.DataFrame({"a": [2**53 + 1]}))


def test_values_count_and_not_how_they_are_coded(tmp_path):
    moment = pl.Series([1_000_000]).cast(pl.Datetime("us", "UTC"))
    pairs = [
        (pl.Series(["a", "b"], dtype=pl.Categorical), pl.Series(["x", "y"], dtype=pl.Categorical)),
        (pl.Series(["a"], dtype=pl.Enum(["a", "b"])), pl.Series(["a"], dtype=pl.Enum(["b", "a"]))),
        (pl.Series([[1, 2]]), pl.Series([[2, 1]])),
        (pl.Series([{"a": 1}]), pl.Series([{"a": 2}])),
        (pl.Series(["1.5"]).cast(pl.Decimal(10, 1)), pl.Series(["1.50"]).cast(pl.Decimal(10, 2))),
        (moment, moment.dt.cast_time_unit("ms")),
    ]
    digests = [[digest(tmp_path, one.alias("a").to_frame()) for one in pair] for pair in pairs]
    assert [first == second for first, second in digests] == [False, True, False, False, False, True]


def test_files_of_different_times_are_brought_to_one_schema(tmp_path):
    frames = (
        pl.DataFrame({"a": [1], "b": pl.Series([None])}),
        pl.DataFrame({"a": [2.5], "c": ["x"], "b": [True]}),
        pl.DataFrame({"a": [3], "b": ["yes"]}),
    )
    files = []
    for place, frame in enumerate(frames):
        files.append(tmp_path / f"{place}.parquet")
        frame.write_parquet(files[-1])
    found = pl.concat([pl.read_parquet(file) for file in united(files, tmp_path / "united")])
    assert found.schema == {"a": pl.Float64, "b": pl.String, "c": pl.String}
    assert found.rows() == [(1.0, None, None), (2.5, "True", "x"), (3.0, "yes", None)]
