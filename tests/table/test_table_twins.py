import numpy as np
import polars as pl
import pytest

from everloop.table.twins import equal_by_chance, own_hashes, row_keys, twin_keys


def categories(n=2000, sizes=(3, 4, 5), seed=0):
    random = np.random.default_rng(seed)
    return pl.DataFrame({f"c{i}": random.integers(0, size, n) for i, size in enumerate(sizes)})


def measured(n=2000, columns=4, seed=0):
    random = np.random.default_rng(seed)
    return pl.DataFrame({f"x{i}": random.normal(size=n).round(2) for i in range(columns)})


def test_few_combinations_make_rows_equal_by_chance():
    table = categories()
    assert equal_by_chance(table, table.columns)
    assert (twin_keys(table, table.columns) == np.arange(table.height)).all()


@pytest.mark.parametrize(
    "table",
    [
        pl.concat([measured(), measured().head(400)]),
        pl.concat([categories(200, (3, 4)).with_columns(note=pl.int_range(200))] * 2),
        categories(4000, (20,) * 12).pipe(lambda rows: pl.concat([rows, rows.head(400)])),
    ],
    ids=["measured", "a text of its own", "many columns"],
)
def test_what_chance_does_not_make_equal_was_written_twice(table):
    assert not equal_by_chance(table, table.columns)
    assert (twin_keys(table, table.columns) == row_keys(table, table.columns)).all()


def test_columns_that_hang_together_are_equal_by_chance_too():
    towns = np.random.default_rng(0).integers(0, 30, 2000)
    table = pl.DataFrame({"town": towns, "county": towns // 3, "country": towns // 10, "works": towns % 2})
    assert equal_by_chance(table, table.columns)


def test_no_rows_and_no_columns_are_equal_by_no_chance():
    assert not equal_by_chance(categories(), [])
    assert not equal_by_chance(categories(0), ["c0"])


def test_each_row_has_a_number_of_its_own_whatever_the_order():
    table = categories(500)
    numbers, order = own_hashes(table), np.random.default_rng(1).permutation(500)
    assert len(np.unique(numbers)) == 500
    assert sorted(own_hashes(table[order])) == sorted(numbers)
    assert own_hashes(table.head(0)).size == 0
