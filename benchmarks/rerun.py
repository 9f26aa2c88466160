"""An unchanged `everloop run`, beside a process that only imports the same modules."""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Figure, Options, Report
from benchmarks.flights import prepared
from benchmarks.timing import everloop_command, interleave, last_json, output_of, process

LOADED = """
import json, sys
from pathlib import Path
from everloop.cli import main
main(sys.argv[2:])
Path(sys.argv[1]).write_text(json.dumps([name for name in sys.modules if not name.endswith("__main__")]))
"""
IMPORTS = """
import contextlib, importlib, json, sys
from pathlib import Path
for name in json.loads(Path(sys.argv[1]).read_text()):
    with contextlib.suppress(Exception):
        importlib.import_module(name)
"""
SMALL = """\
name: small
problem: {target: late, positive: "yes"}
data:
  sources: {rows: {file: rows.csv}}
model: {learners: [linear], budget: {trials: 1}}
"""
ENDED = (0, 1)  # 1: the gate said no, which is an answer


def run(options: Options) -> Report:
    """Measures a small lifecycle and, unless quick, the flights."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = unchanged("small CSV", small(folder / "small"), [], options)
        if not options.quick:
            lifecycle = prepared(folder / "flights", budget="{trials: 3}")
            figures += unchanged("flights to May", lifecycle, ["--as-of", "2013-05-01"], options)
    return Report(tuple(figures), ("seconds after imports are the medians' difference",))


def unchanged(label: str, folder: Path, words: list[str], options: Options) -> list[Figure]:
    """Runs once, then measures the same run again beside its imports."""
    arguments = ["run", "--json", "--file", str(folder / "everloop.yaml"), *words]
    command = [*everloop_command(), *arguments]
    output_of(command, allowed=ENDED)
    executed = len(last_json(output_of(command, allowed=ENDED))["executed"])
    modules = folder / "modules.json"
    output_of([sys.executable, "-c", LOADED, modules, *arguments])
    works = {
        "run": process(command, allowed=ENDED),
        "imports": process([sys.executable, "-c", IMPORTS, modules]),
    }
    took = interleave(works, options.rounds)
    whole, imports = took["run"], took["imports"].median
    beside = f"importing its {len(json.loads(modules.read_text())):,} modules"
    return [
        Figure(f"{label}: whole process", **whole.scaled(1), unit="s", beside=beside, other=imports),
        Figure(f"{label}: after imports", whole.median - imports, "s", goal="< 1"),
        Figure(f"{label}: steps executed", executed, "", goal="<= 0"),
    ]


def small(folder: Path) -> Path:
    """Writes a lifecycle over 400 rows."""
    folder.mkdir()
    chance = random.Random(0)
    lines = ["distance,carrier,late"]
    for _ in range(400):
        distance = chance.uniform(100, 3000)
        late = "yes" if distance + chance.gauss(0, 500) > 1500 else "no"
        lines.append(f"{distance:.1f},{chance.choice('ABC')},{late}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    (folder / "everloop.yaml").write_text(SMALL)
    return folder
