"""Redis on the first node: notifications between the IAM services, and the queue of audit records for iam-pump."""

from __future__ import annotations

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.base import Item, restart
from provisioning.kinds.check import Check
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.redis_password import RedisPassword
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from provisioning.services.data import REDIS_PORT
from provisioning.services.packages import packages

# Redis has no command that only checks a file. It reads the file first and then its arguments, so it stops at the
# wrong argument if the file is valid. Redis 8 starts with an unknown one, which might belong to a module. It opens the
# log file while it reads, so it runs as the user of the service.
_SCRIPT = """
seen=$(runuser -u redis -- redis-server /etc/redis/redis.conf --databases end-of-file 2>&1)
case $seen in *end-of-file*) exit 0 ;; esac
printf '%s\\n' "$seen" | sed -E "s/^(>>> '(requirepass|user)).*/\\1 ***/"
exit 1
"""
_CHECK = Check("redis", ("sh", "-c", _SCRIPT), ("/etc/redis",), look_at="provisioning/templates/redis/redis.conf.j2")


def desired(deployment: Deployment, node: Node) -> list[Item]:
    """The items of the data node; empty on other nodes."""
    if node != deployment.data_node:
        return []
    password = placeholders.placeholder(placeholders.REDIS_PASSWORD)
    family = deployment.distribution.family
    unit = family.redis_unit
    return [
        *packages(deployment, "redis-server"),
        # On the RHEL family the package has no such directory.
        *([Directory("/etc/redis", owner="redis", group="redis", mode=0o750)] if family.redis_command else []),
        _CHECK,
        File(
            "/etc/redis/redis.conf",
            render(
                "redis/redis.conf.j2",
                address=node.private_address,
                port=REDIS_PORT,
                max_memory_mib=deployment.data.redis_max_memory_mib,
            ),
            owner="redis",
            group="redis",
            mode=0o640,
            after=(restart(unit),),
        ),
        File(
            f"/etc/systemd/system/{unit}.service.d/tandem.conf",
            render("redis/unit.conf.j2", command=family.redis_command),
            after=(restart(unit),),
        ),
        RedisPassword(password, node.private_address, REDIS_PORT, unit),
        Unit(unit, others_need=True),
    ]
