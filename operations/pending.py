"""What a killed `pulumi` was creating: its state says what was begun, and not whether it was made.

Deployed again without a look, the object would be made twice, and the first one would belong to no stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operations.errors import OperationError
from operations.pending_types import TYPES, Ask

# Their resources exist in the state alone, or (dynamic ones) are made again without harm.
_WITHOUT_OBJECTS = ("pulumi-python:", "random:", "tls:", "pulumi:")


@dataclass(frozen=True, slots=True)
class Pending:
    """A create that was begun."""

    urn: str
    type: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recovery:
    """What is known about all of them."""

    found: Mapping[str, str]  # ids by URN: in the state from now on
    absent: Sequence[str]  # URNs: removed from the state, and created by the next `up`


def read_pending(deployment: Mapping[str, Any]) -> list[Pending]:
    """The creates that are pending in an exported state."""
    return [
        Pending(operation["resource"]["urn"], operation["resource"]["type"], operation["resource"].get("inputs") or {})
        for operation in deployment.get("pending_operations") or []
        if operation["type"] == "creating"
    ]


def plan_recovery(
    pending: Sequence[Pending], known: frozenset[tuple[str, str]], connect: Callable[[], Ask]
) -> Recovery:
    """Look for what each create may have made; `known` has the type and id of what the state has already.

    Raises OperationError where only a person can tell: several objects have the name, or the type is not known.
    """
    found: dict[str, str] = {}
    ask: Ask | None = None
    for one in pending:
        if one.type.startswith(_WITHOUT_OBJECTS):
            continue
        ask = ask or connect()
        candidates = [candidate for candidate in _find(one, ask) if (one.type, candidate) not in known]
        if len(candidates) > 1:
            raise OperationError(
                f"{one.urn}: an interrupted run may have created one of {', '.join(candidates)}; nothing was changed\n"
                "  delete those that nothing uses, in the console, then try again"
            )
        if candidates:
            found[one.urn] = candidates[0]
    return Recovery(found, [one.urn for one in pending if one.urn not in found])


def apply_recovery(deployment: Mapping[str, Any], recovery: Recovery) -> dict[str, Any]:
    """The state without pending creates, and with the found objects as resources that a refresh has yet to read."""
    resources = list(deployment.get("resources") or [])
    others: list[Any] = []
    for operation in deployment["pending_operations"]:
        if operation["type"] != "creating":
            others.append(operation)
            continue
        resource = operation["resource"]
        if id_ := recovery.found.get(resource["urn"]):
            # Inputs that the cloud never tells, such as user data, are known from here alone.
            found = {**resource, "id": id_, "outputs": {**(resource.get("inputs") or {}), "id": id_}}
            resources = _with_created(resources, found)
    return {**deployment, "resources": resources, "pending_operations": others}


def _with_created(resources: Sequence[Mapping[str, Any]], created: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """As the engine records a finished create; of a replacement, in the place of its predecessor.

    Resources that depend on the predecessor name its URN, and have to come after it.
    """
    result: list[Mapping[str, Any]] = []
    placed = False
    for one in resources:
        if one["urn"] != created["urn"] or one.get("delete"):
            result.append(one)
            continue
        placed = True
        result.append(created)
        if not one.get("pendingReplacement"):  # else it was deleted first
            result.append({**one, "delete": True})
    return result if placed else [*result, created]


def _find(pending: Pending, ask: Ask) -> list[str]:
    search = TYPES.get(pending.type)
    if search is None:
        raise OperationError(
            f"{pending.urn}: an interrupted run was creating it, and {pending.type} cannot be looked for\n"
            "  look for it in the console and delete it if it exists; then: pulumi refresh --clear-pending-creates"
        )
    return search.find(pending.inputs, ask)
