"""Reads the deployed group from the recorded state of a stack (`pulumi stack export --show-secrets`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from operations.errors import NoDeploymentError
from operations.events import HOST_KEYS, ROLLOUT
from operations.state_format import SECRET, SIGNATURE, STACK
from provisioning.exports import parse_inventory
from provisioning.health.checks import Group, PublicSide
from provisioning.health.public_checks import Address, Service
from provisioning.placeholders import IAM_HEALTH_PASSWORD
from provisioning.preview_text import read_manifest
from provisioning.rollout.desired import replace_secrets


def read_deployment(deployment: Mapping[str, Any], stack: str) -> Group:
    """Return the group that the last successful rollout has deployed. Raises NoDeploymentError."""
    exports, rollout = _find(deployment, STACK), read_rollout(deployment, stack)
    if "public_ips" not in exports:
        raise NoDeploymentError(stack)
    inventory = parse_inventory(rollout)
    values = {**rollout["values"], **rollout["secrets"]}
    manifests = {
        node: read_manifest(node, items, rollout["files"][node]) for node, items in rollout["manifests"].items()
    }
    authorities = exports["certificate_authorities"]
    services = tuple(
        Service.from_data(name, site, authorities.get(name, "")) for name, site in exports["sites"].items()
    )
    addresses = tuple(Address(ip) for ip in exports["public_ips"])
    public = PublicSide(addresses, services, values.get(IAM_HEALTH_PASSWORD, ""))
    return Group(public, inventory, replace_secrets(inventory, manifests, values), rollout.get("revision") or "")


def read_rollout(deployment: Mapping[str, Any], stack: str) -> dict[str, Any]:
    """Return the outputs of the last successful rollout, with secrets. Raises NoDeploymentError."""
    rollout = _find(deployment, ROLLOUT)
    if not rollout:
        raise NoDeploymentError(stack)
    return {**rollout, **_with_current_host_keys(deployment, rollout["nodes"], rollout.get("bastion"))}


def read_outputs(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of the stack, with secrets; {} before the first deployment.

    A run that failed after it had created an instance again leaves the host keys of the old one in the outputs: those
    of the nodes are taken from their own resources.
    """
    outputs = _find(deployment, STACK)
    if not {"nodes", "ssh"} <= outputs.keys():
        return outputs
    current = _with_current_host_keys(deployment, outputs["nodes"], outputs["ssh"].get("bastion"))
    ssh = {**outputs["ssh"], **({"bastion": current["bastion"]} if current["bastion"] else {})}
    return {**outputs, "nodes": current["nodes"], "ssh": ssh}


def _with_current_host_keys(
    deployment: Mapping[str, Any], nodes: Sequence[dict[str, Any]], bastion: dict[str, Any] | None
) -> dict[str, Any]:
    found = [_plain(each.get("outputs") or {}) for each in _resources(deployment, HOST_KEYS)]
    keys = {each["node"]["name"]: each["host_keys"] for each in found if each.get("host_keys")}

    def current(node: dict[str, Any]) -> dict[str, Any]:
        return {**node, "host_keys": keys.get(node["name"], node["host_keys"])}

    return {"nodes": [*map(current, nodes)], "bastion": bastion and current(bastion)}


def list_secrets(rollout: Mapping[str, Any]) -> list[str]:
    """The values that no output may show, with the lines of private keys, the longest first."""
    values = [str(value) for value in rollout["secrets"].values()] + [rollout["private_key"]]
    values += [value for value in map(str, rollout["values"].values()) if "PRIVATE KEY" in value]
    lines = [line for value in values for line in value.splitlines() if not line.startswith("-----")]
    return sorted({*values, *lines} - {""}, key=len, reverse=True)


def _find(deployment: Mapping[str, Any], type_: str) -> dict[str, Any]:
    """The outputs of the only resource of a type, without the marks of secrets; {} if there is none."""
    for resource in _resources(deployment, type_):
        return _plain(resource.get("outputs") or {})
    return {}


def _resources(deployment: Mapping[str, Any], type_: str) -> Iterator[dict[str, Any]]:
    for resource in deployment.get("resources") or []:
        if resource["type"].endswith(type_) and not resource.get("delete"):
            yield resource


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        if fields.get(SIGNATURE) == SECRET:
            return _plain(json.loads(fields["plaintext"]))
        return {key: _plain(each) for key, each in fields.items()}
    if isinstance(value, list):
        return [_plain(each) for each in cast("list[Any]", value)]
    return value
