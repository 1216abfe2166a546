"""The nodes of one group and how to reach them, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RemoteNode:
    """One node as the rollout needs it."""

    name: str  # also its host name, "iam-a"
    instance_id: str  # a new id means a new node, which needs a full rollout
    private_address: str  # in the subnet, for example "10.0.4.20"
    ssh_address: str  # the private address (direct or through a bastion) or a public one
    user: str  # logs in with a key and has sudo without a password
    host_keys: tuple[str, ...]  # pinned public host keys, "ssh-ed25519 AAAA..." (no comment)
    eligible: bool  # may hold the virtual IP
    ssh_port: int = 22


@dataclass(frozen=True, slots=True)
class Inventory:
    """The nodes of one group, and the credentials to log in."""

    group: str  # project and stack, for example "tandem-local"
    nodes: tuple[RemoteNode, ...]
    virtual_ips: tuple[str, ...]
    private_key: str  # OpenSSH or PEM text of the deployment key; never logged
    bastion: RemoteNode | None = None
    # Tried on nodes that refuse `private_key`, while the key is rotated; "" if there is none.
    other_private_key: str = ""

    @property
    def private_keys(self) -> tuple[str, ...]:
        """The keys in the order in which they are tried."""
        return (self.private_key, self.other_private_key) if self.other_private_key else (self.private_key,)

    def get(self, name: str) -> RemoteNode:
        """The node with that name. Raises KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)
