"""The items that decide who logs in to a node. A bastion, which runs no services, has only these."""

from __future__ import annotations

from provisioning import placeholders
from provisioning.kinds.absent import Absent
from provisioning.kinds.authorized_key import AuthorizedKey
from provisioning.kinds.base import Item, reload
from provisioning.kinds.ssh_server import SshServer


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
