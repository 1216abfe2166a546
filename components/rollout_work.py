"""What the rollout's provider does, apart from it: the provider is pickled into the state and must stay the same."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from components.machine_data import to_inventory
from components.shown import read_manifest
from provisioning import rollout
from provisioning.errors import ProvisioningError
from provisioning.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping


def roll_out(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Make every machine so. Returns the resource's outputs. Raises ProvisioningError."""
    result = rollout.roll_out(to_inventory(inputs), _manifests(inputs), _secrets(inputs), _report)
    return {**inputs, "revision": result.revision, "drift": {}}


def retire_departed(olds: Mapping[str, Any], news: Mapping[str, Any]) -> None:
    """Let machines that are no longer in the group give their addresses away and stop. Raises HandOverError.

    Before the others forget them: a pair that does not know of a third holder would share the address with it.
    """
    for name in find_departed(olds, news):
        rollout.retire(to_inventory(olds), name)


def find_departed(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """The machines that were in the group and are no more. One that was replaced has kept its name."""
    staying = {host["name"] for host in news["hosts"]}
    return [host["name"] for host in olds["hosts"] if host["name"] not in staying]


def find_drift(outputs: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is no longer as the last rollout left it, by machine. A machine out of reach is drift, no error."""
    try:
        found = rollout.drift(to_inventory(outputs), _manifests(outputs), _secrets(outputs))
    except ProvisioningError as error:
        return {outputs["group"]: [str(error)]}
    return {host: list(lines) for host, lines in found.items() if lines}


def _manifests(inputs: Mapping[str, Any]) -> dict[str, Manifest]:
    return {host: read_manifest(host, things, inputs["files"][host]) for host, things in inputs["manifests"].items()}


def _secrets(inputs: Mapping[str, Any]) -> dict[str, str]:
    return {**inputs["values"], **inputs["secrets"]}


def _report(line: str) -> None:
    # The provider's stdout belongs to its talk with the engine; what it writes here is shown as it comes.
    sys.stderr.write(f"{line}\n")
