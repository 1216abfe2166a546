"""Read a new node's long-term host keys over a connection that is pinned to its temporary one."""

from __future__ import annotations

from provisioning.errors import HostKeyError, NodeError, UnreachableError
from provisioning.inventory import RemoteNode
from provisioning.transport import wait_until_reachable

BOOT_DEADLINE_S = 300.0


def read_host_keys(
    node: RemoteNode, private_key: str, bastion: RemoteNode | None = None, *, deadline_s: float = BOOT_DEADLINE_S
) -> tuple[str, ...]:
    """The node's own public host keys, "ssh-ed25519 AAAA...". `host.host_keys` is the temporary key alone.

    A node may show its image's keys for a moment before cloud-init has put the right ones in place: that is
    waited out, nothing is sent meanwhile. Raises UnreachableError, HostKeyError, NodeError.
    """
    patient = (UnreachableError, HostKeyError)
    with wait_until_reachable(node, private_key, bastion, deadline_s=deadline_s, retry=patient) as connection:
        out, err, code = connection.run("cat /etc/ssh/ssh_host_ed25519_key.pub", deadline_s=30)
    keys = tuple(" ".join(line.split()[:2]) for line in out.splitlines() if line.startswith("ssh-ed25519 "))
    if code or not keys:
        raise NodeError(
            f"{node.name} ({node.private_address}): it has no long-term host key",
            seen=err or out,
            look_at="/var/log/cloud-init-output.log on the node; provisioning/first_boot.py",
        )
    return keys
