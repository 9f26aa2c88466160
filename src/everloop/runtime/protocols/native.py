"""Everloop's own protocol: `POST /predict` and `POST /feedback`."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.core.clock import parse_time
from everloop.core.errors import UsageFault
from everloop.core.values import to_jsonable
from everloop.runtime.http import Refusal, Request, Response, decode_json
from everloop.runtime.protocols.arrow_form import ARROW, answers_as_arrow, rows_of_arrow
from everloop.runtime.protocols.models import require_rows
from everloop.runtime.protocols.route import Route
from everloop.runtime.row_fill import microseconds
from everloop.runtime.service.problems import problem, refused

if TYPE_CHECKING:
    from everloop.runtime.explain import Reason
    from everloop.runtime.service.served import Served
    from everloop.runtime.service.service import Service

PATH = "/predict"
_MOST_ID = 200
_MOST_REASONS = 100


async def predict(service: Service, request: Request) -> Response:
    """Answers one row, or several under `rows` or in an Arrow IPC stream; ids may be given beside `rows`."""
    limits = service.settings.limits
    explain = _explain(request)
    if request.header(b"content-type") == ARROW:
        content = await request.body(limits.body_bytes, limits.body_seconds)
        # Aside: the first such request loads pyarrow, for which nobody else should wait.
        rows = await asyncio.to_thread(rows_of_arrow, content, limits.rows)
        return await _several(service, request, rows, [None] * len(rows), explain)
    content = await request.json_body(limits.body_bytes, limits.body_seconds)
    read = service.read_row(content)
    if read is not None:
        return answer_of(await service.predict_checked(read, request.started, explain=explain))
    body = decode_json(content)
    if isinstance(body, dict) and isinstance(body.get("rows"), list) and body.keys() <= {"rows", "ids"}:
        rows = body["rows"]
        return await _several(service, request, rows, _ids(body.get("ids"), len(rows)), explain)
    if isinstance(body, dict) and isinstance(body.get("row"), dict) and body.keys() <= {"row", "id"}:
        identity = None if body.get("id") is None else _id(body["id"], "id")
        body = body["row"]
    else:
        identity = None
    served = await service.predict([body], [identity], request.started, explain=explain)
    return answer_of(served[0])


async def _several(
    service: Service, request: Request, rows: list[Any], ids: list[str | None], explain: int
) -> Response:
    """Answers rows in JSON, or as an Arrow IPC stream where that is accepted."""
    require_rows(service, len(rows))
    served = await service.predict(rows, ids, request.started, explain=explain)
    if ARROW in request.header(b"accept"):
        return Response(answers_as_arrow(served), kind=ARROW.decode())
    return Response.of({"predictions": [_answer(one) for one in served]})


def answer_of(served: Served) -> Response:
    """Gives the answer to one row."""
    return Response.of(_answer(served))


async def feedback(service: Service, request: Request) -> Response:
    """Takes one actual, a list of them, or a list under `actuals`."""
    limits = service.settings.limits
    body = await request.json(limits.body_bytes, limits.body_seconds)
    if isinstance(body, dict) and body.keys() == {"actuals"}:
        body = body["actuals"]
    entries = body if isinstance(body, list) else [body]
    if len(entries) > 10 * limits.rows:
        raise Refusal(
            413, "There are too many actuals.", f"Expected at most {10 * limits.rows} in a request."
        )
    actuals = [_actual(service, entry, f"actuals[{index}]") for index, entry in enumerate(entries)]
    await service.feedback(actuals)
    return Response.of({"accepted": len(actuals)})


def _answer(one: Served) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": one.id,
        "prediction": one.answer.prediction,
        "score": one.answer.score,
        "version": one.version,
    }
    if one.reasons is not None:
        answer["reasons"] = [_reason(reason) for reason in one.reasons]
    return answer


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "column": reason.column,
        "value": to_jsonable(reason.value),
        "reference": to_jsonable(reason.reference),
        "effect": to_jsonable(reason.effect),
    }


def _explain(request: Request) -> int:
    text = request.query("explain")
    reasons = 0 if text is None else reasons_asked(text)
    if reasons is None:
        raise Refusal(400, "The number of reasons is none.", f"Expected 'explain' from 0 to {_MOST_REASONS}.")
    return reasons


def reasons_asked(text: str) -> int | None:
    """Gives how many reasons a request asks for, None where that is no such number."""
    known = text.isascii() and text.isdigit() and len(text) < 4 and int(text) <= _MOST_REASONS
    return int(text) if known else None


def _ids(given: Any, count: int) -> list[str | None]:
    if given is None:
        return [None] * count
    if not isinstance(given, list) or len(given) != count:
        raise Refusal(422, "The ids do not fit the rows.", f"Expected a list of {count} texts.")
    return [
        None if identity is None else _id(identity, f"ids[{index}]") for index, identity in enumerate(given)
    ]


def _id(value: Any, field: str) -> str:
    if isinstance(value, str) and 0 < len(value) <= _MOST_ID:
        return value
    expected = f"text of 1 to {_MOST_ID} characters"
    raise refused("An id is none.", [problem(field, "id", expected, value)])


def _actual(service: Service, entry: Any, field: str) -> tuple[str, Any, int]:
    if not isinstance(entry, dict) or not {"id", "actual"} <= entry.keys() <= {"id", "actual", "at"}:
        expected = "an object with 'id', 'actual' and nothing else"
        raise refused("This is not feedback.", [problem(field, "type", expected, entry)])
    identity = _id(entry["id"], f"{field}.id")
    at = entry.get("at")
    if at is None and (service.settings.clock != "events" or service.clock.now()):
        return identity, entry["actual"], service.clock.now()
    if service.settings.clock != "events":
        expected = "nothing: the server tells the time"
        raise refused("Feedback names a time.", [problem(f"{field}.at", "clock", expected, at)])
    return identity, entry["actual"], _time(at, f"{field}.at")


def _time(at: Any, field: str) -> int:
    moment: datetime | None = None
    if isinstance(at, int) and not isinstance(at, bool) and abs(at) < 2**62:
        return at
    if isinstance(at, str):
        try:
            moment = parse_time(at)
        except (UsageFault, OverflowError):
            moment = None
    if moment is None:
        expected = "ISO 8601, or microseconds since 1970"
        raise refused("A time is none.", [problem(field, "time", expected, at)])
    return microseconds(moment)


ROUTES = (
    Route("POST", PATH, predict, role="predict"),
    Route("POST", "/feedback", feedback, role="feedback"),
)
