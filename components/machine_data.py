"""Machines on their way through Pulumi, which carries plain mappings only, and back into an inventory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from components.machines import Server
from provisioning.inventory import Host, Inventory


def host_data(
    server: Server, user: str, host_keys: pulumi.Output[Sequence[str]] | list[pulumi.Output[str]]
) -> dict[str, Any]:
    """One machine, as the dynamic resources take it. Values are outputs one by one: of a machine that is about to be
    replaced a preview then knows all but the new id.
    """
    return {
        "name": server.name,
        "instance_id": server.instance_id,
        "private_address": server.private_address,
        "ssh_address": server.ssh_address,
        "user": user,
        "host_keys": host_keys,
        "holder": server.holder,
    }


def to_host(data: Mapping[str, Any]) -> Host:
    """The machine that `host_data` described."""
    return Host(
        name=data["name"],
        instance_id=data["instance_id"],
        private_address=data["private_address"],
        ssh_address=data["ssh_address"],
        user=data["user"],
        host_keys=tuple(data["host_keys"]),
        holder=bool(data["holder"]),
    )


def to_inventory(data: Mapping[str, Any]) -> Inventory:
    """The group in the inputs of a rollout: group, hosts, virtual_ips, private_key, and perhaps bastion."""
    bastion = data.get("bastion")
    return Inventory(
        group=data["group"],
        hosts=tuple(to_host(host) for host in data["hosts"]),
        virtual_ips=tuple(data["virtual_ips"]),
        private_key=data["private_key"],
        bastion=to_host(bastion) if bastion else None,
    )
