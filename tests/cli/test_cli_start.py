"""The front door is light: `--version` and `--help` import next to nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from typing import Any

import pytest

from everloop.cli.verbs import GROUPS, VERBS

HEAVY = {
    *("typer", "click", "rich", "pydantic", "numpy", "polars", "duckdb", "pyarrow", "sklearn", "scipy"),
    *("sqlalchemy", "alembic", "msgspec", "sqlglot", "ruamel", "onnxruntime", "onnx", "uvicorn", "httpx"),
}
PROBE = """
import sys
from everloop.cli import main
status = main([{word!r}])
print(" ".join(sorted(sys.modules)), file=sys.stderr)
sys.exit(status)
"""


@pytest.mark.parametrize(("word", "limit"), [("--version", 150), ("--help", 80)])
def test_the_front_door_imports_next_to_nothing(word: str, limit: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(word=word)], capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.split())
    assert not {name for name in loaded if name.partition(".")[0] in HEAVY}
    assert not {name for name in loaded if name.startswith(("everloop.core", "everloop.spec"))}
    assert len(loaded) <= limit, sorted(loaded)


def test_the_version_is_the_installed_one(cli) -> None:
    said = cli("--version")
    assert (said.status, said.out) == (0, f"everloop {version('everloop')}\n")


def test_help_lists_every_verb_under_its_group(cli) -> None:
    said = cli("--help")
    assert said.status == 0
    assert said.out == cli().out
    for verb, (_, line, group) in VERBS.items():
        assert f"  {verb} " in said.out
        assert line in said.out
        assert group in GROUPS


def _calls(words: tuple[str, ...], target: Any) -> Iterator[tuple[str, ...]]:
    if not isinstance(target, dict):
        yield words
        return
    for word, inner in target.items():
        yield from _calls((*words, word), inner)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_there_and_its_help_has_an_example(cli, verb: str) -> None:
    module, _, name = VERBS[verb][0].partition(":")
    target = getattr(import_module(module), name)
    for call in _calls((verb,), target):
        said = cli(*call, "--help")
        assert said.status == 0
        assert f"Usage: everloop {' '.join(call)}" in said.out
        assert f"Example:\n    everloop {' '.join(call)}" in said.out
        assert "--json" in said.out
        assert "--debug" in said.out


def test_python_m_is_the_same_door() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "everloop.cli", "statsu"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: There is no verb 'statsu'.\n  hint: everloop status\n"


@pytest.mark.parametrize(
    ("word", "here"),
    [("init", "new"), ("train", "run"), ("approve", "rollout approve"), ("card", "report v1")],
)
def test_a_word_of_other_tools_or_of_another_place_leads_to_the_verb(cli, word: str, here: str) -> None:
    said = cli(word)
    assert said.status == 2
    assert said.err.endswith(f"hint: everloop {here}\n")
    assert cli(*here.split(), "--help").status == 0


@pytest.mark.parametrize("verb", ["rollout", "data"])
def test_a_list_of_commands_is_not_cut(cli, verb: str) -> None:
    assert "..." not in cli(verb, "--help").out.partition("Commands:")[2]
