"""Redis on the first node: notifications between the IAM services, and the queue of audit records for iam-pump."""

from __future__ import annotations

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.base import Item, restart
from provisioning.kinds.file import File
from provisioning.kinds.package import Package
from provisioning.kinds.redis_password import RedisPassword
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from provisioning.services.data import REDIS_PORT

_UNIT = "redis-server"


def desired(deployment: Deployment, node: Node) -> list[Item]:
    """The items of the data node; empty on other nodes."""
    if node != deployment.data_node:
        return []
    password = placeholders.placeholder(placeholders.REDIS_PASSWORD)
    return [
        Package("redis-server"),
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
            after=(restart(_UNIT),),
        ),
        File(
            f"/etc/systemd/system/{_UNIT}.service.d/tandem.conf", render("redis/unit.conf.j2"), after=(restart(_UNIT),)
        ),
        RedisPassword(password, node.private_address, REDIS_PORT),
        Unit(_UNIT, others_need=True),
    ]
