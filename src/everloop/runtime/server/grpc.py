"""The gRPC server beside the HTTP server: same process, same event loop, same service."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from everloop.core.errors import EverloopError, UsageFault
from everloop.core.extras import require
from everloop.runtime.http import Refusal
from everloop.runtime.protocols.inference_messages import SERVICE
from everloop.runtime.protocols.open_inference_grpc import Method, Methods
from everloop.runtime.server.access import admitted, require_role

if TYPE_CHECKING:
    from everloop.runtime.service.lifecycles import Lifecycles
    from everloop.runtime.service.metrics import Metrics
    from everloop.runtime.service.service import Service
    from everloop.runtime.service.settings import ServerSettings, Tls
    from everloop.runtime.service.waiting import Waiting

_STATUS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
"""HTTP's status, and the code of gRPC; every other refusal is an invalid argument."""


class GrpcServer:
    """Serves the methods of the Open Inference Protocol. Used from one event loop.

    Args:
        lifecycles: What it answers for.
        settings: Where it listens, and how.
        waiting: Says which requests waited too long.
    """

    def __init__(self, lifecycles: Lifecycles, settings: ServerSettings, waiting: Waiting) -> None:
        self._lifecycles, self._settings, self._waiting = lifecycles, settings, waiting
        self._server: Any = None
        self.port = 0

    async def start(self) -> None:
        """Listens at the settings' host and gRPC port, with TLS where the settings have it.

        Raises:
            MissingExtra: When grpcio is not installed.
            UsageFault: When the address cannot be listened on.
        """
        # Its core tells of every failed handshake on the error output, where strangers could fill it.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        require("grpc", extra="grpc")
        from grpc import aio

        settings = self._settings
        options = [
            ("grpc.max_receive_message_length", settings.limits.body_bytes),
            ("grpc.so_reuseport", int(settings.reuse_port)),
        ]
        server = aio.server(options=options)
        server.add_generic_rpc_handlers((self._handlers(),))
        address = f"[{settings.host}]" if ":" in settings.host else settings.host
        place = f"{address}:{settings.grpc_port}"
        try:
            if settings.tls is None:
                self.port = server.add_insecure_port(place)
            else:
                self.port = server.add_secure_port(place, _credentials(settings.tls))
        except RuntimeError:
            raise UsageFault(
                f"The server cannot listen on {place} for gRPC.",
                hint="name another port under deploy.serve.grpc_port",
            ) from None
        await server.start()
        self._server = server

    async def stop(self, seconds: float) -> None:
        """Takes no more requests, and waits so long for those under way."""
        if self._server is not None:
            await self._server.stop(seconds)

    async def answer(
        self, service: Service, method: Method, role: str | None, who: bytes, request: Any
    ) -> Any:
        """Has a lifecycle answer, if whoever asks may and it has not too much to do.

        Raises:
            Refusal: 503 when the lifecycle has too much to do, 401 and 403 for who may not ask.
        """
        service.requests_now += 1
        try:
            if role is not None and not self._bears(service):
                raise service.shedding.overloaded()
            require_role(service.settings.tokens, role, who)
            return await method(service, request)
        finally:
            service.requests_now -= 1

    def _bears(self, service: Service) -> bool:
        return service.requests_now <= service.settings.limits.concurrent and self._waiting.admits()

    def _handlers(self) -> Any:
        import grpc

        methods = Methods()
        answers = {name: self._of_server(name, method) for name, method in methods.of_server.items()}
        answers |= {name: self._of_model(name, *entry) for name, entry in methods.of_model.items()}
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    answer,
                    request_deserializer=methods.messages[f"{name}Request"].FromString,
                    response_serializer=methods.messages[f"{name}Response"].SerializeToString,
                )
                for name, answer in answers.items()
            },
        )

    def _of_server(self, name: str, method: Callable[[Lifecycles], Any]) -> Any:
        async def answer(_request: Any, context: Any) -> Any:
            async def answered() -> Any:
                return method(self._lifecycles)

            return await _guarded(name, self._lifecycles.metrics, context, answered)

        return answer

    def _of_model(self, name: str, method: Method, field: str, role: str | None) -> Any:
        lifecycles = self._lifecycles

        async def answer(request: Any, context: Any) -> Any:
            lifecycle, who = getattr(request, field), _authorization(context)
            service = lifecycles.named.get(lifecycle)

            async def answered() -> Any:
                if service is None:
                    lifecycles.only(admitted(lifecycles.services, role, who)).find(lifecycle)
                    return None
                return await self.answer(service, method, role, who, request)

            numbers = lifecycles.metrics if service is None else service.metrics
            return await _guarded(name, numbers, context, answered)

        return answer


async def _guarded(name: str, numbers: Metrics, context: Any, answer: Callable[[], Awaitable[Any]]) -> Any:
    """Answers, tells what goes wrong in gRPC's codes, and counts."""
    import grpc

    started, status = time.perf_counter(), 200
    try:
        return await answer()
    except Refusal as refusal:
        status = refusal.status
        code = grpc.StatusCode[_STATUS.get(status, "INVALID_ARGUMENT")]
        return await context.abort(code, refusal.sentence)
    except EverloopError as error:
        status = 422
        return await context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
    except Exception:  # noqa: BLE001  (the last line: one request fails, the server goes on)
        status = 500
        traceback.print_exc(file=sys.stderr)
        return await context.abort(grpc.StatusCode.INTERNAL, "The server made a mistake.")
    finally:
        numbers.answered(f"/{SERVICE}/{name}", "GRPC", status, time.perf_counter() - started)


def _credentials(tls: Tls) -> Any:
    import grpc

    certificate, key, clients = tls.contents()
    return grpc.ssl_server_credentials([(key, certificate)], clients, require_client_auth=clients is not None)


def _authorization(context: Any) -> bytes:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return value if isinstance(value, bytes) else str(value).encode()
    return b""
