"""Stand-in for provisioning.ssh.host_keys. The API has no instances behind its records."""

from __future__ import annotations

from provisioning.inventory import RemoteNode


def read_host_keys(node: RemoteNode, private_key: str, bastion: RemoteNode | None = None) -> tuple[str, ...]:
    assert private_key
    assert bastion is None or bastion.name == "bastion"
    return (f"ssh-ed25519 AAAA{node.name}",)
