"""The gRPC server beside the HTTP server: same process, same event loop, same service."""

from __future__ import annotations

import os
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

from everloop.core.errors import EverloopError, UsageFault
from everloop.core.extras import require
from everloop.runtime.http import Refusal
from everloop.runtime.protocols.inference_messages import SERVICE
from everloop.runtime.protocols.open_inference_grpc import Method, Methods
from everloop.runtime.server.access import require_role

if TYPE_CHECKING:
    from everloop.runtime.service.service import Service
    from everloop.runtime.service.settings import Tls

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
        service: What serves.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
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

        settings = self._service.settings
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

    def _handlers(self) -> Any:
        import grpc

        methods = Methods(self._service)
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    self._guarded(name, method, role),
                    request_deserializer=methods.messages[f"{name}Request"].FromString,
                    response_serializer=methods.messages[f"{name}Response"].SerializeToString,
                )
                for name, (method, role) in methods.table.items()
            },
        )

    def _guarded(self, name: str, method: Method, role: str | None) -> Any:
        import grpc

        service = self._service

        async def answer(request: Any, context: Any) -> Any:
            started, status = time.perf_counter(), 200
            service.requests_now += 1
            try:
                if service.requests_now > service.settings.limits.concurrent and role is not None:
                    raise service.shedding.unavailable("overload", "The server has too much to do.")
                require_role(service.settings.tokens, role, _authorization(context))
                return await method(request)
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
                service.requests_now -= 1
                service.metrics.add("everloop_requests_total", f"/{SERVICE}/{name}", "GRPC", str(status))
                service.metrics.observe(f"/{SERVICE}/{name}", time.perf_counter() - started)

        return answer


def _credentials(tls: Tls) -> Any:
    import grpc

    certificate, key, clients = tls.contents()
    return grpc.ssl_server_credentials([(key, certificate)], clients, require_client_auth=clients is not None)


def _authorization(context: Any) -> bytes:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return value if isinstance(value, bytes) else str(value).encode()
    return b""
