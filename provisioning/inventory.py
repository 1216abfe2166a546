"""Where to go: the nodes of one group, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RemoteNode:
    """One node, as seen by whoever provisions it."""

    name: str  # "iam-a": also its host name
    instance_id: str  # a new id means a new node, and a full run on it
    private_address: str  # inside the subnet, e.g. "10.0.4.20"
    ssh_address: str  # where SSH reaches it: the private address (direct, through a bastion) or a public one
    user: str  # logs in by key and may sudo without a password
    host_keys: tuple[str, ...]  # pinned public host keys, "ssh-ed25519 AAAA..." (no comment)
    eligible: bool  # may hold the virtual IP
    ssh_port: int = 22


@dataclass(frozen=True, slots=True)
class Inventory:
    """The nodes of one group, in rollout order of their names, and how to log in."""

    group: str  # project and stack, e.g. "tandem-local"
    nodes: tuple[RemoteNode, ...]
    virtual_ips: tuple[str, ...]  # one, or two in dual-master mode
    private_key: str  # OpenSSH or PEM text of the deployment key; never logged
    bastion: RemoteNode | None = None

    def get(self, name: str) -> RemoteNode:
        """The host of that name. Raises KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)
