"""The items of every node, independent of its services."""

from __future__ import annotations

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.absent import Absent
from provisioning.kinds.authorized_key import AuthorizedKey
from provisioning.kinds.base import Item, reload, restart
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.package import Package
from provisioning.kinds.ssh_server import SshServer
from provisioning.kinds.unit import Unit
from provisioning.rendering import render


def desired(deployment: Deployment, node: Node) -> list[Item]:
    del node
    return [
        Directory("/etc/tandem"),
        Directory("/usr/local/lib/tandem"),
        *access(deployment.user),
        Package("logrotate"),
        File(
            "/etc/systemd/system/logrotate.timer.d/tandem.conf",
            render("base/logrotate.timer.j2"),
            after=(restart("logrotate.timer"),),
        ),
        Unit("logrotate.timer"),
    ]


def access(user: str) -> list[Item]:
    """The items of every node including a bastion: the key that logs in, and no temporary host key."""
    return [
        AuthorizedKey("deployment key", user, placeholders.placeholder(placeholders.DEPLOYMENT_PUBLIC_KEY)),
        # The user data contains the temporary key (first_boot.py). Any process that can read the metadata service could
        # impersonate the node with it. The long-term key is pinned before a rollout starts.
        Absent("/etc/ssh/ssh_host_ecdsa_key", after=(reload("ssh"),)),
        Absent("/etc/ssh/ssh_host_ecdsa_key.pub", after=(reload("ssh"),)),
        SshServer(),
    ]
