"""Reads the deployed group from the recorded state of a stack (`pulumi stack export --show-secrets`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operations.errors import NoDeploymentError
from operations.state_format import ROLLOUT, STACK, find_outputs, with_current_host_keys
from provisioning.exports import parse_inventory
from provisioning.health.checks import Group, PublicSide
from provisioning.health.public_checks import Address, Service
from provisioning.placeholders import IAM_HEALTH_PASSWORD
from provisioning.preview_text import read_manifest
from provisioning.rollout.desired import replace_secrets


def read_deployment(deployment: Mapping[str, Any], stack: str) -> Group:
    """Return the group that the last successful rollout has deployed. Raises NoDeploymentError."""
    exports, rollout = find_outputs(deployment, STACK), read_rollout(deployment, stack)
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
    rollout = find_outputs(deployment, ROLLOUT)
    if not rollout:
        raise NoDeploymentError(stack)
    return {**rollout, **with_current_host_keys(deployment, rollout["nodes"], rollout.get("bastion"))}


def list_secrets(rollout: Mapping[str, Any]) -> list[str]:
    """The values that no output may show, with the lines of private keys, the longest first."""
    values = [str(value) for value in rollout["secrets"].values()] + [rollout["private_key"]]
    values += [value for value in map(str, rollout["values"].values()) if "PRIVATE KEY" in value]
    lines = [line for value in values for line in value.splitlines() if not line.startswith("-----")]
    return sorted({*values, *lines} - {""}, key=len, reverse=True)
