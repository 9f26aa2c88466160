"""Each check of the gate refuses the version that breaks it, and no other: held on the same rows."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

import everloop as el
from everloop.deploy.candidate import Candidate
from everloop.deploy.gate import Question, judge
from everloop.measure.worth import Worth
from everloop.runtime.manifest import read_manifest, write_manifest
from everloop.runtime.signing import new_key, public_key, sign_package
from everloop.spec import LifecycleSpec, parse
from everloop.spec.frame import Frame
from everloop.table.contract import ColumnRule, Contract

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(600, 2))
ROWS = pl.DataFrame(
    {
        "size": X[:, 0],
        "age": X[:, 1],
        "y": np.where(X.sum(axis=1) + 0.5 * DRAW.normal(size=600) > 0, "yes", "no"),
    }
)
FRAME = Frame(
    task="binary", target="y", classes=("no", "yes"), positive="yes", metric="roc_auc", inputs=("size", "age")
)
PRICES = np.tile([[10.0, -10.0, -5.0, 0.0]], (600, 1))
WORTH = Worth("binary", prices=PRICES, size=600)
FILE = "name: a\nproblem: {target: y, require: {roc_auc: '>= 0.9'}}\ndata: {sources: {d: {file: d.csv}}}\n"
WIDE = Contract(columns=(ColumnRule(name="size", type="number"), ColumnRule(name="age", type="number")))


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One that read both columns, and one that read the first alone."""
    folder = tmp_path_factory.mktemp("gate")
    learned = {"good": X, "worse": X * [1.0, 0.0]}
    for name, rows in learned.items():
        model = LogisticRegression().fit(rows, ROWS["y"].to_numpy())
        el.model.package(model, folder / name, sample=ROWS.drop("y"), target="y")
    return {name: folder / name for name in learned}


def candidate(folder: Path, *, priced: bool = True) -> Candidate:
    return Candidate(folder, ROWS, FRAME, WORTH if priced else None)


def spec(more: str = "") -> LifecycleSpec:
    return parse(FILE + more)


def asked(folder: Path, **changes: object) -> Question:
    return replace(Question(candidate(folder), None, None, WIDE, spec()), **changes)


def refusals(question: Question) -> list[str]:
    return [check.name for check in judge(question).checks if not check.passed]


@pytest.mark.parametrize("priced", [True, False], ids=["by value", "by metric"])
def test_a_version_is_held_against_the_champion_on_the_same_rows(
    packages: dict[str, Path], priced: bool
) -> None:
    good, worse = (candidate(packages[name], priced=priced) for name in ("good", "worse"))
    for ours, theirs, refused in ((good, worse, False), (good, good, False), (worse, good, True)):
        result = judge(asked(packages["good"], candidate=ours, champion=theirs))
        (check,) = [one for one in result.checks if one.name == "not worse than the champion"]
        assert check.passed is not refused
        assert "on the same rows" in check.found
    # Paired: an equal version is known to be equal, however much rows differ among themselves.
    same = judge(asked(packages["good"], candidate=good, champion=good))
    (check,) = [one for one in same.checks if one.name == "not worse than the champion"]
    assert check.evidence["low"] == check.evidence["high"] == 0.0


def spoilt(folder: Path, target: Path) -> Path:
    """A package whose certificate says that it answers otherwise."""
    shutil.copytree(folder, target)
    manifest = read_manifest(target)
    said = json.loads((target / "parity.json").read_bytes()) | {"passed": False}
    (target / "parity.json").write_text(json.dumps(said))
    (target / "manifest.json").unlink()
    write_manifest(target, manifest)
    return target


def test_every_other_requirement_refuses_by_its_name(packages: dict[str, Path], tmp_path: Path) -> None:
    good, worse = packages["good"], packages["worse"]
    assert refusals(asked(good)) == []
    perfect = np.where(ROWS["y"] == "yes", 10.0, 0.0)
    narrow = Contract(columns=(ColumnRule(name="size", type="number", maximum=0.0), *WIDE.columns[1:]))
    broken = spoilt(good, tmp_path / "broken")
    fair = "model: {fairness: {demographic_parity_difference: '<= 0'}}\n"
    sensitive = replace(FRAME, sensitive=("group",))
    grouped = ROWS.with_columns(group=pl.when(pl.col("size") > 0).then(pl.lit("a")).otherwise(pl.lit("b")))
    cases = {
        "parity": asked(broken),
        "contract": asked(good, contract=narrow),
        "problem.require.roc_auc": asked(worse),
        "better than today": asked(good, today=perfect),
        "model.max_latency": asked(good, spec=spec("model: {max_latency: 1us}\n")),
        "fairness.demographic_parity_difference by group": asked(
            good, spec=spec(fair), candidate=Candidate(good, grouped, sensitive, WORTH)
        ),
    }
    for name, question in cases.items():
        assert name in refusals(question), name


def test_what_a_decision_is_worth_is_told_with_its_currency(packages: dict[str, Path]) -> None:
    good = packages["good"]
    priced = spec("goal: {value: {currency: EUR, true_positive: 1}}\n")
    perfect = np.where(ROWS["y"] == "yes", 10.0, 0.0)
    champion = Candidate(good, ROWS, FRAME, WORTH)
    checks = {
        one.name: one for one in judge(asked(good, spec=priced, today=perfect, champion=champion)).checks
    }
    assert checks["better than today"].found.endswith(") EUR a decision")
    assert checks["not worse than the champion"].found.endswith(") EUR a decision, on the same rows")
    assert checks["not worse than the champion"].required.endswith(" EUR a decision below it")


def test_only_what_a_trusted_key_signed_is_released(packages: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(packages["good"], tmp_path / "package")
    (private, public), (_, other) = new_key(), new_key()
    trusted = (public_key(public, "a.pem"),)
    assert refusals(asked(folder, trusted=trusted)) == ["signature"]
    sign_package(folder, private.decode(), "a.pem")
    assert refusals(asked(folder, trusted=trusted)) == []
    assert refusals(asked(folder, trusted=(public_key(other, "b.pem"),))) == ["signature"]
