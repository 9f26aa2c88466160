"""How long the command takes to answer, beside an empty Python and the peers' commands."""

from __future__ import annotations

import sys

from benchmarks.figures import Figure, Options, Report
from benchmarks.peers import command_of
from benchmarks.timing import everloop_command, interleave, output_of, process

EMPTY = "python -c pass"
PEERS = {"mlflow": "mlflow", "dvc": "dvc"}
COUNT = "import sys; {work}; print(len(sys.modules))"
ASK = "from everloop.cli import main; main(['{word}'])"


def run(options: Options) -> Report:
    """Measures whole processes in turns."""
    ours = {f"everloop {word}": [*everloop_command(), word] for word in ("--version", "--help")}
    found = {name: command_of(name, program, install=options.peers) for name, program in PEERS.items()}
    peers = {f"{name} --version": [path, "--version"] for name, path in found.items() if path}
    commands = {EMPTY: [sys.executable, "-c", "pass"], **ours, **peers}
    took = interleave({name: process(words) for name, words in commands.items()}, options.rounds)
    empty = took[EMPTY].median * 1000
    figures = [
        Figure(name, **took[name].scaled(1000), unit="ms", beside=EMPTY, other=empty, goal="< 150")
        for name in ours
    ]
    version = took["everloop --version"].median * 1000
    figures += [
        Figure(name, **took[name].scaled(1000), unit="ms", beside="everloop --version", other=version)
        for name in peers
    ]
    figures.append(Figure("modules loaded", modules("--version"), "", beside=EMPTY, other=modules(None)))
    absent = [name for name, path in found.items() if path is None]
    return Report(tuple(figures), (f"not measured: {', '.join(absent)}; add --peers",) if absent else ())


def modules(word: str | None) -> int:
    """Counts the modules that answering loads; without a word those of an empty Python."""
    work = "pass" if word is None else ASK.format(word=word)
    return int(output_of([sys.executable, "-c", COUNT.format(work=work)]).split()[-1])
