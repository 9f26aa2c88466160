"""`everloop backtest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer, table
from everloop.cli.progress import watching
from everloop.cli.reading import opened, optional_time

if TYPE_CHECKING:
    from everloop.loop.compared import BacktestResult
    from everloop.spec.model import Budget

DEFAULT_REPORT = Path("backtest.html")


def command(  # noqa: PLR0913, PLR0917  (one argument for each option)
    context: typer.Context,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="POLICY",
            help="never, weekly, monthly, drift, pays, or file (what the file says); triggers such as "
            "'schedule: every Monday at 6'; a condition in SQL; FILE.py:FUNCTION. Several times.",
        ),
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Where to begin (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Where to end.")] = None,
    sample: Annotated[str, typer.Option(metavar="PERCENT", help="The share of the rows.")] = "100%",
    seed: Annotated[int, typer.Option(help="Which rows the sample takes.")] = 0,
    every: Annotated[
        str, typer.Option(metavar="DURATION", help="The time between two looks of the loop.")
    ] = "1d",
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME|TRIALS", help="How long each training searches: 5s, or 10 trials."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Policies at once; else one a core.")] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PATH", help="The report to write.")
    ] = DEFAULT_REPORT,
    file: LifecycleFile = DEFAULT_FILE,
) -> Answer:
    """Replays history through the loop under several retraining policies and compares what they earn.

    The same loop, on a simulated clock; the lifecycle's own record stays as it is. Left out, never,
    monthly, drift and pays are compared.

    Example:
        everloop backtest --since 2013-05-01 --sample 20%
        everloop backtest --policy monthly --policy pays
        everloop backtest --policy "drift > 1.5 and days >= 14" --policy policy.py:when
    """
    from everloop.cli.report import writable
    from everloop.console.backtest_page import backtest_page
    from everloop.core.files import write_file
    from everloop.core.units import parse_duration, parse_percent
    from everloop.loop.backtest import Rehearsal, backtest
    from everloop.loop.policies import USUAL
    from everloop.report import render

    path = writable(output)
    how = Rehearsal(
        optional_time(since),
        optional_time(until),
        sample=parse_percent(sample),
        seed=seed,
        every=parse_duration(every),
        budget=_budget(budget),
        jobs=jobs,
    )
    with watching(context) as progress, opened(file, progress) as workspace:
        result = backtest(workspace, policy or USUAL, how)
        page = backtest_page(result.to_dict(), lifecycle=workspace.name)
    write_file(path, render(page).encode())
    return Answer(result.to_dict() | {"report": str(path)}, f"{_told(result)}\n\nreport: {path}")


def _budget(text: str | None) -> Budget | None:
    """Reads how long a training searches.

    Raises:
        UsageFault: When it is neither a time nor a number of trials.
    """
    from everloop.core.errors import UsageFault
    from everloop.spec.model import Budget

    if text is None:
        return None
    trials = text.removesuffix("trials").removesuffix("trial").strip()
    try:
        return Budget.model_validate({"trials": int(trials)} if trials.isdecimal() else text)
    except ValueError:
        raise UsageFault(f"{text!r} is no budget.", hint="--budget 5s, or --budget '10 trials'") from None


_HEADINGS = (
    "policy",
    "after costs",
    "value",
    "cost",
    "a decision",
    "against never",
    "retrains",
    "promoted",
    "alarms",
    "best in",
)


def _told(result: BacktestResult) -> str:
    money = result.currency or "value"
    ranked = result.ranked
    rows = [
        (
            policy.name,
            f"{policy.net:,.0f}",
            f"{policy.value:,.0f}",
            f"{policy.cost:,.2f}",
            f"{policy.value_per_decision:.3f}",
            "" if policy.against_never is None else str(policy.against_never),
            policy.retrains,
            policy.promoted,
            policy.alarms,
            f"{policy.best_in:.0%}",
        )
        for policy in ranked
    ]
    by_month = table(
        ("month", *(policy.name for policy in ranked)),
        [
            (month, *(f"{policy.months[month]:.3f}" for policy in ranked))
            for month in result.policies[0].months
        ],
    )
    span = f"{result.since:%Y-%m-%d} to {result.until:%Y-%m-%d}, {result.decisions:,} decisions, in {money}"
    monthly = f"{money} a decision, by month\n{by_month}"
    said = "\n\n".join(text for text in (result.meaning, result.verdict) if text)
    return f"\n{span}\n\n{table(_HEADINGS, rows)}\n\n{monthly}\n\n{said}"
