"""The server of one provider: the server of the SDK, with errors that the engine understands and without tracebacks."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
import threading
import time
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
from pulumi.provider.experimental.provider import Provider
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from localcloud.providers.errors import PartialError, ProviderError
from localcloud.providers.values import PropertyValue, to_values

_Answer = TypeVar("_Answer")

_OPTIONS: Final = [("grpc.max_receive_message_length", 400 * 1024 * 1024)]  # the same as in the engine
_PARENT_CHECK_S: Final = 0.5


class ErrorTexts(grpc.aio.ServerInterceptor):
    """Reports a ProviderError by its text, and a PartialError also with the outputs for the state."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or not inspect.iscoroutinefunction(handler.unary_unary):
            return handler

        async def answer(request: Any, context: Any) -> Any:
            return await _answer(handler.unary_unary(request, context), context)

        return grpc.unary_unary_rpc_method_handler(answer, handler.request_deserializer, handler.response_serializer)


async def _answer(call: Awaitable[_Answer], context: grpc.aio.ServicerContext[Any, Any]) -> _Answer:
    try:
        return await call
    except Exception as wrapped:
        # The SDK raises a new exception with a traceback in its text; its context is the original exception.
        error = wrapped.__context__
        if not isinstance(error, ProviderError):
            raise
        if isinstance(error, PartialError):
            context.set_trailing_metadata((("grpc-status-details-bin", _details(error)),))
        await context.abort(grpc.StatusCode.UNKNOWN, str(error))


def _details(error: PartialError) -> bytes:
    """Return google.rpc.Status with the detail that tells the engine that the resource exists."""
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=error.resource_id,
            properties=PropertyValue.marshal_map(to_values(error.outputs)),
            inputs=PropertyValue.marshal_map(to_values(error.inputs)),
            reasons=[str(error)],
        )
    )
    return status.SerializeToString()


def serve(arguments: list[str], version: str, provider: Provider) -> None:
    """Report the port to the engine on stdout, and serve until the engine ends."""
    engine = next((word for word in arguments if not word.startswith("-")), "")
    asyncio.run(_serve(ProviderServicer(arguments, version, provider, engine)))


async def _serve(servicer: ProviderServicer) -> None:
    server = grpc.aio.server(options=_OPTIONS, interceptors=[ErrorTexts()])
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    # Before the report of the port, because an engine can be killed as soon as it has the port.
    threading.Thread(target=_end_with_engine, args=(os.getppid(),), daemon=True).start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


def _end_with_engine(parent: int) -> None:
    """Exit when the engine ends, because a killed engine does not stop its plugins."""
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_S)
    os._exit(0)
