"""A deployment as its outputs tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioning.inventory import Host, Inventory


def read_inventory(outputs: Mapping[str, Any]) -> Inventory:
    """The machines and how to log in, from a stack's outputs (with secrets)."""
    ssh = outputs["ssh"]
    bastion = ssh.get("bastion")
    return Inventory(
        group=str(outputs["group"]),
        hosts=tuple(_host(node) for node in outputs["nodes"]),
        virtual_ips=tuple(outputs["virtual_ips"]),
        private_key=str(ssh["private_key"]),
        bastion=_host(bastion) if bastion else None,
    )


def _host(node: Mapping[str, Any]) -> Host:
    return Host(
        name=str(node["name"]),
        instance_id=str(node["instance_id"]),
        private_address=str(node["private_address"]),
        ssh_address=str(node["ssh_address"]),
        user=str(node["user"]),
        host_keys=tuple(node["host_keys"]),
        holder=bool(node["holder"]),
        ssh_port=int(node.get("ssh_port", 22)),
    )
