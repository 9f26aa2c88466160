"""That the benchmarks run and say what they should; never how fast."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def python(*words):
    return subprocess.run(
        [sys.executable, "-m", *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_start_has_figures_beside_a_bound_and_becomes_a_page(tmp_path):
    ran = python("benchmarks", "start", "--quick", "--json", tmp_path / "found.json")
    assert ran.returncode == 0, ran.stderr
    assert "== summary" in ran.stdout
    document = json.loads((tmp_path / "found.json").read_text())
    figures = document["benchmarks"]["start"]["figures"]
    by_name = {figure["what"]: figure for figure in figures}
    for name in ("everloop --version", "everloop --help"):
        figure = by_name[name]
        assert figure["unit"] == "ms"
        assert 0 < figure["low"] <= figure["value"] <= figure["high"]
        assert figure["other"] > 0
        assert figure["verdict"] in ("met", "not met")
    assert by_name["modules loaded"]["value"] > by_name["modules loaded"]["other"]
    rendered = python("benchmarks.render", tmp_path / "found.json", tmp_path / "page.md")
    assert rendered.returncode == 0, rendered.stderr
    text = (tmp_path / "page.md").read_text()
    assert "## start" in text
    assert all(name in text for name in by_name)


def test_an_unknown_name_is_refused_with_those_there_are():
    ran = python("benchmarks", "speed")
    assert ran.returncode == 2
    assert "there is no benchmark speed; there are start" in ran.stderr
