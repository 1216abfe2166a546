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
from localcloud.api.dispatch import dispatch, find_action, find_region
from localcloud.api.gateway import Gateway
from localcloud.api.query import parameters_of_query
from localcloud.api.request_log import Entry
from localcloud.api.request_rules import (
    BodyNotJson,
    ContentTypeWrong,
    RequestTooLarge,
    ServiceUnknown,
    UnsupportedProtocol,
)
from localcloud.api.signature import Identity, Signed, verify
from localcloud.reconcile.cloud import Cloud
from localcloud.rules.refusal import ApiError
from localcloud.services.actions import VERSIONS
from localcloud.services.schema import schema

_BODY_LIMIT = 10 * 1024 * 1024


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
    entry = Entry(
        at=gateway.cloud.clock(),
        service=headers.get("host", "").partition(".")[0],
        action=headers.get("x-tc-action", ""),
        region=headers.get("x-tc-region", ""),
        client=headers.get("x-tc-requestclient", ""),
        request_id=request_id,
    )
    body = await request.body()
    signed = Signed(request.method, request.url.query, headers, body)
    fault: faults.Fault | None = None
    try:
        identity = verify(signed, gateway.cloud.credentials, gateway.cloud.clock())
        entry.service = _service(headers.get("host", ""), identity)
        fault = gateway.faults.draw(entry.service, entry.action)
        if fault is not None and fault.latency_ms:
            await asyncio.sleep(fault.latency_ms / 1000)
        answer = _run(gateway, entry, signed, identity, fault)
    except ApiError as error:
        entry.error = error.code
        answer = {"Error": {"Code": error.code, "Message": error.message}, "RequestId": request_id}
    entry.took_ms = (time.perf_counter() - began) * 1000
    gateway.log.add(entry)
    content = json.dumps({"Response": answer}, ensure_ascii=False).encode()
    if fault is not None and fault.breaks_connection:
        return faults.BrokenResponse(content, fault)
    return Response(content, media_type="application/json")


def _service(host: str, identity: Identity) -> str:
    """The host's first label where it names a service; `127.0.0.1:8080` says nothing, so the signature's scope does."""
    label = host.partition(".")[0]
    if label in VERSIONS and label != identity.service:
        raise ServiceUnknown(service=f"{identity.service} (at host {host})", known=label)
    return identity.service


def _run(
    gateway: Gateway, entry: Entry, signed: Signed, identity: Identity, fault: faults.Fault | None
) -> dict[str, Any]:
    headers = signed.headers
    action = find_action(entry.service, entry.action, headers.get("x-tc-version", ""))
    gateway.throttle.count(identity.secret_id, action.service, action.name, gateway.cloud.clock())
    if fault is not None and fault.code:
        raise ApiError(fault.code, fault.message)
    region = find_region(gateway.cloud, entry.service, entry.region)
    if signed.method == "GET":
        models = schema(action.service, VERSIONS[action.service])
        given = parameters_of_query(models, f"{action.name}Request", signed.query)
    else:
        given = _json(signed)
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
    if signed.method != "POST":
        raise UnsupportedProtocol(method=signed.method)
    content_type = signed.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise ContentTypeWrong(content_type=content_type)
    if len(signed.body) > _BODY_LIMIT:
        raise RequestTooLarge(limit=_BODY_LIMIT)
    if not signed.body.strip():
        return {}
    try:
        given: object = json.loads(signed.body)
    except (ValueError, RecursionError) as error:
        raise BodyNotJson(reason=error) from None
    if not isinstance(given, dict):
        raise BodyNotJson(reason=f"a {type(given).__name__}")
    return cast("dict[str, Any]", given)
