"""`everloop feedback`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer
from everloop.cli.progress import watching

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl

    from everloop.core.clock import Clock
    from everloop.core.progress import Progress

BATCH_ROWS = 1000
TRIES = 4
PAUSE_SECONDS = 0.5


def command(
    context: typer.Context,
    table: Annotated[
        str, typer.Argument(metavar="FILE", help="A table with the columns id, actual and, if known, at.")
    ],
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="The server; by default the lifecycle file's.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(metavar="REF", help="The server's token, as env:NAME or file:PATH.")
    ] = None,
    file: LifecycleFile = DEFAULT_FILE,
) -> Answer:
    """Sends the actuals of earlier predictions to a running server.

    Rows without an actual are left out. An actual that is sent again changes nothing.

    Example:
        everloop feedback actuals.csv --server http://127.0.0.1:8700
    """
    from everloop.core.clock import SystemClock

    actuals, skipped = read_actuals(table)
    address = server or server_of(file)
    with watching(context) as progress:
        sent = send(actuals, address, token=token, clock=SystemClock(), progress=progress)
    facts = {"server": address, "accepted": sent, "without_actual": skipped}
    left = f"; {skipped:,} rows have no actual yet" if skipped else ""
    return Answer(facts, f"sent {sent:,} actuals to {address}{left}")


def server_of(file: Path) -> str:
    """Gives the address of the server that a lifecycle file describes."""
    from everloop.spec import load

    serve = load(file).deploy.serve
    return f"http://{serve.host}:{serve.port}"


def read_actuals(path: str) -> tuple[list[dict[str, Any]], int]:
    """Reads a table of actuals.

    Returns:
        What the server takes, and how many rows have no actual.

    Raises:
        DataFault: When the columns are not there, or an actual is infinite.
    """
    from everloop.core.errors import DataFault
    from everloop.core.values import to_jsonable
    from everloop.table.labels import label_texts
    from everloop.table.tables import as_frame

    frame = as_frame(path, texts=("id", "actual"))
    missing = [name for name in ("id", "actual") if name not in frame.columns]
    if missing:
        raise DataFault(
            f"{path} lacks the column {' and '.join(missing)}; it has {', '.join(frame.columns)}.",
            hint="the columns are id (of the prediction), actual and, where the server follows events, at",
        )
    ids = label_texts(frame["id"]) if frame["id"].dtype.is_float() else frame["id"]
    frame = frame.with_columns(ids, _as_meant(frame["actual"]))
    known = frame.filter(frame["actual"].is_not_null() & frame["id"].is_not_null())
    if known["actual"].dtype.is_float() and known["actual"].is_infinite().any():
        first = known.filter(known["actual"].is_infinite())["id"][0]
        raise DataFault(
            f"The actual of {first!r} is infinite; expected a number.", hint=f"leave it empty in {path}"
        )
    names = [name for name in ("id", "actual", "at") if name in frame.columns]
    rows: list[dict[str, Any]] = to_jsonable(known.select(names).to_dicts())
    return [row | {"id": str(row["id"])} for row in rows], frame.height - known.height


def _as_meant(actuals: pl.Series) -> pl.Series:
    """Gives actuals as what a run would take them for: of text, numbers or booleans where all are such.

    A class may be called `007`: numbers of which one begins with a zero too many are texts, as in a run.
    """
    import polars as pl

    if actuals.dtype != pl.String:
        return actuals
    bare = actuals.str.strip_chars()
    if bare.str.contains(r"^[+-]?0[0-9]").any():
        return actuals
    if bare.str.to_lowercase().is_in(["true", "false"]).all():
        return bare.str.to_lowercase()
    for kind in (pl.Int64, pl.Float64):
        numbers = bare.cast(kind, strict=False)
        if numbers.null_count() == actuals.null_count():
            return numbers
    return actuals


def send(
    actuals: Sequence[dict[str, Any]],
    server: str,
    *,
    token: str | None,
    clock: Clock,
    progress: Progress,
) -> int:
    """Sends actuals in batches.

    Returns:
        How many the server accepted.

    Raises:
        ServerUnreachable: When it does not answer, after a few tries.
        UsageFault: When it refuses.
    """
    from everloop.core.errors import UsageFault
    from everloop.core.extras import require
    from everloop.core.progress import Event
    from everloop.spec.secret import read_secret

    httpx = require("httpx", extra="train")
    try:
        headers = {"authorization": f"Bearer {read_secret(token).reveal()}"} if token else {}
    except ValueError as error:
        raise UsageFault(f"--token: {error}.", hint="--token env:EVERLOOP_TOKEN") from None
    sent = 0
    with httpx.Client(headers=headers, timeout=30.0) as client:
        for start in range(0, len(actuals), BATCH_ROWS):
            batch = actuals[start : start + BATCH_ROWS]
            _post(client, f"{server.rstrip('/')}/feedback", list(batch), clock, sent)
            sent += len(batch)
            told = f"{sent:,} of {len(actuals):,} actuals"
            progress(Event("feedback", told, fraction=sent / len(actuals)))
    return sent


def _post(client: Any, url: str, batch: list[dict[str, Any]], clock: Clock, sent: int) -> None:
    from everloop.core.errors import ServerUnreachable, UsageFault
    from everloop.core.extras import require

    httpx = require("httpx", extra="train")
    why = ""
    for attempt in range(TRIES):
        if attempt:
            clock.sleep(PAUSE_SECONDS * 2**attempt)
        try:
            answer = client.post(url, json=batch)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise UsageFault(
                f"{url} is no address: {error}.", hint="--server http://127.0.0.1:8700"
            ) from None
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            continue
        if answer.status_code < 300:
            return
        why = f"{answer.status_code} {_problem(answer)}"
        if answer.status_code < 500:
            raise UsageFault(f"The server at {url} refuses: {why} ({sent} actuals were accepted before).")
    raise ServerUnreachable(
        f"The server at {url} does not answer: {why} ({sent} actuals were accepted before).",
        hint="start it and give the same command again; what is sent twice counts once",
    )


def _problem(answer: Any) -> str:
    """Says what a problem's details (RFC 9457) say."""
    try:
        told = answer.json()
    except ValueError:
        return str(answer.text[:200])
    if not isinstance(told, dict):
        return str(told)[:200]
    wrong = [f"{one.get('field')}: expected {one.get('expected')}" for one in told.get("errors", [])[:3]]
    return " ".join(str(part) for part in [told.get("title", ""), told.get("detail", ""), *wrong] if part)
