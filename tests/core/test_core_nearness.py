"""What a name that is not there may have meant."""

from __future__ import annotations

import pytest

from everloop.core.nearness import near_file, near_names


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("amont", ["age", "amount"], ["amount"]),
        ("AMOUNT", ["age", "Amount"], ["Amount"]),
        ("income", ["spend", "income_monthly_in_euros"], ["income_monthly_in_euros"]),
        ("zzz", ["d", "age", "amount"], []),
        ("id", ["paid_monthly_in_euros"], []),
        ("", ["a"], []),
        ("x", [], []),
    ],
)
def test_a_name_is_near_where_most_letters_are_alike_or_it_is_a_word_of_the_other(
    name: str, known: list[str], near: list[str]
) -> None:
    assert near_names(name, known) == near


def test_the_nearest_names_come_first() -> None:
    assert near_names("loans", ["loan_states", "loans_2", "loan"], most=2) == ["loan", "loans_2"]


@pytest.mark.parametrize(
    ("name", "files", "near"),
    [
        ("zzz.csv", ["d.csv", "yaml.csv"], None),
        ("loan.csv", ["d.csv", "loans.csv"], "loans.csv"),
        ("loans.csv", ["loans.csv.gz", "moans.csv"], "loans.csv.gz"),
        ("loans.csv", ["loans.parquet", "loans.cvs"], "loans.cvs"),
        (".env", [".envrc"], ".envrc"),
    ],
)
def test_files_are_near_by_their_names_without_the_ending(
    name: str, files: list[str], near: str | None
) -> None:
    assert near_file(name, files) == near
