"""`everloop data export` and `import`: contracts in the formats of other tools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from everloop.cli.output import Answer

if TYPE_CHECKING:
    from everloop.integrations.contract_format import ContractFormat

GROUP = "everloop.contract_formats"
Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="OUT", help="Where to write it.")]


def export(
    to: Annotated[
        str,
        typer.Option("--to", metavar="FORMAT", help="odcs, great_expectations, pandera or pandera_polars."),
    ],
    contract: Annotated[Path, typer.Option("--contract", "-c", metavar="C", help="The contract.")] = Path(
        "contract.yaml"
    ),
    out: Out = None,
) -> Answer:
    """Writes a contract in another tool's format, and names what that format cannot say.

    Example:
        everloop data export --to great_expectations --contract contract.yaml
    """
    from everloop.core.errors import UsageFault
    from everloop.core.files import write_file
    from everloop.table.contract import load_contract

    format_ = _format(to)
    target = out or contract.with_name(f"{contract.stem}-{to}{format_.suffix}")
    if target.exists():
        raise UsageFault(f"{target} is there already.", hint=f"everloop data export --to {to} --out OTHER")
    written = format_.write(load_contract(contract), contract.stem)
    write_file(target, _text(written.document, target.suffix).encode())
    facts = {"file": str(target), "left_out": list(written.left_out)}
    return Answer(facts, "\n".join([f"wrote {target}", *_left_out(written.left_out)]))


def import_(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="An ODCS contract, an expectation suite or a Pandera schema."),
    ],
    contract: Annotated[
        Path, typer.Option("--contract", "-c", metavar="C", help="Where to write it.")
    ] = Path("contract.yaml"),
    like: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="A table whose columns have the types that FILE omits."),
    ] = None,
) -> Answer:
    """Reads a contract from another tool's file, and names what it cannot say.

    Example:
        everloop data import suite.json --like loans.parquet --contract contract.yaml
    """
    from everloop.core.errors import UsageFault
    from everloop.table.contract import save_contract
    from everloop.table.schema import schema_of
    from everloop.table.tables import as_lazy

    if contract.exists():
        raise UsageFault(
            f"{contract} is there already.", hint=f"everloop data import {file} --contract OTHER"
        )
    document = _document(file)
    known = {name: _format(name) for name in _points()}
    name = next((name for name, one in known.items() if one.knows(document)), None)
    if name is None:
        raise UsageFault(f"{file} is of no known format; known are {', '.join(known)}.")
    types = dict(schema_of(as_lazy(like)).types) if like else {}
    read = known[name].read(document, types)
    save_contract(read.contract, contract)
    facts = {"format": name, "contract": str(contract), "left_out": list(read.left_out)}
    told = f"wrote {contract} from {name}: {len(read.contract.columns)} columns"
    return Answer(facts, "\n".join([told, *_left_out(read.left_out)]))


def _left_out(names: tuple[str, ...]) -> list[str]:
    return [f"  left out: {name}" for name in names]


def _points() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}


def _format(name: str) -> ContractFormat:
    from everloop.core.errors import UsageFault

    points = _points()
    if name not in points:
        raise UsageFault(f"There is no format {name!r}; there are {', '.join(sorted(points))}.")
    made: ContractFormat = points[name].load()()
    return made


def _document(file: Path) -> Mapping[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    from everloop.core.errors import DataFault

    if not file.is_file():
        raise DataFault(f"There is no file {file}.")
    try:
        document = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    except (YAMLError, ValueError) as error:
        raise DataFault(f"{file} is neither JSON nor YAML: {error}", place=str(file)) from error
    if not isinstance(document, Mapping):
        raise DataFault(f"{file} holds no object.", place=str(file))
    return document


def _text(document: Mapping[str, Any], suffix: str) -> str:
    import io
    import json

    from ruamel.yaml import YAML

    if suffix == ".json":
        return json.dumps(document, indent=2) + "\n"
    yaml, stream = YAML(), io.StringIO()
    yaml.default_flow_style = False
    yaml.dump(document, stream)
    return stream.getvalue()
