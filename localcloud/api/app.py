"""The API as a Starlette application, for any host name and both protocols."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from localcloud.api import faults
from localcloud.api.dispatch import dispatch, find_action, find_region, find_service
from localcloud.api.envelope import Envelope, check_protocol, open_envelope, verify
from localcloud.api.gateway import Gateway
from localcloud.api.query import parameters_of_query
from localcloud.api.request_log import Entry
from localcloud.api.request_rules import BodyNotJson
from localcloud.api.signature import Identity, Signed
from localcloud.reconcile.cloud import Cloud
from localcloud.rules.refusal import ApiError
from localcloud.services.actions import VERSIONS
from localcloud.services.schema import schema


def make_app(cloud: Cloud, gateway: Gateway | None = None) -> Starlette:
    """The public API. `gateway` holds throttle, faults and log; its operator's side is `make_control_app`."""
    shared = gateway or Gateway(cloud)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = await _answer(shared, Request(scope, receive))
        await response(scope, receive, send)

    app = Starlette()
    # No routes: the action is in a header, and a client behind an HTTP proxy sends a whole URL where the path is.
    app.router.default = answer
    app.state.gateway = shared
    return app


async def _answer(gateway: Gateway, request: Request) -> Response:
    began = time.perf_counter()
    request_id = str(uuid.uuid4())
    headers = {name.lower(): value for name, value in request.headers.items()}
    envelope = open_envelope(Signed(request.method, request.url.query, headers, await request.body()))
    entry = Entry(
        at=gateway.cloud.clock(),
        service=headers.get("host", "").partition(".")[0],
        action=envelope.action,
        region=envelope.region,
        client=envelope.client,
        request_id=request_id,
    )
    fault: faults.Fault | None = None
    try:
        identity = verify(envelope, gateway.cloud.credentials, gateway.cloud.clock())
        entry.service = find_service(headers.get("host", ""), identity.service, envelope)
        fault = gateway.faults.draw(entry.service, entry.action)
        if fault is not None and fault.latency_ms:
            await asyncio.sleep(fault.latency_ms / 1000)
        answer = _run(gateway, entry, envelope, identity, fault)
    except ApiError as error:
        entry.error = error.code
        answer = {"Error": {"Code": error.code, "Message": error.message}, "RequestId": request_id}
    entry.took_ms = (time.perf_counter() - began) * 1000
    gateway.log.add(entry)
    content = json.dumps({"Response": answer}, ensure_ascii=False).encode()
    if fault is not None and fault.breaks_connection:
        return faults.BrokenResponse(content, fault)
    return Response(content, media_type="application/json")


def _run(
    gateway: Gateway, entry: Entry, envelope: Envelope, identity: Identity, fault: faults.Fault | None
) -> dict[str, Any]:
    action = find_action(entry.service, entry.action, envelope.version)
    gateway.throttle.count(identity.secret_id, action.service, action.name, gateway.cloud.clock())
    if fault is not None and fault.code:
        raise ApiError(fault.code, fault.message)
    region = find_region(gateway.cloud, entry.service, entry.region)
    check_protocol(envelope)
    if envelope.query is not None:
        models = schema(action.service, VERSIONS[action.service])
        given = parameters_of_query(models, f"{action.name}Request", envelope.query)
    else:
        given = _json(envelope.signed)
    entry.parameters = given
    return dispatch(
        gateway.cloud,
        action,
        given,
        region=region,
        secret_id=identity.secret_id,
        request_id=entry.request_id,
    )


def _json(signed: Signed) -> Mapping[str, Any]:
    if not signed.body.strip():
        return {}
    try:
        given: object = json.loads(signed.body)
    except (ValueError, RecursionError) as error:
        raise BodyNotJson(reason=error) from None
    if not isinstance(given, dict):
        raise BodyNotJson(reason=f"a {type(given).__name__}")
    return cast("dict[str, Any]", given)
