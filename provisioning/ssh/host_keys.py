"""Read a new node's long-term host keys over a connection with its temporary key pinned."""

from __future__ import annotations

from provisioning.errors import HostKeyError, NodeError, UnreachableError
from provisioning.inventory import RemoteNode
from provisioning.ssh.connections import Keys

BOOT_DEADLINE_S = 300.0


def read_host_keys(
    node: RemoteNode, private_key: Keys, bastion: RemoteNode | None = None, *, deadline_s: float = BOOT_DEADLINE_S
) -> tuple[str, ...]:
    """Return the node's long-term public host keys, "ssh-ed25519 AAAA...". `node.host_keys` holds the temporary key.

    Retries on a wrong host key until the deadline: before cloud-init has run, sshd may offer the keys of the image.
    Nothing is sent in that case. Raises UnreachableError, HostKeyError, NodeError.
    """
    from provisioning.ssh.transport import wait_until_reachable  # noqa: PLC0415 - for the reason in connections.py

    retry = (UnreachableError, HostKeyError)
    with wait_until_reachable(node, private_key, bastion, deadline_s=deadline_s, retry=retry) as connection:
        out, err, code = connection.run("echo; cat /etc/ssh/ssh_host_ed25519_key.pub", deadline_s=30)
    keys = tuple(" ".join(line.split()[:2]) for line in out.splitlines() if line.startswith("ssh-ed25519 "))
    if code or not keys:
        raise NodeError(
            f"{node.name} ({node.private_address}): the node has no long-term host key",
            seen=err or out,
            look_at="/var/log/cloud-init-output.log on the node; provisioning/first_boot.py",
        )
    return keys
