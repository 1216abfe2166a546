"""The path of a request from signature to response: STEPS, in order. A step that rejects it raises ApiError."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from localcloud import services
from localcloud.api.api_faults import ApiFault
from localcloud.api.envelope import Envelope, check_protocol, verify
from localcloud.api.gateway import Gateway
from localcloud.api.request_log import Entry
from localcloud.api.request_rules import (
    ActionNotEmulated,
    BodyNotJson,
    InternalError,
    InvalidAction,
    NoSuchVersion,
    ServiceUnknown,
    UnsupportedRegion,
)
from localcloud.api.schema import schema
from localcloud.api.signature import Identity
from localcloud.api.unemulated import check as check_emulated
from localcloud.api.validation import check_parameters, complete_answer, parameters_of_query
from localcloud.reconcile.cloud import Cloud
from localcloud.rules import client_token
from localcloud.rules.catalog import ZONES
from localcloud.rules.refusal import ApiError, MissingParameter
from localcloud.services.actions import ACTIONS, VERSIONS, Action, Answer, Call
from localcloud.services.parameters import Parameters

_log = logging.getLogger(__name__)

# Services without regions: X-TC-Region is optional and ignored.
_GLOBAL = frozenset({"dnspod", "monitor", "tag"})

services.load()


@dataclass(slots=True)
class Exchange:
    """One request on its path. Each field after `entry` is set by the step that its comment names."""

    gateway: Gateway
    envelope: Envelope
    entry: Entry
    identity: Identity = field(init=False)  # _authenticate
    fault: ApiFault | None = None  # _draw_fault
    action: Action = field(init=False)  # _find_action
    region: str = field(init=False)  # _find_region
    given: Mapping[str, Any] = field(init=False)  # _read_parameters
    answer: Answer = field(init=False)  # _run_action, or the error


async def _authenticate(exchange: Exchange) -> None:
    cloud = exchange.gateway.cloud
    exchange.identity = verify(exchange.envelope, cloud.credentials, cloud.clock())


async def _find_service(exchange: Exchange) -> None:
    """Return the service in the host's first label; if the host is an address, use the signature.

    That is the scope of a v3 signature, or the action and version of a v1 request.
    """
    envelope, claimed = exchange.envelope, exchange.identity.service
    host = envelope.signed.headers.get("host", "")
    label = host.partition(".")[0]
    if label in VERSIONS and label != claimed:
        raise ServiceUnknown(service=f"{claimed} (at host {host})", known=label)
    if envelope.form and claimed not in VERSIONS:
        claimed = _service_of(host, envelope.action, envelope.version)
    exchange.entry.service = claimed


def _service_of(host: str, action: str, version: str) -> str:
    found = [service for service, name in ACTIONS if (name, VERSIONS[service]) == (action, version)]
    if len(found) != 1:
        raise ServiceUnknown(service=host, known=", ".join(VERSIONS))
    return found[0]


async def _draw_fault(exchange: Exchange) -> None:
    fault = exchange.fault = exchange.gateway.faults.draw(exchange.entry.service, exchange.entry.action)
    if fault is not None and fault.latency_ms:
        await asyncio.sleep(fault.latency_ms / 1000)


async def _find_action(exchange: Exchange) -> None:
    exchange.action = find_action(exchange.entry.service, exchange.entry.action, exchange.envelope.version)


async def _throttle(exchange: Exchange) -> None:
    gateway, action = exchange.gateway, exchange.action
    gateway.throttle.count(exchange.identity.secret_id, action.service, action.name, gateway.cloud.clock())


async def _fail_on_demand(exchange: Exchange) -> None:
    if exchange.fault is not None and exchange.fault.code:
        raise ApiError(exchange.fault.code, exchange.fault.message)


async def _find_region(exchange: Exchange) -> None:
    exchange.region = find_region(exchange.gateway.cloud, exchange.entry.service, exchange.entry.region)


async def _read_parameters(exchange: Exchange) -> None:
    envelope, action = exchange.envelope, exchange.action
    check_protocol(envelope)
    if envelope.query is not None:
        models = schema(action.service, VERSIONS[action.service])
        exchange.given = parameters_of_query(models, f"{action.name}Request", envelope.query)
    else:
        exchange.given = _parameters_of_body(envelope.signed.body)
    exchange.entry.parameters = exchange.given


async def _run_action(exchange: Exchange) -> None:
    exchange.answer = run_action(
        exchange.gateway.cloud,
        exchange.action,
        exchange.given,
        region=exchange.region,
        secret_id=exchange.identity.secret_id,
        request_id=exchange.entry.request_id,
        stale_s=exchange.fault.stale_ms / 1000 if exchange.fault is not None else 0.0,
    )


STEPS: tuple[Callable[[Exchange], Awaitable[None]], ...] = (
    _authenticate,
    _find_service,
    _draw_fault,
    _find_action,
    _throttle,
    _fail_on_demand,
    _find_region,
    _read_parameters,
    _run_action,
)


def find_action(service: str, name: str, version: str) -> Action:
    """Return the action. Raises ServiceUnknown, MissingParameter, NoSuchVersion, InvalidAction or ActionNotEmulated."""
    known = VERSIONS.get(service)
    if known is None:
        raise ServiceUnknown(service=service, known=", ".join(VERSIONS))
    if not name:
        raise MissingParameter(name="X-TC-Action")
    if not version:
        raise MissingParameter(name="X-TC-Version")
    if version != known:
        raise NoSuchVersion(version=version, service=service, known=known)
    found = ACTIONS.get((service, name))
    if found is not None:
        return found
    if schema(service, version).has(f"{name}Request"):
        raise ActionNotEmulated(service=service, action=name)
    raise InvalidAction(action=name, service=service, version=version)


def find_region(cloud: Cloud, service: str, region: str) -> str:
    """Return the region of the request's records. Raises MissingParameter or UnsupportedRegion."""
    if service in _GLOBAL:
        return region if region in ZONES else cloud.region
    if not region:
        raise MissingParameter(name="X-TC-Region")
    if region not in ZONES:
        raise UnsupportedRegion(region=region, service=service)
    return region


def _parameters_of_body(body: bytes) -> Mapping[str, Any]:
    if not body.strip():
        return {}
    try:
        given: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BodyNotJson(reason=error) from None
    if not isinstance(given, dict):
        raise BodyNotJson(reason=f"a {type(given).__name__}")
    return cast("dict[str, Any]", given)


def run_action(
    cloud: Cloud,
    action: Action,
    given: Mapping[str, Any],
    *,
    region: str,
    secret_id: str,
    request_id: str,
    stale_s: float = 0.0,
) -> Answer:
    """Check the parameters and run the handler in one transaction. Raises ApiError, and then changes nothing.

    With `stale_s`, Describe* returns the records as they were that long ago.
    """
    models = schema(action.service, VERSIONS[action.service])
    parameters = Parameters(check_parameters(models, f"{action.name}Request", given))
    check_emulated(action.name, parameters.values)
    try:
        # A task's result completes the response of an asynchronous call; it is not a lagging view of a resource.
        stale = stale_s > 0 and action.name.startswith("Describe") and action.name != "DescribeTaskResult"
        with cloud.past(region, stale_s) if stale else cloud.transaction(region) as tx:
            tx.request_id = request_id
            answer = _run_once(Call(tx, parameters, region, secret_id, request_id), action)
            return complete_answer(models, f"{action.name}Response", answer | {"RequestId": request_id})
    except ApiError:
        raise
    except Exception as error:
        _log.exception("%s %s failed", action.service, action.name)
        raise InternalError(kind=type(error).__name__, action=action.name) from error


def _run_once(call: Call, action: Action) -> Answer:
    """A repeated request with the same ClientToken gets the earlier response."""
    token = call.parameters.find_text("ClientToken")
    if not token:
        return action.handler(call, call.parameters) or {}
    text = json.dumps({"action": action.name, **call.parameters.values}, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    former = client_token.former_answer(call.tx, token, digest)
    if former is not None:
        return json.loads(former)
    answer = action.handler(call, call.parameters) or {}
    client_token.remember(call.tx, token, digest, json.dumps(answer))
    return answer
