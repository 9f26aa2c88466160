"""`everloop data`: a table's contract, learned and enforced."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everloop.cli.output import Answer

if TYPE_CHECKING:
    from datetime import datetime

Table = Annotated[str, typer.Argument(metavar="FILE", help="CSV, Parquet or JSON lines; a glob takes many.")]
With = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="NAME=FILE", help="Another source, which columns of the table refer to."),
]
AsOf = Annotated[
    str | None, typer.Option(metavar="TIME", help="The time at which freshness is judged; by default now.")
]


def learn(
    file: Table,
    contract: Annotated[
        Path, typer.Option("--contract", "-c", metavar="C", help="Where to write it.")
    ] = Path("contract.yaml"),
    known_later: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A column that may be missing, such as the target."),
    ] = None,
    others: With = None,
    as_of: AsOf = None,
) -> Answer:
    """Learns what a table must satisfy from one that does, and writes it as a contract.

    Example:
        everloop data learn loans.parquet --contract contract.yaml --known-later defaulted
    """
    from everloop import data
    from everloop.core.errors import UsageFault
    from everloop.table.contract import save_contract

    if contract.exists():
        raise UsageFault(
            f"{contract} is there already; a contract that may be edited by hand is not replaced.",
            hint=f"everloop data learn {file} --contract new-{contract.name}",
        )
    tables = _named_files(others)
    learned = data.learn(file, known_later=tuple(known_later or ()), now=_moment(as_of), tables=tables)
    save_contract(learned, contract)
    facts = {"contract": str(contract), **learned.to_dict()}
    rules = f"{len(learned.columns)} columns, {len(learned.rules)} rules of the table"
    return Answer(facts, f"wrote {contract}: {rules}\nnext: everloop data check FILE --contract {contract}")


def check(
    file: Table,
    contract: Annotated[Path, typer.Option("--contract", "-c", metavar="C", help="The contract.")] = Path(
        "contract.yaml"
    ),
    others: With = None,
    as_of: AsOf = None,
) -> Answer:
    """Holds a table against a contract. The status is 1 where the table breaks it.

    Example:
        everloop data check loans-june.parquet --contract contract.yaml --with customers=customers.csv
    """
    from everloop import data
    from everloop.table.contract import load_contract

    held = load_contract(contract)
    report = data.check(file, held, now=_moment(as_of), tables=_named_files(others))
    broken = f", {report.broken:,} of them broken" if report.broken else ""
    lines = [f"{'passed' if report.passed else 'refused'}: {report.rows:,} rows{broken}, {contract}"]
    lines += [f"  {finding.severity}: {finding.sentence()}" for finding in report.findings]
    lines += [f"  not checked: {what}" for what in report.unchecked]
    return Answer(report.to_dict(), "\n".join(lines), status=0 if report.passed else 1)


def _named_files(given: list[str] | None) -> dict[str, str]:
    from everloop.core.errors import UsageFault

    pairs = [one.partition("=") for one in given or ()]
    for name, sign, path in pairs:
        if not (name and sign and path):
            raise UsageFault(
                f"{name + sign + path!r} names no source and its file.", hint="--with customers=customers.csv"
            )
    return {name: path for name, _, path in pairs}


def _moment(text: str | None) -> datetime:
    from everloop.cli.reading import optional_time
    from everloop.core.clock import SystemClock

    return optional_time(text) or SystemClock().now()
