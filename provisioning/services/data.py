"""Where the IAM services find their data: one answer for MariaDB, Redis and the services' configuration."""

from __future__ import annotations

from provisioning.deployment import Deployment, Machine

MARIADB_PORT = 3306
REDIS_PORT = 6379
# The connections of one apiserver; all machines together must fit into MariaDB's limit (its own is 151).
POOL_SIZE = 100


def mariadb_address(deployment: Deployment) -> str:
    """HOST:PORT."""
    return deployment.data.mariadb_address or f"{deployment.primary.private_address}:{MARIADB_PORT}"


def redis_address(deployment: Deployment) -> tuple[str, int]:
    address = deployment.data.redis_address or f"{deployment.primary.private_address}:{REDIS_PORT}"
    host, _, port = address.rpartition(":")
    return host, int(port)


def external_addresses(deployment: Deployment) -> dict[str, str]:
    """HOST:PORT of each database that somebody else runs, by the setting that names it; none with on-primary."""
    data = deployment.data
    named = {
        "mariadbAddress": data.mariadb_address,
        "redisAddress": data.redis_address,
        "mongodb.address": data.mongodb.address if data.mongodb else None,
    }
    return {setting: address for setting, address in named.items() if address}


def is_here(deployment: Deployment, machine: Machine) -> bool:
    """Whether this machine has the databases."""
    return not deployment.data.external and machine.name == deployment.primary.name
