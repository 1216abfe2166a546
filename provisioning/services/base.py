"""The items of every node, independent of its services."""

from __future__ import annotations

from provisioning.deployment import Deployment, Node
from provisioning.kinds.absent import Absent
from provisioning.kinds.base import Item, reload
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.unit import Unit
from provisioning.rendering import render


def desired(deployment: Deployment, node: Node) -> list[Item]:
    hour = deployment.nodes.index(node)  # at most 16 nodes
    upgrade_time = render("base/apt-upgrade-time.conf.j2", hour=hour)
    return [
        Directory("/etc/tandem"),
        Directory("/usr/local/lib/tandem"),
        File("/etc/systemd/system/apt-daily-upgrade.timer.d/tandem.conf", upgrade_time),
        *without_temporary_key(),
    ]


def without_temporary_key() -> list[Item]:
    """The items of every node including a bastion: the temporary host key must not exist."""
    return [
        # The user data contains the temporary key (first_boot.py). Any process that can read the metadata service could
        # impersonate the node with it. The long-term key is pinned before a rollout starts.
        Absent("/etc/ssh/ssh_host_ecdsa_key", after=(reload("ssh"),)),
        Absent("/etc/ssh/ssh_host_ecdsa_key.pub", after=(reload("ssh"),)),
        Unit("ssh"),
    ]
