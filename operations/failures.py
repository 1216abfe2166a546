"""The failures of a run, read from the engine's event log.

A create can fail although its object exists: the response was lost, the plugin crashed, or its read directly after the
create did not find the object yet. Pulumi then has neither a resource nor a pending create in its state, and the next
run would create the object again. `pulumi stack import` drops pending creates, so `tandem` records these in a file
(failed_creates.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from operations.events import read_events, without_colours
from operations.pending_types import is_safe_to_recreate
from operations.state_format import STACK

_CREATE = {"create", "create-replacement"}
# The API has refused the request, and therefore created nothing. Both provider plugins print the id of the request.
_REFUSED = re.compile(r"RequestId")
# A plugin that repeats a create after a lost response fails because of the object that it has created.
_DUPLICATE = re.compile(r"conflict|duplicate|inuse|overlap|exists", re.IGNORECASE)
_STACK = f"::{STACK}::"
# What to do about errors of the API that do not say it.
_ADVICE = {
    "AccountNotSupported": "The account is of the traditional type (bill-by-CVM), whose public addresses have no "
    "charge type and no bandwidth: see docs/operations.md, Manual steps in the console.",
}
_KEYS = ("urn", "custom", "type", "inputs", "parent", "provider", "protect", "retainOnDelete")

# A resource in the form of the state, with the id of the resource that it replaces as `id`.
Uncertain = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failures:
    """The failed operations of one run."""

    uncertain: tuple[Uncertain, ...]  # creates that may have created their object
    others: bool  # whether another operation failed too, or the run was interrupted
    advice: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()  # of resources, not of the program


def read_failures(event_log: Iterable[str], *, interrupted: bool) -> Failures:
    """Read an event log: one event in JSON on each line."""
    events = read_events(event_log)
    failed = [event["resOpFailedEvent"]["metadata"] for event in events if "resOpFailedEvent" in event]
    errors: dict[str, str] = {}
    for event in events:
        message = event.get("diagnosticEvent") or {}
        if message.get("severity") == "error" and "urn" in message:
            errors[message["urn"]] = errors.get(message["urn"], "") + message["message"]
    uncertain = tuple(_resource(one) for one in failed if _is_uncertain(one, errors.get(one["urn"], "")))
    advice = tuple(text for code, text in _ADVICE.items() if any(code in error for error in errors.values()))
    # The real provider plugins' texts name neither the action nor the resource.
    of_resources = tuple(
        f"{urn.rsplit('::', 1)[1]}: {without_colours(text).strip()}"
        for urn, text in errors.items()
        if _STACK not in urn
    )
    return Failures(uncertain, interrupted or len(uncertain) < len(failed), advice, of_resources)


def _is_uncertain(failed: Mapping[str, Any], error: str) -> bool:
    if failed["op"] not in _CREATE or is_safe_to_recreate(failed["type"]):
        return False
    return not _REFUSED.search(error) or _DUPLICATE.search(error) is not None


def _resource(failed: Mapping[str, Any]) -> Uncertain:
    new = failed["new"]
    replaced = (failed.get("old") or {}).get("id", "")
    return {**{key: new[key] for key in _KEYS if new.get(key)}, "id": replaced}


def with_pending(deployment: Mapping[str, Any], uncertain: Iterable[Uncertain]) -> dict[str, Any]:
    """Return an exported state with the uncertain creates as pending ones.

    Leaves out creates that are in the state: only a later step of the create failed, or another run has created them.
    """
    pending = list(deployment.get("pending_operations") or [])
    known = {operation["resource"]["urn"] for operation in pending}
    id_by_urn = {
        each["urn"]: each.get("id", "") for each in deployment.get("resources") or [] if not each.get("delete")
    }
    for resource in uncertain:
        urn = resource["urn"]
        if urn not in known and id_by_urn.get(urn, "") == resource["id"]:
            inputs = {key: value for key, value in resource.items() if key != "id"}
            pending.append({"resource": inputs, "type": "creating"})
    return {**deployment, "pending_operations": pending}
