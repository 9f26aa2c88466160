"""Rules about the source that no linter knows."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "everloop").rglob("*.py"))
NAMES = [str(path.relative_to(ROOT / "src")) for path in SOURCES]
MOST_LINES_OF_A_FILE = 800
MOST_LINES_OF_A_FUNCTION = 60


@pytest.fixture(params=SOURCES, ids=NAMES)
def source(request):
    return request.param


def test_nothing_is_defined_in_an_init():
    for path in SOURCES:
        if path.name == "__init__.py":
            tree = ast.parse(path.read_text())
            defined = [
                node.name
                for node in tree.body
                if isinstance(node, ast.FunctionDef | ast.ClassDef)
                and node.name not in ("__getattr__", "__dir__")
            ]
            assert defined == [], path


def test_no_pickle_anywhere():
    for path in SOURCES:
        assert not re.search(
            r"^\s*(import|from) (pickle|cloudpickle|dill|joblib)\b", path.read_text(), re.M
        ), path


def test_only_the_clock_asks_for_the_time():
    for path in SOURCES:
        if path.name != "clock.py":
            asked = re.search(r"datetime\.(now|utcnow)\(|\btime\.time\(\)|date\.today\(", path.read_text())
            assert asked is None, f"{path}: {asked}"


def test_files_and_functions_stay_readable():
    # A migration is a flat list of what changes.
    for path in (path for path in SOURCES if "migrations" not in path.parts):
        text = path.read_text()
        assert text.count("\n") <= MOST_LINES_OF_A_FILE, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node)
                assert length <= MOST_LINES_OF_A_FUNCTION, f"{path}:{node.lineno} {node.name}: {length} lines"


def _docstring_lines(node):
    text = ast.get_docstring(node, clean=False)
    return text.count("\n") + 1 if text else 0


def test_file_names_say_something():
    empty = re.compile(r"(^|_)(utils?|helpers?|managers?|common|misc|base)$")
    assert [path for path in SOURCES if empty.search(path.stem)] == []
