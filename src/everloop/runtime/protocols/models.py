"""The served model by the version that a client's path says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from everloop.core.tasks import decides_by
from everloop.runtime.http import Refusal, Response

if TYPE_CHECKING:
    from everloop.runtime.http import Request
    from everloop.runtime.manifest import Manifest
    from everloop.runtime.service.arms import LoadedArm
    from everloop.runtime.service.served import Served
    from everloop.runtime.service.service import Service


def version_asked(service: Service, version: str | None) -> int | None:
    """Gives the version that a client names; None leaves the choice to the routing.

    Args:
        service: What serves.
        version: The version's number as text, if the client says one.

    Raises:
        Refusal: 404 when the version is not served.
    """
    if not version:
        return None
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else -1
    service.arm_of(number)
    return number


def version_of(service: Service, request: Request) -> int | None:
    """Gives the version that a request's path names, as `version_asked`."""
    return version_asked(service, request.parameters.get("version"))


def model_of(service: Service, version: int | None) -> LoadedArm:
    """Gives what a version asked for stands for: that version, or the champion."""
    return service.routing.champion if version is None else service.arm_of(version)[1]


def versions_of(service: Service) -> list[str]:
    """Gives the numbers of all versions that are served, the champion's first."""
    arms = (service.routing.champion, service.routing.challenger)
    return [str(arm.version) for arm in arms if arm is not None]


def require_rows(service: Service, count: int) -> None:
    """Holds a request's number of rows against the limit.

    Raises:
        Refusal: 413 where there are too many.
    """
    if count > service.settings.limits.rows:
        most = service.settings.limits.rows
        raise Refusal(413, "There are too many rows.", f"Expected at most {most} in a request.")


def answer_columns(manifest: Manifest, served: list[Served]) -> dict[str, list[object]]:
    """Gives answers as columns: what was predicted, the score, and the id that feedback names.

    Raises:
        Refusal: 501 where an answer is a list, which a column of these protocols cannot hold.
    """
    if decides_by(manifest.task, "items"):
        raise Refusal(501, "A list of items has no form in this protocol.", "Ask POST /predict.")
    several = decides_by(manifest.task, "largest")
    return {
        "prediction": [one.answer.prediction for one in served],
        "score": [list(one.answer.score) if several else one.answer.score for one in served],  # type: ignore[arg-type]
        "id": [one.id for one in served],
    }


def refused(refusal: Refusal) -> Response:
    """Gives a refusal as TensorFlow Serving's, Triton's and KServe's clients read it: `error` alone."""
    body = msgspec.json.encode({"error": refusal.sentence})
    return Response(body, refusal.status, headers=refusal.headers)
