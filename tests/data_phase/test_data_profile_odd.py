"""What a profile says about a whole table: oddities, keys, time, associations, and its page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import pearsonr
from scipy.stats.contingency import association

from everloop import data
from everloop.data.associations import correlation_ratio, correlations, cramers_v

REAL = Path("../shared/data")


def real(name):
    if not (REAL / name).is_file():
        pytest.skip(f"{REAL / name} is not here")
    return REAL / name


def odd(found):
    return {(one.kind, one.column): one for one in found.oddities}


def test_impossible_zeros_of_a_real_table():
    found = data.profile(real("heart_disease.csv.gz"))
    assert odd(found)["sentinel", "chol"].rows == 172
    assert found["chol"].zeros == 172
    assert [column for kind, column in odd(found) if kind == "sentinel"] == ["chol"]


def test_dirt_of_a_real_table():
    profiled = data.profile(real("hospital_dirty.csv"))
    found = odd(profiled)
    assert ("type", "ZipCode") in found
    assert ("spelling", "City") in found
    assert "'birmingham'" in str(profiled["City"].spellings)


@pytest.mark.parametrize("name", ["german_credit.csv.gz", "elec2.parquet", "wholesale_customers.csv"])
def test_clean_tables_have_nothing_to_repair(name):
    found = data.profile(real(name))
    assert not {one.kind for one in found.oddities} & {"sentinel", "type", "mixed", "spelling"}


def test_what_text_really_is():
    rows = range(200)
    table = pl.DataFrame(
        {
            "price": [f"{1000 + 7 * i:,}.50" for i in rows],
            "day": [f"{i % 28 + 1:02}/{i % 12 + 1:02}/2019" for i in rows],
            "unclear": [f"{i % 12 + 1:02}/{i % 12 + 1:02}/2019" for i in rows],
            "code": [f"{i:05}" for i in rows],
            "mixed": [str(i) if i % 4 == 0 else f"word{'abcdefg'[i % 7]}" for i in rows],
            "town": ["Genève", "GENEVE", "geneve ", "Bern"] * 50,
            "id": [f"row {i}" for i in rows],
            "twice": [float(2 * i) for i in rows],
            "once": [float(i) for i in rows],
        }
    )
    found = data.profile(table)
    kinds = odd(found)
    assert kinds["type", "price"].rows == kinds["type", "day"].rows == 200
    assert (found["price"].reads_as, found["day"].reads_as, found["code"].reads_as) == (
        "number",
        "time",
        "text",
    )
    assert kinds["ambiguous time", "unclear"].clean == "columns: {unclear: {type: time}}"
    assert kinds["mixed", "mixed"].rows == 50
    assert found["town"].spellings == {"GENEVE": ("Genève", "geneve ")}
    assert found["id"].notes == ("identifier",)
    assert ("id",) in found.keys
    assert found.time == "day"
    assert ("copy", "once") in kinds


def test_pairs_of_columns_that_name_rows():
    days = [datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=i) for i in range(30)]
    table = pl.DataFrame(
        {"shop": [s for s in "abcd" for _ in days], "at": days * 4, "sold": [1, 2, 3, 4] * 30}
    )
    found = data.profile(table)
    assert ("at", "shop") in found.keys or ("shop", "at") in found.keys
    assert found.time == "at"


def test_associations_are_those_of_scipy():
    random = np.random.default_rng(0)
    numbers = random.normal(size=(500, 3))
    numbers[:, 1] += numbers[:, 0]
    holes = np.where(random.random((500, 3)) < 0.1, np.nan, numbers)
    found = correlations(holes)
    for i in range(3):
        for j in range(i):
            both = ~np.isnan(holes[:, i]) & ~np.isnan(holes[:, j])
            assert found[i, j] == pytest.approx(pearsonr(holes[both, i], holes[both, j]).statistic)
    a = random.integers(0, 4, 5000)
    b = np.where(random.random(5000) < 0.5, a, random.integers(0, 4, 5000))
    counts = np.zeros((4, 4), dtype=int)
    np.add.at(counts, (a, b), 1)
    assert cramers_v(a, b) == pytest.approx(association(counts, "cramer"), abs=0.01)
    assert cramers_v(a, random.integers(0, 4, 5000)) < 0.05
    assert cramers_v(a, a) == pytest.approx(1.0)
    shifted = a + random.normal(size=5000) * 1e-9
    assert correlation_ratio(a, shifted) == pytest.approx(1.0)
    assert correlation_ratio(a, random.normal(size=5000)) < 0.05


def test_the_order_of_rows_does_not_matter():
    table = pl.DataFrame(
        {"n": [1.5, 2.5, None, 4.0, -999.0] * 40, "t": ["a", "B", "b", "?", None] * 40, "i": [*range(200)]}
    )
    mixed = table.sample(fraction=1.0, shuffle=True, seed=3)
    first, second = (data.profile(one).to_dict() for one in (table, mixed))
    for one in (first, second):
        for column in one["columns"]:
            for key in ("mean", "deviation"):  # sums depend on the order in their last digits
                column[key] = None if column[key] is None else round(column[key], 9)
    assert first == second


def test_the_page_needs_no_other_file(tmp_path):
    table = pl.DataFrame({"n": [*range(50)], "x": ["a", "<x-y>", "c", None, "?"] * 10})
    page = tmp_path / "profile.html"
    data.profile(table).save(page, "Profile of <rows>")
    text = page.read_text()
    assert "<x-y>" not in text
    assert "&lt;x-y&gt;" in text
    assert not re.search(r"(src|href)=[\"']https?:", text)
    assert text.count("<svg") >= 2
    json.dumps(data.profile(table).to_dict(), allow_nan=False)


@pytest.mark.slow
def test_the_page_in_a_browser(tmp_path):
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed")
    page = tmp_path / "profile.html"
    data.profile(real("heart_disease.csv.gz")).save(page)
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()]
    ran = subprocess.run([browser, *arguments], capture_output=True, text=True, timeout=120, check=True)
    assert "0 seems to mean missing" in ran.stdout
    assert ran.stdout.count("<svg") > 15
