# ruff: noqa: INP001  (a script, not a package)
"""Writes the pages of the documentation that are made from the source; `--check` compares instead.

Run: python docs/generate.py [--check]
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import everloop
from everloop.core.errors import EverloopError
from everloop.data.sources import SOURCES, source_class
from everloop.model.compile.registry import EXPORTERS
from everloop.model.python_package import LIBRARIES
from everloop.spec.reference import reference_markdown
from everloop.table.expression.reference import reference_page
from everloop.table.feature_aggregates import AGGREGATES

FOLDER = Path(__file__).parent
ERRORS_HEADING = """\
# Errors

<!-- Made by `python docs/generate.py` from the classes. -->

Every error says what happened, what was expected and what to do; its code is stable. A command ends
with the exit status of its error: 1 where the answer is no, 2 where something was used wrongly, 3
where something outside failed, 70 where Everloop itself is wrong, 130 where it was interrupted. A
*retryable* one can succeed later with nothing changed here.

| code | exit status | retryable | class | says |
|---|---|---|---|---|
"""
AGGREGATES_BEGIN, AGGREGATES_END = "<!-- aggregates -->\n", "<!-- end of aggregates -->"
AGGREGATES_HEADING = """
| written | of | gives | where no row counts | is |
|---|---|---|---|---|
"""


def errors_page() -> str:
    """Gives the page of all error classes, by exit status and code."""
    lines = sorted(
        (kind.exit_status, kind.code, kind.__name__, kind.retryable, str(kind.__doc__).splitlines()[0])
        for kind in error_classes()
    )
    return ERRORS_HEADING + "".join(
        f"| `{code}` | {status} | {'yes' if retryable else ''} | `{name}` | {says} |\n"
        for status, code, name, retryable, says in lines
    )


def error_classes() -> list[type[EverloopError]]:
    """Gives all error classes of all rooms that declare a code of their own."""
    for module in pkgutil.walk_packages(everloop.__path__, "everloop."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)
    public = [kind for kind in _below(EverloopError) if not kind.__name__.startswith("_")]
    return [kind for kind in public if "code" in vars(kind) and kind.__module__.startswith("everloop.")]


def _below(kind: type[EverloopError]) -> Iterator[type[EverloopError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def features_page() -> str:
    """Gives the page about features with the table of aggregates as they are defined."""
    page = _read(FOLDER / "features.md")
    before, _, rest = page.partition(AGGREGATES_BEGIN)
    after = rest.partition(AGGREGATES_END)[2]
    rows = [
        f"| `{one.sql}` | {' or '.join(one.takes)} | {'its type' if one.result == 'same' else one.result} "
        f"| {'null' if one.empty is None else one.empty} | {one.meaning} |"
        for one in AGGREGATES.values()
    ]
    return before + AGGREGATES_BEGIN + AGGREGATES_HEADING + "\n".join(rows) + "\n\n" + AGGREGATES_END + after


SOURCES_HEADING = """\
# Sources

<!-- Made by `python docs/generate.py` from what each kind declares. -->

A source is named in `data.sources` of the [lifecycle file](lifecycle-file.md) by the key of its kind. See
[files and logs](files-and-logs.md), [databases, APIs and tables from Python](databases-and-apis.md).
*Continues*: reads on from where it was, where the file names a cursor or the source has positions; *in
order*: equal content gives rows in the same order; *cheap look*: what is unchanged is not read again.

| kind | reads | continues | in order | cheap look | over a network |
|---|---|---|---|---|---|
"""


def sources_page() -> str:
    """Gives the page of all kinds of sources that ship, with what they can do."""
    lines = []
    for kind in sorted(SOURCES):
        can = source_class(kind).capabilities
        told = (
            can.incremental and kind != "table",
            can.keeps_order,
            can.cheap_fingerprint,
            can.needs_network,
        )
        lines.append(f"| `{kind}` | {can.reads} | {' | '.join('yes' if one else '' for one in told)} |\n")
    return SOURCES_HEADING + "".join(lines)


COMPILED_BEGIN, COMPILED_END = "<!-- compiled -->\n", "<!-- end of compiled -->"
COMPILED_HEADING = """
| library | compiles | any other estimator |
|---|---|---|
"""


def packages_page() -> str:
    """Gives the page about models from elsewhere with the table of what compiles."""
    page = _read(FOLDER / "packages.md")
    before, _, rest = page.partition(COMPILED_BEGIN)
    after = rest.partition(COMPILED_END)[2]
    found: dict[str, list[str]] = {}
    for kind in EXPORTERS:
        library, _, name = kind.partition(".")
        found.setdefault(library, []).append(name)
    found.pop("everloop")
    rows = [
        f"| {library} | {', '.join(f'`{name}`' for name in sorted(names))} "
        f"| {'Python runtime' if library in LIBRARIES else 'refused'} |"
        for library, names in sorted(found.items())
    ]
    rows += [
        "| PyTorch, Keras | networks whose layers follow one another | refused |",
        "| ONNX, also in a `.mar` archive | graphs with one input of rows | refused |",
        "| TensorFlow's SavedModel, a folder | signatures that only compute with numbers | refused |",
    ]
    return before + COMPILED_BEGIN + COMPILED_HEADING + "\n".join(rows) + "\n\n" + COMPILED_END + after


PAGES: dict[str, Callable[[], str]] = {
    "lifecycle-file.md": reference_markdown,
    "expressions.md": reference_page,
    "errors.md": errors_page,
    "sources.md": sources_page,
    "features.md": features_page,
    "packages.md": packages_page,
}


def stale() -> list[str]:
    """Gives the pages that are not what the source makes of them now."""
    return [name for name, make in PAGES.items() if _read(FOLDER / name) != make()]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main() -> int:
    """Writes the pages, or compares them."""
    parser = argparse.ArgumentParser(description="Writes the pages that are made from the source.")
    parser.add_argument("--check", action="store_true", help="compare, and end with 1 where one differs")
    if not parser.parse_args().check:
        for name, make in PAGES.items():
            (FOLDER / name).write_text(make(), encoding="utf-8")
        return 0
    differing = stale()
    for name in differing:
        sys.stderr.write(f"docs/{name} is stale; run: python docs/generate.py\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
