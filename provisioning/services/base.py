"""The items of every node, independent of its services."""

from __future__ import annotations

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.absent import Absent
from provisioning.kinds.authorized_key import AuthorizedKey
from provisioning.kinds.base import Item, reload, restart
from provisioning.kinds.check import Check
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.operating_system import OperatingSystem
from provisioning.kinds.ssh_server import SshServer
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from provisioning.services.packages import packages


def desired(deployment: Deployment, node: Node) -> list[Item]:
    del node
    return [
        Directory("/etc/tandem"),
        Directory("/usr/local/lib/tandem"),
        *access(deployment),
        *packages(deployment, "logrotate"),
        File(
            "/etc/systemd/system/logrotate.timer.d/tandem.conf",
            render("base/logrotate.timer.j2"),
            after=(restart("logrotate.timer"),),
        ),
        Unit("logrotate.timer"),
    ]


def access(deployment: Deployment) -> list[Item]:
    """The items of every node including a bastion: the keys that log in, and no temporary host key."""
    ssh = deployment.distribution.family.ssh_unit
    return [
        OperatingSystem(deployment.distribution.name),
        AuthorizedKey("deployment key", deployment.user, placeholders.placeholder(placeholders.DEPLOYMENT_PUBLIC_KEY)),
        # A first boot has them from the user data. As items, keys that leave the settings are removed.
        *(AuthorizedKey(f"key {_name_of(key)}", deployment.user, key) for key in deployment.public_keys),
        # The user data contains the temporary key (first_boot.py). Any process that can read the metadata service could
        # impersonate the node with it. The long-term key is pinned before a rollout starts.
        Absent("/etc/ssh/ssh_host_ecdsa_key", after=(reload(ssh),)),
        Absent("/etc/ssh/ssh_host_ecdsa_key.pub", after=(reload(ssh),)),
        *hardened_ssh(deployment),
        SshServer(ssh),
    ]


def _name_of(key: str) -> str:
    """The comment of a public key, or the end of the key."""
    _, data, *comment = key.split()
    return " ".join(comment) or f"...{data[-8:]}"


def hardened_ssh(deployment: Deployment) -> list[Item]:
    if not deployment.system.harden_ssh:
        return []
    # The name sorts before that of cloud-init's file.
    file = "/etc/ssh/sshd_config.d/00-tandem.conf"
    changed = (reload(deployment.distribution.family.ssh_unit),)
    return [
        Check("sshd", ("/usr/sbin/sshd", "-t"), ("/etc/ssh",), look_at="provisioning/templates/system/sshd.conf.j2"),
        File(file, render("system/sshd.conf.j2"), after=changed),
    ]
