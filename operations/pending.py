"""Recovery from interrupted creates.

After `pulumi` was killed, its state lists the creates that were started, but not whether the objects exist. Another
`up` would create each object again, and the first one would belong to no stack. Creates that failed without a clear
result are listed too (failures.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operations.errors import OperationError
from operations.pending_types import TYPES, is_safe_to_recreate
from operations.state_format import SECRET, SIGNATURE
from provisioning.cloud_calls import CallApi

# The engine's events contain this text instead of a secret; pulumi marks a secret in an imported state with the others.
_HIDDEN = "[secret]"
_SECRET = {SIGNATURE: SECRET, "plaintext": json.dumps(_HIDDEN)}
# Secret inputs that the refresh after the import reads from the API. They are outputs too, under both names.
_READ_BACK = {"userData", "userDataRaw"}


@dataclass(frozen=True, slots=True)
class PendingCreate:
    """A create that was started."""

    urn: str
    type: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recovery:
    """The result for all pending creates."""

    found: Mapping[str, str]  # id by URN: added to the state
    absent: Sequence[str]  # URNs: created by the next `up`


def read_pending(deployment: Mapping[str, Any]) -> list[PendingCreate]:
    """The pending creates of an exported state."""
    resources = [
        operation["resource"]
        for operation in deployment.get("pending_operations") or []
        if operation["type"] == "creating"
    ]
    return [PendingCreate(each["urn"], each["type"], each.get("inputs") or {}) for each in resources]


def plan_recovery(
    pending: Sequence[PendingCreate], ids_in_state: frozenset[tuple[str, str]], connect: Callable[[], CallApi]
) -> Recovery:
    """Search for the object of each pending create. `ids_in_state`: (type, id) of all resources.

    Raises:
        OperationError: several objects match, one cannot be imported, or the type is unknown. The operator must decide.
    """
    found: dict[str, str] = {}
    call: CallApi | None = None
    for create in pending:
        if is_safe_to_recreate(create.type):
            continue
        call = call or connect()
        candidates = [candidate for candidate in _find(create, call) if (create.type, candidate) not in ids_in_state]
        if len(candidates) > 1:
            raise OperationError(
                f"{create.urn}: an interrupted run may have created one of {', '.join(candidates)}; "
                "nothing was changed\n"
                "  delete the unused ones in the console, then run the command again"
            )
        if candidates and (unknown := _hidden_inputs(create.inputs) - _READ_BACK):
            raise OperationError(
                f"{create.urn}: a failed create has created {candidates[0]}, which cannot be imported, "
                f"because its inputs {', '.join(sorted(unknown))} are secret; nothing was changed\n"
                f"  delete {candidates[0]} in the console, then run the command again"
            )
        if candidates:
            found[create.urn] = candidates[0]
    return Recovery(found, [create.urn for create in pending if create.urn not in found])


def apply_recovery(deployment: Mapping[str, Any], recovery: Recovery) -> dict[str, Any]:
    """The state without pending creates, and with the found objects as resources. A refresh must read their outputs."""
    resources = list(deployment.get("resources") or [])
    others: list[Any] = []
    for operation in deployment["pending_operations"]:
        if operation["type"] != "creating":
            others.append(operation)
            continue
        resource = operation["resource"]
        if id_ := recovery.found.get(resource["urn"]):
            resources = _with_created(resources, _imported(resource, id_))
    return {**deployment, "resources": resources, "pending_operations": others}


def _imported(resource: Mapping[str, Any], id_: str) -> dict[str, Any]:
    """The resource of a finished create. Inputs that the API does not return are known only from the pending one."""
    inputs = resource.get("inputs") or {}
    hidden = _hidden_inputs(inputs)
    inputs = {**inputs, **dict.fromkeys(hidden, _SECRET)}
    secret_outputs = {"additionalSecretOutputs": sorted(_READ_BACK)} if hidden else {}
    return {**resource, "id": id_, "inputs": inputs, "outputs": {**inputs, "id": id_}, **secret_outputs}


def _hidden_inputs(inputs: Mapping[str, Any]) -> set[str]:
    return {key for key, value in inputs.items() if _HIDDEN in json.dumps(value)}


def _with_created(resources: Sequence[Mapping[str, Any]], created: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Add a resource as the engine records a finished create.

    A replacement takes the position of its predecessor, because dependent resources must follow it.
    """
    result: list[Mapping[str, Any]] = []
    placed = False
    for resource in resources:
        if resource["urn"] != created["urn"] or resource.get("delete"):
            result.append(resource)
            continue
        placed = True
        result.append(created)
        if not resource.get("pendingReplacement"):  # otherwise it was deleted first
            result.append({**resource, "delete": True})
    return result if placed else [*result, created]


def _find(pending: PendingCreate, call: CallApi) -> list[str]:
    search = TYPES.get(pending.type)
    if search is None:
        stack = pending.urn.removeprefix("urn:pulumi:").partition("::")[0]
        raise OperationError(
            f"{pending.urn}: an interrupted run was creating it, and there is no search for the type {pending.type}\n"
            "  delete it in the console if it exists, then run: "
            f"pulumi refresh --clear-pending-creates --stack {stack}\n"
            "  for a stack on localcloud, run instead: make down, then make up"
        )
    return search.find(pending.inputs, call)
