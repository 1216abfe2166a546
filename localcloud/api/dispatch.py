"""From a verified request to an answer: throttle, find the action, check, run in one transaction, remember."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from localcloud import services
from localcloud.api.answers import complete
from localcloud.api.envelope import Envelope
from localcloud.api.request_rules import (
    ActionNotEmulated,
    InternalError,
    InvalidAction,
    NoSuchVersion,
    ServiceUnknown,
    UnsupportedRegion,
)
from localcloud.reconcile.cloud import Cloud
from localcloud.rules import client_token
from localcloud.rules.catalog import ZONES
from localcloud.rules.refusal import ApiError, MissingParameter
from localcloud.services.actions import ACTIONS, VERSIONS, Action, Answer, Call
from localcloud.services.parameters import Parameters, check
from localcloud.services.schema import schema

_log = logging.getLogger(__name__)

# Services that belong to no region: X-TC-Region may be left out, and says nothing.
_GLOBAL = frozenset({"antiddos", "dnspod", "monitor", "sts", "tag"})

services.load()


def find_service(host: str, claimed: str, envelope: Envelope) -> str:
    """The service that the host's first label names; where the host is an address, what else tells it.

    That is the scope of signature v3; with v1 the action and its version. Raises ServiceUnknown.
    """
    label = host.partition(".")[0]
    if label in VERSIONS and label != claimed:
        raise ServiceUnknown(service=f"{claimed} (at host {host})", known=label)
    if not envelope.form or claimed in VERSIONS:
        return claimed
    found = [service for service, name in ACTIONS if (name, VERSIONS[service]) == (envelope.action, envelope.version)]
    if len(found) != 1:
        raise ServiceUnknown(service=host, known=", ".join(VERSIONS))
    return found[0]


def find_action(service: str, name: str, version: str) -> Action:
    """The action. Raises ServiceUnknown, MissingParameter, NoSuchVersion, InvalidAction or ActionNotEmulated."""
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
    """The region whose records the request is about. Raises MissingParameter or UnsupportedRegion."""
    if service in _GLOBAL:
        return region if region in ZONES else cloud.region
    if not region:
        raise MissingParameter(name="X-TC-Region")
    if region not in ZONES:
        raise UnsupportedRegion(region=region, service=service)
    return region


def dispatch(
    cloud: Cloud, action: Action, given: Mapping[str, Any], *, region: str, secret_id: str, request_id: str
) -> Answer:
    """Run the action. Raises ApiError; then nothing has changed."""
    models = schema(action.service, VERSIONS[action.service])
    parameters = Parameters(check(models, f"{action.name}Request", given))
    try:
        with cloud.transaction(region) as tx:
            tx.request_id = request_id
            call = Call(tx, parameters, region, secret_id, request_id)
            answer = _once(call, action)
            return complete(models, f"{action.name}Response", answer | {"RequestId": request_id})
    except ApiError:
        raise
    except Exception as error:
        _log.exception("%s %s failed", action.service, action.name)
        raise InternalError(kind=type(error).__name__, action=action.name) from error


def _once(call: Call, action: Action) -> Answer:
    """A request with a ClientToken that was seen before gets the former answer."""
    token = call.parameters.find_text("ClientToken")
    if not token:
        return action.handler(call)
    text = json.dumps({"action": action.name, **call.parameters.values}, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    former = client_token.former_answer(call.tx, token, digest)
    if former is not None:
        return json.loads(former)
    answer = action.handler(call)
    client_token.remember(call.tx, token, digest, json.dumps(answer))
    return answer
