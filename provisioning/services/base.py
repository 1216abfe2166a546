"""What every node has, whatever it serves."""

from __future__ import annotations

from provisioning.deployment import Deployment, Node
from provisioning.kinds.absent import Absent
from provisioning.kinds.base import Thing, reload
from provisioning.kinds.directory import Directory
from provisioning.kinds.unit import Unit


def desired(deployment: Deployment, node: Node) -> list[Thing]:
    del deployment, node
    return [Directory("/etc/tandem"), Directory("/usr/local/lib/tandem"), *without_temporary_key()]


def without_temporary_key() -> list[Thing]:
    """All that a bastion needs, too."""
    return [
        # The temporary key that came with the user data (design.md, data flow 4): whoever may read the metadata
        # service could use it to pose as this node. By now the long-term key is known and pinned.
        Absent("/etc/ssh/ssh_host_ecdsa_key", after=(reload("ssh"),)),
        Absent("/etc/ssh/ssh_host_ecdsa_key.pub", after=(reload("ssh"),)),
        Unit("ssh"),
    ]
