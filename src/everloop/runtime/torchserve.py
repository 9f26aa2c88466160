"""A package behind TorchServe: its worker hands over requests, the same application answers them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from everloop.runtime.aws_lambda import LambdaHandler

_REQUEST = {
    "httpMethod": "POST",
    "path": "/predict",
    "headers": {"content-type": "application/json"},
}
_BODIES = ("body", "data")
"""Where TorchServe puts what a client sent: as it is, or as a form's field."""


class TorchServeHandler:
    """Answers a worker's batches; made once for each worker.

    A request's body is that of `POST /predict`, and so is its answer: the contract is checked, the line is
    in the log (`aws_lambda.LOG_VARIABLE` names its folder).

    Args:
        package: The package's folder.
        trusted: Public keys of which one must have signed it; empty asks for no signature.

    Raises:
        EverloopError: When the package is refused.
    """

    def __init__(self, package: Path, trusted: tuple[str, ...] = ()) -> None:
        self._application = LambdaHandler(package, trusted)

    def __call__(self, data: Sequence[Any] | None, context: Any) -> list[Any] | None:
        """Answers the requests of a batch.

        Args:
            data: What each client sent; None when the worker starts.
            context: Takes the status of each answer.

        Returns:
            An answer for each request, in order.
        """
        if data is None:
            return None
        answers = []
        for place, request in enumerate(data):
            said = self._application({**_REQUEST, "body": _body_of(request)})
            context.set_response_status(code=said["statusCode"], idx=place)
            context.set_response_content_type(place, said["headers"].get("content-type", "application/json"))
            answers.append(said["body"])
        return answers


def _body_of(request: Any) -> str:
    """Gives a body as text: TorchServe has decoded one that says it is JSON."""
    sent = next((request[name] for name in _BODIES if request.get(name) is not None), b"")
    if isinstance(sent, (bytes, bytearray)):
        return bytes(sent).decode("utf-8", "replace")
    return sent if isinstance(sent, str) else msgspec.json.encode(sent).decode()
