"""A small lifecycle on disk, and the command line called in process."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from everloop.cli import main

LIFECYCLE = """
name: loans
problem: {target: defaulted}
goal:
  statement: Cut losses.
  today: {always: "no"}
  value: {currency: EUR, true_positive: 0, false_positive: -2, false_negative: -10, true_negative: 1}
data: {sources: {rows: {file: rows.csv}}, contract: contract.yaml}
model: {learners: [linear], budget: {trials: 1}}
"""


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str

    @property
    def facts(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def call(*words: object) -> Said:
        capsys.readouterr()
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Said(status, captured.out, captured.err)

    return call


def _write_rows(path: Path, rows: int = 300, seed: int = 1, classes: tuple[str, str] = ("no", "yes")) -> Path:
    chance = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow("id amount region income defaulted".split())
        for number in range(rows):
            amount, income = chance.uniform(100, 5000), chance.uniform(10, 100)
            late = chance.random() < 1 / (1 + math.exp(income / 30 - amount / 1500))
            writer.writerow(
                [number, round(amount, 2), chance.choice("NSEW"), round(income, 1), classes[late]]
            )
    return path


@pytest.fixture(scope="session")
def write_rows() -> Callable[..., Path]:
    return _write_rows


@pytest.fixture(scope="session")
def lifecycle() -> str:
    return LIFECYCLE


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    _write_rows(tmp_path / "rows.csv")
    (tmp_path / "everloop.yaml").write_text(LIFECYCLE)
    monkeypatch.chdir(tmp_path)
    return tmp_path
