"""`POST /invocations` and `GET /ping`, as clients of MLflow's server and of SageMaker speak them.

`POST /models/{name}/invoke` is the same as SageMaker says it to a container of several models.

https://mlflow.org/docs/latest/genai/serving, https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from everloop.runtime.http import Refusal, Request, Response
from everloop.runtime.protocols.models import require_rows
from everloop.runtime.protocols.route import UNDER, Route, ServerRoute
from everloop.runtime.protocols.row_forms import rows_of_columns, rows_of_csv, rows_of_split

if TYPE_CHECKING:
    from everloop.runtime.service.lifecycles import Lifecycles
    from everloop.runtime.service.served import Served
    from everloop.runtime.service.service import Service

_CSV = b"text/csv"


async def invoke(service: Service, request: Request) -> Response:
    """Answers a table in JSON or CSV with a prediction for each row."""
    rows = await _rows(service, request)
    require_rows(service, len(rows))
    served = await service.predict(rows, [None] * len(rows), request.started)
    if _CSV in request.header(b"accept"):
        return Response(_csv(served), kind="text/csv; charset=utf-8")
    scores = [one.answer.score for one in served]
    return Response.of(
        {
            "predictions": [one.answer.prediction for one in served],
            "scores": scores,
            "ids": [one.id for one in served],
            "versions": [one.version for one in served],
        }
    )


async def ping(lifecycles: Lifecycles, _request: Request) -> Response:
    """Says whether requests are answered now."""
    return Response(b"\n", 200 if lifecycles.able else 503)


async def _rows(service: Service, request: Request) -> list[Any]:
    limits = service.settings.limits
    kind = request.header(b"content-type").partition(b";")[0].strip().lower()
    if kind == _CSV:
        content = await request.body(limits.body_bytes, limits.body_seconds)
        champion = service.routing.champion
        return rows_of_csv(content, champion.package.asked, champion.columns)
    if not request.sends_json:
        raise Refusal(415, "The body is of another kind.", "Expected application/json or text/csv.")
    body = await request.json(limits.body_bytes, limits.body_seconds, nan=True)
    forms = [] if not isinstance(body, dict) else [name for name in FORMS if name in body]
    if len(forms) != 1 or body.keys() - {forms[0], "params"}:
        raise Refusal(400, "The body is no table.", f"Expected an object with one of {', '.join(FORMS)}.")
    if body.get("params"):
        raise Refusal(400, "The model takes no parameters.", "Expected 'params' to be empty.")
    return FORMS[forms[0]](body[forms[0]])


def _records(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Refusal(400, "The records are no list.", "Expected a list of objects of column to value.")
    return value


def _either(value: Any) -> list[Any]:
    return rows_of_columns(value) if isinstance(value, dict) else _records(value)


FORMS = {
    "dataframe_split": rows_of_split,
    "dataframe_records": _records,
    "instances": _either,
    "inputs": _either,
}
"""The forms of a table in JSON, and what reads each."""


def _csv(served: list[Served]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([one.answer.prediction] for one in served)
    return out.getvalue().encode()


_CODES = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}
"""HTTP's status, and MLflow's code where it is not that of the other refusals."""


def refused(refusal: Refusal) -> Response:
    """Gives a refusal with the members that MLflow's clients look for."""
    otherwise = "INVALID_PARAMETER_VALUE" if refusal.status < 500 else "TEMPORARILY_UNAVAILABLE"
    code = _CODES.get(refusal.status, otherwise)
    return refusal.response(error_code=code, message=refusal.sentence)


ROUTES = (
    Route("POST", "/invocations", invoke, role="predict", refused=refused),
    Route("POST", f"{UNDER}/invoke", invoke, role="predict", refused=refused),
    ServerRoute("GET", "/ping", ping, role=None, counts=False, refused=refused),
)
