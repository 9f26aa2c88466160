"""`everloop data`: a table's contract, learned and enforced."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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


def check(  # noqa: PLR0913, PLR0917  (one argument for each option)
    file: Table,
    test: Annotated[
        str | None, typer.Argument(metavar="TEST", help="The test rows, where FILE holds the training rows.")
    ] = None,
    contract: Annotated[
        Path | None,
        typer.Option("--contract", "-c", metavar="C", help="The contract; by default contract.yaml."),
    ] = None,
    others: With = None,
    as_of: AsOf = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Look for leaks of this column, too.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of FILE that names each row's part.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column that says when the decision is made.")
    ] = None,
    entity: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column that names whom a row is about.")
    ] = None,
    waive: Annotated[
        list[str] | None, typer.Option(metavar="NAME=REASON", help="A leak that may stay, and why.")
    ] = None,
) -> Answer:
    """Holds a table against a contract, and looks for leaks. The status is 1 where either finds an error.

    Leaks are looked for where --target is given, in FILE and TEST, in the parts that --split names, or in
    FILE alone. Then there need not be a contract.

    Example:
        everloop data check loans-june.parquet --contract contract.yaml --with customers=customers.csv
        everloop data check train.csv test.csv --target defaulted --time applied_at
    """
    from everloop import data

    held = contract or Path("contract.yaml")
    answers = []
    if contract is not None or target is None or held.exists():
        moment, tables = _moment(as_of), _named_files(others)
        answers = [_held(one, held, moment, tables) for one in (file, test) if one is not None]
    if target is not None:
        waivers = _pairs(waive, '--waive "identifier: account_no=the reason"')
        found = data.find_leaks(
            file, test, target=target, split=split, time=time, entity=entity, waive=waivers
        )
        answers.append(Answer({"leaks": found.to_dict()}, str(found), status=0 if found.passed else 1))
    elif test is not None or split is not None:
        from everloop.core.errors import UsageFault

        raise UsageFault("Leaks are looked for where the target is named.", hint="--target COLUMN")
    facts: dict[str, Any] = {}
    for answer in reversed(answers):
        facts |= answer.facts
    status = max(answer.status for answer in answers)
    facts["passed"] = not status
    return Answer(facts, "\n".join(answer.text for answer in answers), status=status)


def _held(file: str, contract: Path, moment: datetime, tables: dict[str, str]) -> Answer:
    from everloop import data
    from everloop.table.contract import load_contract

    report = data.check(file, load_contract(contract), now=moment, tables=tables)
    broken = f", {report.broken:,} of them broken" if report.broken else ""
    lines = [f"{'passed' if report.passed else 'refused'}: {report.rows:,} rows{broken}, {contract}"]
    lines += [f"  {finding.severity}: {finding.sentence()}" for finding in report.findings]
    lines += [f"  not checked: {what}" for what in report.unchecked]
    return Answer(report.to_dict(), "\n".join(lines), status=0 if report.passed else 1)


def _named_files(given: list[str] | None) -> dict[str, str]:
    return _pairs(given, "--with customers=customers.csv")


def _pairs(given: list[str] | None, hint: str) -> dict[str, str]:
    from everloop.core.errors import UsageFault

    pairs = [one.partition("=") for one in given or ()]
    for name, sign, value in pairs:
        if not (name and sign and value):
            raise UsageFault(
                f"{name + sign + value!r} is no pair of a name and what it stands for.", hint=hint
            )
    return {name: value for name, _, value in pairs}


def _moment(text: str | None) -> datetime:
    from everloop.cli.reading import optional_time
    from everloop.core.clock import SystemClock

    return optional_time(text) or SystemClock().now()
