"""The API as a Starlette application, for any host name and both protocols."""

from __future__ import annotations

import json
import time
import uuid

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from localcloud.api.api_faults import BrokenResponse
from localcloud.api.envelope import open_envelope
from localcloud.api.gateway import Gateway
from localcloud.api.request_log import Entry
from localcloud.api.request_path import STEPS, Exchange
from localcloud.api.signature import Signed
from localcloud.rules.refusal import ApiError


def make_app(gateway: Gateway) -> Starlette:
    """Return the public API application. `make_admin_app` serves the log and the faults of the same gateway."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = await _answer(gateway, Request(scope, receive))
        await response(scope, receive, send)

    app = Starlette()
    # No routes: the action is in a header, and a client behind an HTTP proxy sends a complete URL as the path.
    app.router.default = answer
    return app


async def _answer(gateway: Gateway, request: Request) -> Response:
    began = time.perf_counter()
    exchange = await _receive(gateway, request)
    entry = exchange.entry
    try:
        for step in STEPS:
            await step(exchange)
    except ApiError as error:
        entry.error = error.code
        exchange.answer = {"Error": {"Code": error.code, "Message": error.message}, "RequestId": entry.request_id}
    entry.took_ms = (time.perf_counter() - began) * 1000
    gateway.log.add(entry)
    content = json.dumps({"Response": exchange.answer}, ensure_ascii=False).encode()
    if exchange.fault is not None and exchange.fault.breaks_connection:
        return BrokenResponse(content, exchange.fault)
    return Response(content, media_type="application/json")


async def _receive(gateway: Gateway, request: Request) -> Exchange:
    headers = {name.lower(): value for name, value in request.headers.items()}
    envelope = open_envelope(Signed(request.method, request.url.query, headers, await request.body()))
    entry = Entry(
        at=gateway.cloud.clock(),
        service=headers.get("host", "").partition(".")[0],
        action=envelope.action,
        region=envelope.region,
        client=envelope.client,
        request_id=str(uuid.uuid4()),
    )
    return Exchange(gateway, envelope, entry)
