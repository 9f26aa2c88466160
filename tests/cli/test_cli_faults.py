"""What bad input gets: one sentence with the next step, and the exit status that says whose turn it is."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from everloop.cli.faults import fault_of
from everloop.core.errors import StorageFull


def everloop(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "everloop.cli", *words], capture_output=True, text=True, check=False, cwd=cwd
    )


def test_a_missing_lifecycle_file(tmp_path: Path) -> None:
    done = everloop("run", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: There is no lifecycle file at everloop.yaml.\n"
        "  hint: everloop new NAME --data FILE --target COLUMN\n"
    )


def test_a_missing_source_is_something_outside(lifecycle, tmp_path: Path) -> None:
    (tmp_path / "everloop.yaml").write_text(lifecycle)
    done = everloop("check", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith("error: ")
    assert "rows.csv" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / ".everloop").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("problem: {target: defaulted}", "problem: {target: defalted}", "did you mean defaulted?"),
        ("name: loans", "name: loans\nproblme: 1", "did you mean 'problem'?"),
        ("name: loans", "name: [", "is not YAML"),
        ("[linear]", "[lineer]", "did you mean 'linear'?"),
        ("true_negative: 1", "true_negative: amuont", "amount"),
        ('{always: "no"}', "{always: never}", "never"),
        ("contract: contract.yaml}", "features: {ratio: amount / inc0me}}", "income"),
        ("statement: Cut losses.", 'require: {acuracy: ">= 1"}', "did you mean 'accuracy'?"),
        ("name: loans", "name: loans\nengine: {train: ray}", "engine.train names 'ray'"),
        ("name: loans", "name: loans\nmonitor: {alerts: [{emial: a@b.c, smtp: env:S}]}", "email"),
        ("name: loans", "name: loans\ndeploy: {serve: {host: 0.0.0.0}}", "without tokens"),
        ("name: loans", 'name: loans\ndeploy: {guard: {speed: "<= 1"}}', "error_rate"),
    ],
)
def test_mistakes_in_the_file_are_told(lifecycle, cli, home: Path, old: str, new: str, said: str) -> None:
    (home / "everloop.yaml").write_text(lifecycle.replace(old, new))
    answer = cli("check")
    assert answer.status == 2, answer
    assert answer.err.startswith("error: ")
    assert said in answer.err
    assert not (home / ".everloop").exists()


@pytest.mark.parametrize(
    ("old", "new", "written"),
    [
        ("[linear]", "[linear, treee]", "treee"),
        ("statement: Cut losses.", 'require: {acuracy: ">= 1"}', "acuracy"),
        ("name: loans", 'name: loans\ndeploy: {guard: {speed: "<= 1"}}', "speed"),
        ("target: defaulted", "target: default", "target"),
        ("contract: contract.yaml}", "features: {ratio: amount / inc0me}}", "ratio"),
        ("contract: contract.yaml}", "table: select * from rowz}", "table:"),
        ("rows.csv", "rowz.csv", "rows:"),
    ],
)
def test_a_name_that_is_not_there_has_its_line_and_column(
    lifecycle, cli, home: Path, old: str, new: str, written: str
) -> None:
    text = lifecycle.replace(old, new)
    assert text != lifecycle
    (home / "everloop.yaml").write_text(text)
    before = text[: text.index(written)]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert f"  at: everloop.yaml:{line}:{column}\n" in cli("check").err


def test_several_mistakes_are_told_at_once(lifecycle, cli, home: Path) -> None:
    (home / "everloop.yaml").write_text(lifecycle.replace("[linear]", "[lineer, treee]"))
    answer = cli("run")
    assert answer.status == 2
    assert "2 things are wrong" in answer.err
    assert answer.err.count("everloop.yaml:") == 3
    assert "'lineer'" in answer.err
    assert "'treee'" in answer.err


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        ("", None, "empty"),
        ("id,amount,defaulted\n", 2, "no row"),
        ("id,amount,defaulted\n1,2,no\n2,3,no\n3,5,no\n", 2, "one class"),
    ],
)
def test_tables_that_cannot_be_learned_from(
    cli, home: Path, content: str, status: int | None, said: str
) -> None:
    (home / "rows.csv").write_text(content)
    for verb in ("check", "run"):
        answer = cli(verb)
        assert answer.status == status or (status is None and answer.status in (2, 3)), answer
        assert "defect" not in answer.err
    if status is not None:
        assert said in answer.err or "nothing to tell apart" in answer.err


def test_json_errors_are_one_object_on_standard_output(cli, tmp_path: Path) -> None:
    said = cli("status", "--json", "--file", tmp_path)
    assert (said.status, said.err) == (2, "")
    assert said.facts["error"]["code"] == "spec"
    assert said.facts["error"]["hint"].startswith("everloop new")


@pytest.mark.parametrize("words", [["run", "--nope"], ["why"], ["data"], ["data", "lern", "x"], ["-q"]])
def test_words_that_are_none_are_misuse(cli, words: list[str]) -> None:
    said = cli(*words)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("error: ")
    assert "  hint: everloop" in said.err


def test_a_defect_is_a_sentence_and_debug_shows_where(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("everloop.spec.schema.json_schema", broken)
    said = cli("schema")
    assert said.status == 70
    assert "this is a defect of Everloop" in said.err
    assert "everloop schema --debug" in said.err
    assert "Traceback" not in said.err
    assert "Traceback" in cli("schema", "--debug").err


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device", "x"), RuntimeError("IO: No space left on device")],
)
def test_a_full_disk_is_told_alike_whoever_says_it(error: Exception) -> None:
    fault = fault_of(error, "everloop run")
    assert isinstance(fault, StorageFull)
    assert "same command again" in (fault.hint or "")


@pytest.mark.parametrize(("error", "status"), [(MemoryError(), 3), (KeyboardInterrupt(), 130)])
def test_memory_and_ctrl_c(cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int) -> None:
    def stop() -> None:
        raise error

    monkeypatch.setattr("everloop.spec.schema.json_schema", stop)
    said = cli("schema")
    assert said.status == status
    assert len(said.err.splitlines()) == 2
    assert "kept" in said.err


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    line = f"{sys.executable} -m everloop.cli schema | head -c 10"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stderr == ""
