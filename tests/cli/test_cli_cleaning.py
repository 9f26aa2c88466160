"""What cleaning left out is shown with its counts, and each of it is undone by the line that is shown."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

INPUTS = ["amount", "region", "income"]


@pytest.fixture
def odd(home: Path) -> Path:
    """The rows with a constant column, and one that has no value."""
    rows = pl.read_csv("rows.csv").with_columns(country=pl.lit("FR"), note=pl.lit(None, pl.String))
    rows.write_csv("rows.csv")
    return home


def told(cli) -> tuple[list[str], dict[str, tuple[str, str | None]]]:
    """Runs to the dataset; gives its inputs, and for each column left out why and how that is undone."""
    said = cli("run", "--until", "data", "--json")
    assert said.status == 0, said.err
    facts = said.facts["steps"]["dataset"]["facts"]
    out = {e["column"]: (e["detail"], e.get("undo")) for e in facts["cleaning"] if e["step"] == "excluded"}
    return facts["split"]["inputs"], out


def clean(folder: Path, text: str) -> None:
    file = folder / "everloop.yaml"
    file.write_text(file.read_text().replace("data: {sources", f"data: {{{text}, sources"))


def test_each_column_left_out_can_be_an_input_again(cli, odd: Path) -> None:
    inputs, out = told(cli)
    assert inputs == INPUTS
    assert out == {
        "id": ("an identifier: 300 different values in 300 rows", "data.clean.columns.id.exclude: keep"),
        "country": ("has one value in every row", "data.clean.columns.country.exclude: keep"),
        "note": ("has no value in any row", None),
        "defaulted": ("the target", None),
    }
    text = Path("everloop.yaml").read_text()
    clean(odd, "clean: {columns: {country: {exclude: keep}}}")
    inputs, out = told(cli)
    assert inputs == [*INPUTS, "country"]
    assert "country" not in out
    Path("everloop.yaml").write_text(text)
    clean(odd, "clean: {exclude: keep}")
    blocked = cli("run", "--until", "data")
    assert blocked.status == 1
    assert "identifier: id" in blocked.err
    Path("everloop.yaml").write_text(text)
    clean(odd, 'leaks: {waive: {"identifier: id": kept on purpose}}, clean: {exclude: keep}')
    inputs, out = told(cli)
    assert inputs == ["id", *INPUTS, "country"]
    assert set(out) == {"note", "defaulted"}
    checked = cli("check", "--json")
    assert checked.status == 0
    Path("everloop.yaml").write_text(text)
    clean(odd, "clean: {exclude: keep, columns: {id: {exclude: find}}}")
    assert told(cli)[0] == [*INPUTS, "country"]


def test_a_kept_constant_goes_through_to_a_package(cli, odd: Path) -> None:
    clean(odd, "clean: {columns: {country: {exclude: keep}}}")
    said = cli("run", "--until", "model", "--json")
    assert said.status == 0, said.err
    assert "country" in said.facts["steps"]["train"]["facts"]["left_out"]
