"""The addresses of the databases, as used by MariaDB, Redis and the services' configuration."""

from __future__ import annotations

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from settings.data import DataSettings

MARIADB_PORT = 3306
REDIS_PORT = 6379
# Connections of one iam-apiserver. MariaDB's limit must cover all nodes (its default is 151).
POOL_SIZE = 100


def mariadb_address(deployment: Deployment) -> str:
    """The address of MariaDB, "HOST:PORT"."""
    return deployment.data.mariadb_address or f"{_data_node(deployment).private_address}:{MARIADB_PORT}"


def redis_address(deployment: Deployment) -> tuple[str, int]:
    address = deployment.data.redis_address or f"{_data_node(deployment).private_address}:{REDIS_PORT}"
    host, _, port = address.rpartition(":")
    return host, int(port)


def mongodb_url(data: DataSettings) -> str:
    """The URL of MongoDB with a placeholder for the password; "" without MongoDB."""
    if data.mongodb is None:
        return ""
    login = f"{data.mongodb.username}:{placeholders.placeholder(placeholders.MONGODB_PASSWORD)}"
    server = f"{data.mongodb.address}/{data.mongodb.database}?authSource={data.mongodb.auth_source}"
    return f"mongodb://{login}@{server}"


def _data_node(deployment: Deployment) -> Node:
    if deployment.data_node is None:
        raise ValueError(f"{deployment.group}: databases outside the group must have an address each")
    return deployment.data_node


def external_addresses(deployment: Deployment) -> dict[str, str]:
    """The HOST:PORT of each database outside the group, by setting."""
    data = deployment.data
    nodes = {node.private_address for node in deployment.nodes}
    named = {
        "mariadbAddress": data.mariadb_address,
        "redisAddress": data.redis_address,
        "mongodb.address": data.mongodb.address if data.mongodb else None,
    }
    return {
        setting: address for setting, address in named.items() if address and address.rpartition(":")[0] not in nodes
    }
