"""Where the IAM services find their data: one answer for MariaDB, Redis and the services' configuration."""

from __future__ import annotations

from provisioning.deployment import Deployment, Node

MARIADB_PORT = 3306
REDIS_PORT = 6379
# The connections of one apiserver; all nodes together must fit into MariaDB's limit (its own is 151).
POOL_SIZE = 100


def mariadb_address(deployment: Deployment) -> str:
    """HOST:PORT."""
    return deployment.data.mariadb_address or f"{_data_node(deployment).private_address}:{MARIADB_PORT}"


def redis_address(deployment: Deployment) -> tuple[str, int]:
    address = deployment.data.redis_address or f"{_data_node(deployment).private_address}:{REDIS_PORT}"
    host, _, port = address.rpartition(":")
    return host, int(port)


def _data_node(deployment: Deployment) -> Node:
    if deployment.data_node is None:
        raise ValueError(f"{deployment.group}: databases outside the group need an address each")
    return deployment.data_node


def external_addresses(deployment: Deployment) -> dict[str, str]:
    """HOST:PORT of each database outside the group, by the setting that names it; none with first-node."""
    data = deployment.data
    named = {
        "mariadbAddress": data.mariadb_address,
        "redisAddress": data.redis_address,
        "mongodb.address": data.mongodb.address if data.mongodb else None,
    }
    return {setting: address for setting, address in named.items() if address}
