"""The items of every node, independent of its services."""

from __future__ import annotations

from provisioning.deployment import Deployment, Node
from provisioning.kinds.base import Item, restart
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.package import Package
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from provisioning.services.access import access


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
