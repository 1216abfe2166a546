"""Parses a stack's exports and the inputs of its dynamic resources into frozen dataclasses.

Pulumi passes both as plain mappings; only this module reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.inventory import Inventory, RemoteNode


@dataclass(frozen=True, slots=True)
class Exports:
    """The exports of the last finished deployment."""

    inventory: Inventory
    data_node: str | None  # name of the node with the databases
    termination_protection: bool
    network: Mapping[str, Any]  # by key of the section tandem:network
    disks: Mapping[str, int]  # GiB, by key of the section tandem:nodes
    generations: Mapping[str, str]  # of the secrets, by key of tandem:credentials.generation; "1" if missing
    vrrp: Mapping[str, Any]  # the settings that all nodes must share, by their key in the stack's file
    key_generations: tuple[str, ...]  # of the deployment key, in order; the last one logs in


def parse_exports(outputs: Mapping[str, Any]) -> Exports | None:
    """Parse the exports. Returns None before the first finished deployment and after a destroy."""
    if not {"group", "nodes", "ssh", "virtual_ips"} <= outputs.keys():
        return None
    return Exports(
        inventory=parse_inventory(
            {
                "group": outputs["group"],
                "nodes": outputs["nodes"],
                "virtual_ips": outputs["virtual_ips"],
                "private_key": outputs["ssh"]["private_key"],
                "bastion": outputs["ssh"].get("bastion"),
            }
        ),
        data_node=outputs.get("data_node"),
        termination_protection=bool(outputs.get("termination_protection")),
        network=outputs.get("network") or {},
        disks=outputs.get("disks") or {},
        generations=outputs.get("generations") or {},
        vrrp=outputs.get("vrrp") or {},
        key_generations=tuple(outputs.get("key_generations") or ("1",)),
    )


def parse_inventory(inputs: Mapping[str, Any]) -> Inventory:
    """Parse the keys group, nodes, virtual_ips, private_key and (optional) bastion of a rollout's inputs."""
    bastion = inputs.get("bastion")
    return Inventory(
        group=inputs["group"],
        nodes=tuple(parse_node(node) for node in inputs["nodes"]),
        virtual_ips=tuple(inputs["virtual_ips"]),
        private_key=inputs["private_key"],
        bastion=parse_node(bastion) if bastion else None,
    )


def parse_node(data: Mapping[str, Any]) -> RemoteNode:
    return RemoteNode(
        name=data["name"],
        instance_id=data["instance_id"],
        private_address=data["private_address"],
        ssh_address=data["ssh_address"],
        user=data["user"],
        host_keys=tuple(data["host_keys"]),
        eligible=bool(data["eligible"]),
        ssh_port=int(data.get("ssh_port", 22)),
    )
