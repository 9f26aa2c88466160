"""`everloop new`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everloop.cli.output import Answer, table
from everloop.core.tasks import UNTARGETED

if TYPE_CHECKING:
    from everloop.spec.frame import Frame

FILE_NAME = "everloop.yaml"
SCHEMA_FILE = ".everloop/schema.json"
EXAMPLES = Path(__file__).parent / "examples"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def command(  # noqa: PLR0913, PLR0917  (one argument for each option)
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The lifecycle's name: a-z, 0-9, - and _.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="FILE", help="CSV, Parquet or JSON lines; a glob takes many.")
    ] = None,
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column to predict.")] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="TASK", help="By default inferred; clustering and anomaly need no target."),
    ] = None,
    entity: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Whom a row is about; a recommendation needs it.")
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A column that names images or sounds; may be given again."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; by default a folder NAME.")
    ] = None,
    example: Annotated[
        str | None, typer.Option(metavar="EXAMPLE", help="Start from a shipped example, with its data.")
    ] = None,
    list_examples: Annotated[bool, typer.Option("--list", help="List the shipped examples.")] = False,
) -> Answer:
    """Looks at data and writes a commented everloop.yaml with what it inferred.

    A file that is there already is never overwritten.

    Example:
        everloop new loan-default --data loans.csv --target defaulted
        everloop new segments --data customers.csv --task clustering
        everloop new offers --data orders.csv --task recommendation --target product --entity customer
        everloop new flights --example flights
        everloop new --list
    """
    from everloop.core.errors import UsageFault

    if list_examples:
        known = examples()
        return Answer(known, table(["example", "is"], known.items()))
    if example is not None:
        if data is not None or target is not None:
            raise UsageFault(
                "--example brings its own data and target.",
                hint=f"everloop new {name or example} --example {example}",
            )
        return from_example(example, name or example, folder)
    _refuse_unknown_task(task)
    untargeted = task in UNTARGETED
    needed = ("NAME", name), ("--data", data), *(() if untargeted else (("--target", target),))
    missing = [word for word, value in needed if value is None]
    if name is None or data is None or (target is None and not untargeted):
        hint = "everloop new NAME --data FILE --target COLUMN"
        if task == "recommendation":
            hint = f"{hint} --entity COLUMN --task {task}: the target is the item, the entity who had it"
        else:
            hint = f"{hint}; without a column to predict: --task {' or --task '.join(UNTARGETED)}"
        raise UsageFault(f"{' and '.join(missing)} must be given.", hint=hint)
    problem = {"target": target, "task": task, "entity": entity}
    stated = {key: value for key, value in problem.items() if value is not None}
    return from_data(name, data, stated, folder, tuple(files or ()))


def _refuse_unknown_task(task: str | None) -> None:
    from everloop.core.errors import UsageFault
    from everloop.core.nearness import near_names
    from everloop.core.tasks import TASKS

    if task is not None and task not in TASKS:
        near = near_names(task, TASKS)
        raise UsageFault(
            f"There is no task {task!r}; known are {', '.join(TASKS)}.",
            hint=f"--task {near[0]}" if near else "leave --task out: it is inferred from the target",
        )


def examples() -> dict[str, str]:
    """Lists the shipped examples, each with the first line of its file."""
    return {
        path.parent.name: path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        for path in sorted(EXAMPLES.glob(f"*/{FILE_NAME}"))
    }


def from_data(
    name: str, data: str, problem: dict[str, str], folder: Path | None, files: tuple[str, ...] = ()
) -> Answer:
    """Starts a lifecycle from a table.

    Args:
        name: The lifecycle's name.
        data: The table's file.
        problem: What is said of the problem: `target`, `task`, `entity`.
        folder: Where to write.
        files: Columns that name images or sounds.

    Raises:
        UsageFault: When the name is none, or the file is there already.
        EverloopError: When the table cannot be learned from.
    """
    from everloop.cli.drafting import draft
    from everloop.spec import parse

    place = _place(name, folder)
    source = _source_path(data, place)
    frame, rows = look(name, data, problem, place, files)
    text = draft(name, source, frame, rows, files)
    parse(text, folder=place, name=str(place / FILE_NAME))
    written = _write(place, text)
    facts = {"file": written, "name": name, "rows": rows, "frame": frame.to_dict()}
    inferred = [f"  {what}: {why}" for what, why in frame.reasons.items()]
    lines = [f"wrote {written}", *(["inferred:", *inferred] if inferred else []), f"next: {_next(place)}"]
    return Answer(facts, "\n".join(lines))


def look(
    name: str, data: str, problem: dict[str, str], place: Path, files: tuple[str, ...] = ()
) -> tuple[Frame, int]:
    """Reads the table as a run would, and infers the problem.

    Returns:
        The problem, and the number of rows.
    """
    import tempfile

    from everloop.core.errors import EverloopError
    from everloop.data.api import snapshot
    from everloop.problem.frame import build_frame
    from everloop.spec import FileSource, LifecycleSpec

    parts = {
        "name": name,
        "problem": problem,
        "data": {"sources": {"rows": FileSource(file=str(Path(data).absolute()))}, "files": list(files)},
    }
    spec = LifecycleSpec.model_validate(parts).in_folder(place)
    try:
        with tempfile.TemporaryDirectory(prefix="everloop-new-") as scratch:
            rows = snapshot(spec, scratch).table()
            return build_frame(rows, spec.problem), rows.height
    except EverloopError as error:
        # What a hint names stands in a file that was not written.
        hint = error.hint or ""
        if hint.startswith("file: "):
            error.put(hint=f'--data "{hint.removeprefix("file: ")}"')
        elif "data." in hint or "{file: " in hint:
            error.put(hint=f"mend {data}, or write {place / FILE_NAME} by hand, and there: {hint}")
        raise


def from_example(example: str, name: str, folder: Path | None) -> Answer:
    """Starts a lifecycle from a shipped example, and makes its data.

    Raises:
        NotFound: When there is no such example.
        MissingExtra: When its data needs a package that is not installed.
    """
    from importlib import import_module

    from everloop.core.errors import NotFound
    from everloop.core.nearness import near_names

    known = examples()
    if example not in known:
        near = near_names(example, known)
        raise NotFound(
            f"There is no example {example!r}; there are {', '.join(known)}.",
            hint=f"everloop new {name} --example {near[0]}" if near else "everloop new --list",
        )
    place = _place(name, folder)
    files = import_module(f"everloop.cli.examples.{example}.prepare").prepare(place)
    text = (EXAMPLES / example / FILE_NAME).read_text(encoding="utf-8")
    if name != example:
        text = re.sub(r"(?m)^name: .*$", f"name: {name}", text, count=1)
    written = _write(place, text)
    told = ", ".join(str(path) for path in files)
    facts = {"file": written, "name": name, "data": files}
    return Answer(facts, f"wrote {written}\ndata: {told}\nnext: {_next(place)}")


def _place(name: str, folder: Path | None) -> Path:
    from everloop.core.errors import UsageFault

    if not _NAME.fullmatch(name):
        plain = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:63]
        raise UsageFault(
            f"{name!r} cannot be a lifecycle's name; expected a-z, 0-9, - and _, a letter or digit first.",
            hint=f"everloop new {plain or 'my-model'}",
        )
    place = Path(name) if folder is None else folder
    if (place / FILE_NAME).exists():
        raise UsageFault(
            f"{place / FILE_NAME} is there already; it is not overwritten.",
            hint=f"everloop new {name} --folder {place}-2, or {_next(place)}",
        )
    if place.exists() and not place.is_dir():
        raise UsageFault(f"{place} is a file; a folder is to be made there.", hint="--folder DIR")
    return place


def _source_path(data: str, place: Path) -> str:
    """Gives the path as the file will name it: relative where data and lifecycle lie near each other."""
    absolute, home = Path(data).absolute(), place.absolute()
    near = absolute.is_relative_to(home.parent)
    return Path(os.path.relpath(absolute, home)).as_posix() if near else str(absolute)


def _write(place: Path, text: str) -> Path:
    import json

    from everloop.core.files import write_file
    from everloop.spec import json_schema

    schema = json.dumps(json_schema(), indent=2).encode()
    write_file(place / SCHEMA_FILE, schema)
    path = place / FILE_NAME
    write_file(path, f"# yaml-language-server: $schema={SCHEMA_FILE}\n{text}".encode())
    return path


def _next(place: Path) -> str:
    import shlex

    return "everloop run" if place == Path() else f"cd {shlex.quote(str(place))} && everloop run"
