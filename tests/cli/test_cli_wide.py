"""A table of far more columns than rows goes through the whole loop: from the file to a served answer."""

import json

import numpy as np
import polars as pl
import pytest

from everloop.cli import main
from everloop.runtime import Package

ROWS, COLUMNS = 100, 1_000
FILE = """
name: wide
problem: {target: y}
data: {sources: {rows: {file: rows.csv}}}
model: {budget: 5s}
"""


def wide():
    """Numbers of which five tell something, categories, and a note in words."""
    random = np.random.default_rng(0)
    told = random.integers(0, 2, ROWS)
    columns = {
        f"c{place}": random.normal(size=ROWS) + (2.0 * told if place < 5 else 0.0) for place in range(COLUMNS)
    }
    columns |= {f"t{place}": random.choice(["red", "green", "blue"], ROWS) for place in range(10)}
    columns["note"] = [f"number {place} of {random.choice(['good', 'bad'])} words" for place in range(ROWS)]
    return pl.DataFrame(columns | {"y": np.where(told == 1, "yes", "no")})


@pytest.mark.slow
def test_a_thousand_columns_on_a_hundred_rows_end_in_a_version_that_serves(capsys, tmp_path, monkeypatch):
    table = wide()
    table.write_csv(tmp_path / "rows.csv")
    (tmp_path / "everloop.yaml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    status = main(["run", "--json"])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert status == 0
    told = json.loads(out)
    assert told["gate"]["answer"] == "passed"
    (folder,) = (one.parent for one in tmp_path.rglob("manifest.json") if one.parent.name == "package")
    package = Package(folder)
    row = table.drop("y").row(0, named=True)
    assert package.answer(row).prediction in ("yes", "no")
    assert 1 <= len(package.explain(row, 3)) <= 3
    card = (folder / "card.html").read_text()
    assert "read the intervals, not the estimates" in card
    assert len(card) < 5_000_000
