"""The fitted plan against injected dirt whose truth is known, real tables, and laws."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.core.errors import DataFault, SpecFault
from everloop.data import duplicates
from everloop.data.duplicates import near_repeats, repeats_by
from everloop.data.fitting import fit_cleaning
from everloop.data.spelling import edit_distance, find_spellings, normal_form
from everloop.spec import CleanSpec, RepeatedRows
from everloop.table.cleaning import CleaningPlan

REAL = Path("../shared/data")
START = datetime(2019, 1, 1, tzinfo=UTC)
LAWS = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def real(name):
    if not (REAL / name).is_file():
        pytest.skip(f"{REAL / name} is not here")
    from everloop.table.tables import as_frame

    return as_frame(REAL / name)


def fitted(table, **said):
    return fit_cleaning(table, table.columns, CleanSpec.model_validate(said))


def cleaned(table, **said):
    return fitted(table, **said)[0].apply(table).collect()


def truth(rows=2000, seed=0):
    random = np.random.default_rng(seed)
    towns = ["birmingham", "montgomery", "huntsville", "tuscaloosa", "gadsden", "decatur"]
    return pl.DataFrame(
        {
            "amount": random.normal(5000, 900, rows).round(2),
            "share": random.uniform(0, 1, rows).round(4),
            "weight": random.normal(70, 8, rows).round(1),
            "town": random.choice(towns, rows, p=[0.4, 0.2, 0.15, 0.1, 0.1, 0.05]),
            "at": [START + timedelta(days=int(day)) for day in random.integers(0, 700, rows)],
            "count": random.integers(0, 12, rows),
        }
    )


def spoiled(table, seed=1, share=0.08):
    """Gives the table with faults, and which cells have one."""
    random = np.random.default_rng(seed)
    hit = {name: random.random(table.height) < share for name in table.columns}

    def town(name, bad):
        if not bad:
            return name
        place = random.integers(len(name))
        slips = (name.upper(), f" {name}", name[:place] + "x" + name[place + 1 :])
        return slips[random.integers(3)]

    dirt = pl.DataFrame(
        {
            "amount": [
                "N/A" if bad else f"€ {value:,.2f}"
                for value, bad in zip(table["amount"], hit["amount"], strict=True)
            ],
            "share": [
                "?" if bad else f"{value * 100:.2f}%".replace(".", ".")
                for value, bad in zip(table["share"], hit["share"], strict=True)
            ],
            "weight": np.where(hit["weight"], 0.0, table["weight"]),
            "town": [town(*one) for one in zip(table["town"], hit["town"], strict=True)],
            "at": [
                moment.strftime("%Y-%m-%d" if bad else "%d/%m/%Y")
                for moment, bad in zip(table["at"], hit["at"], strict=True)
            ],
            "count": np.where(hit["count"], 9999, table["count"]),
        }
    )
    return dirt, hit


def test_injected_dirt_is_repaired_and_nothing_else():
    table = truth()
    dirt, hit = spoiled(table)
    found = cleaned(dirt)
    for name in ("amount", "share", "weight", "count"):
        missing = found[name].is_null().to_numpy()
        assert (missing == hit[name]).all(), name
        right = np.isclose(found[name].to_numpy()[~missing], table[name].to_numpy()[~missing], atol=1e-9)
        assert right.mean() > 0.998, name  # a far value may be clipped
    assert found["at"].equals(table["at"].cast(found["at"].dtype))
    changed = (found["town"] != dirt["town"]).to_numpy()
    right = (found["town"] == table["town"]).to_numpy()
    recall, precision = right[hit["town"]].mean(), right[changed].mean()
    assert recall > 0.95
    assert precision > 0.99
    assert right[~hit["town"]].all()


@pytest.mark.parametrize("table", [truth(), truth(seed=5)], ids=["one", "another"])
def test_a_clean_table_stays_as_it_is(table):
    found = cleaned(table)
    for name in table.columns:
        same = (found[name] == table[name].cast(found[name].dtype)).mean()
        assert same > 0.998 if name in ("amount", "weight") else same == 1.0, name


@pytest.mark.parametrize(
    "name",
    ["german_credit.csv.gz", "taiwan_default.csv.gz", "online_shoppers.csv.gz", "bike_hourly.csv.gz"],
)
def test_nothing_but_far_outliers_is_touched_in_clean_real_tables(name):
    table = real(name)
    _, done = fitted(table)
    assert {entry.step for entry in done} <= {"outliers"}
    assert all(entry.rows < 0.002 * table.height for entry in done)


def test_impossible_zeros_of_heart_disease():
    table = real("heart_disease.csv.gz")
    plan, done = fitted(table)
    assert [(entry.step, entry.column, entry.rows) for entry in done] == [("sentinel", "chol", 172)]
    assert plan.apply(table).collect()["chol"].null_count() == table["chol"].null_count() + 172
    kept, _ = fitted(table, columns={"chol": {"missing_values": []}})
    assert kept.columns == ()
    forced, _ = fitted(table, columns={"trestbps": {"missing_values": [0]}, "chol": {"missing_values": [0]}})
    assert forced.apply(table).collect()["trestbps"].null_count() == table["trestbps"].null_count() + 1


def meant(column):
    """What was meant where a letter became an x: the only, or the commonest, text that differs there alone."""
    counts = Counter(column.drop_nulls().to_list())
    found = {}
    for text in counts:
        near = [
            other
            for other in counts
            if counts[other] > counts[text]
            and len(other) == len(text)
            and set(differing(text, other)) == {"x"}
        ]
        if near:
            found[text] = max(near, key=lambda other: counts[other])
    return found


def differing(text, other):
    return [a for a, b in zip(text, other, strict=True) if a != b]


def test_typing_errors_of_hospitals():
    """Of 500 texts with a letter that became an x more than 60 % are mended, and no other text is touched."""
    real("hospital_dirty.csv")
    table = pl.read_csv(REAL / "hospital_dirty.csv", infer_schema_length=0)
    found = cleaned(table, types="keep", sentinels="keep")
    errors = mended = changed = 0
    for name in table.columns:
        truth = meant(table[name])
        for before, after in zip(table[name], found[name], strict=True):
            errors += before in truth
            mended += before in truth and after == truth[before]
            changed += before != after
            assert before == after or set(differing(before, after)) == {"x"}, (name, before, after)
    assert errors == 500
    assert mended >= 0.6 * errors
    assert mended >= 0.95 * changed  # of several texts that are as near, what was meant is not known here


def test_what_another_column_says_tells_slips_from_rare_values():
    towns = {"101": ("AL", "35233"), "102": ("AL", "35235"), "103": ("GA", "30301"), "104": ("GA", "30303")}
    rows = [(number, *towns[number]) for number in towns for _ in range(12)]
    slips = [("101", "xL", "3523x"), ("103", "Gx", "x0301"), ("102", "AL", "3523x"), ("104", "GA", "3030x")]
    genuine = [("105", "AK", "99501"), ("101", "AL", "35234")]
    table = pl.DataFrame([*rows, *slips, *genuine], schema=["number", "state", "zip"], orient="row")
    found = cleaned(table, types="keep")[len(rows) :].rows()
    # 3523x is 35233 in one row and 35235 in another, so that no text stands for it.
    assert found[:4] == [
        ("101", "AL", "3523x"),
        ("103", "GA", "30301"),
        ("102", "AL", "3523x"),
        ("104", "GA", "30303"),
    ]
    assert found[4:] == genuine


def test_fitted_on_what_it_is_given_alone():
    train = pl.DataFrame({"n": [float(i) for i in range(100)], "t": ["a", "b"] * 50})
    plan, _ = fitted(train)
    later = pl.DataFrame({"n": [-999.0] * 3, "t": ["?", "B", "a"]})
    assert plan.apply(later).collect().equals(later)


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["1,234.5", "2,000", "17"], [1234.5, 2000.0, 17.0]),
        (["1.234,5", "2.000", "3,25"], [1234.5, 2000.0, 3.25]),
        (["1 234,5", "12", "3,25"], [1234.5, 12.0, 3.25]),
        (["$12.50", "-$3", "USD 1,000"], [12.5, -3.0, 1000.0]),
        (["12%", "7.5 %", "100%"], [0.12, 0.075, 1.0]),
        (["1e3", "2.5", "-4"], [1000.0, 2.5, -4.0]),
    ],
)
def test_spellings_of_numbers(texts, numbers):
    found = cleaned(pl.DataFrame({"n": texts * 20}), outliers="keep")
    assert found["n"].to_list() == pytest.approx(numbers * 20)


@pytest.mark.parametrize("texts", [["00123", "01999", "10000"], ["a1", "b2", "c3"], ["12", "word", "more"]])
def test_what_is_no_number_stays_text(texts):
    assert fitted(pl.DataFrame({"n": texts * 20}))[0].columns == ()


def test_three_forms_of_times_and_two_zones():
    forms = [
        "2020-03-01T12:00:00+02:00",
        "2020-03-01T10:00:00Z",
        "2020-03-01 10:00:00",
        "01/03/2020",
        "28/03/2020",
    ]
    found = cleaned(pl.DataFrame({"at": forms * 20}))["at"]
    assert found[:3].n_unique() == 1
    assert found[3] == datetime(2020, 3, 1, tzinfo=UTC)


def test_spellings_of_a_category():
    counts = {
        "New York": 90,
        "new york": 5,
        "NEW-YORK ": 2,
        "New Yrok": 1,
        "Newark": 40,
        "Type A": 50,
        "Type B": 1,
    }
    assert find_spellings(counts) == {"New York": ("NEW-YORK ", "New Yrok", "new york")}
    assert find_spellings({"item 1": 90, "item 2": 1, "E11.9": 80, "E11.8": 1, "abc": 50, "abd": 1}) == {}
    assert normal_form("  Société_Générale ") == "societe generale"
    assert [
        edit_distance("kitten", "sitting", 9),
        edit_distance("ab", "ba", 9),
        edit_distance("a", "wxyz", 2),
    ] == [
        3,
        1,
        3,
    ]


def test_what_the_file_says_of_a_column():
    table = pl.DataFrame({"t": ["x", "y", "-1"] * 30, "when": ["01/02/2020"] * 45 + ["02/01/2020"] * 45})
    said = {"columns": {"t": {"missing_values": ["-1"], "categories": {"y": "x"}}, "when": {"type": "time"}}}
    found = cleaned(table, **said)
    assert found["t"].to_list() == ["x", "x", None] * 30
    assert found["when"][0] == datetime(2020, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"nn": {"outliers": "keep"}}, "names nn, which is no column"),
        ({"n": {"type": "number"}}, "holds number values, not text"),
        ({"n": {"missing_values": ["?"]}}, "'\\?' means missing in n, which holds numbers"),
        ({"t": {"type": "time"}}, "no value of the training part is one"),
    ],
)
def test_what_a_column_cannot(columns, message):
    with pytest.raises(SpecFault, match=message):
        fitted(pl.DataFrame({"n": [1.0, 2.0], "t": ["a", "b"]}), columns=columns)


def test_a_plan_that_is_none():
    with pytest.raises(DataFault, match="cannot be read"):
        CleaningPlan.from_dict({"columns": [{"column": "a"}]})


CELLS = {
    "n": st.one_of(st.none(), st.integers(0, 60).map(float), st.sampled_from([-999.0, 9999.0, 1e9])),
    "m": st.one_of(st.none(), st.sampled_from(["1,234", "12", "3.5", "?", "€ 7", "oops"])),
    "t": st.one_of(st.none(), st.sampled_from(["Bern", "BERN", "bern ", "Basel", "Bsael", "?", "n/a"])),
    "d": st.one_of(st.none(), st.sampled_from(["01/02/2020", "28/02/2020", "2020-02-28", "13/01/2021"])),
}
TABLES = st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=30).flatmap(
    lambda rows: st.integers(1, 4).map(
        lambda times: pl.DataFrame(
            rows * times, schema={"n": pl.Float64, "m": pl.String, "t": pl.String, "d": pl.String}
        )
    )
)


@LAWS
@given(TABLES)
def test_cleaning_what_is_clean_does_nothing(table):
    once = cleaned(table)
    again, done = fitted(once)
    assert again.columns == (), done


@LAWS
@given(TABLES, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(table, random):
    order = list(range(table.height))
    random.shuffle(order)
    assert fitted(table) == fitted(table[order])


@LAWS
@given(TABLES)
def test_rows_and_tables_are_cleaned_alike_and_plans_are_data(table):
    plan, _ = fitted(table)
    again = CleaningPlan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert again == plan
    found, clean = plan.apply(table).collect(), again.row_cleaner()
    for row, expected in zip(table.iter_rows(named=True), found.iter_rows(named=True), strict=True):
        wider = clean(row)
        assert {name: wider[plan.clean_names.get(name, name)] for name in table.columns} == expected


def test_repeated_rows(monkeypatch):
    table = pl.DataFrame({"id": [1, 1, 2, None, None], "v": ["a", "b", "c", "d", "e"]})
    first, last = (repeats_by(table, RepeatedRows(by=("id",), keep=keep)) for keep in ("first", "last"))
    assert first.tolist() == [False, True, False, False, False]
    assert last.tolist() == [True, False, False, False, False]
    with pytest.raises(SpecFault, match="names x"):
        repeats_by(table, RepeatedRows(by=("x",)))
    near = pl.DataFrame(
        {
            "name": ["Anna Meier", "ANNA  MEIER", "Anna Meyer", "Anna Meier", "Berta Kunz"],
            "age": [40, 40, 40, 41, 40],
        }
    )
    assert near_repeats(near).tolist() == [False, True, True, False, False]
    monkeypatch.setattr(duplicates, "_TEXTS_AT_ONCE", 2)
    assert near_repeats(near).tolist() == [False, True, True, False, False]
