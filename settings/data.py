"""`tandem:data`: where the databases are, and how the services reach them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from settings.base import FrozenModel

HostPort = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class DataLocation(StrEnum):
    """Where the databases run."""

    FIRST_NODE = "first-node"
    MOVED = "moved"  # outside the group; the disk of the databases that ran on the first node is kept
    EXTERNAL = "external"  # outside the group


class MongodbSettings(FrozenModel):
    """A MongoDB for the audit records of all nodes, instead of csv files on each."""

    address: HostPort = Field(description="HOST:PORT")
    database: Identifier = Field(default="iam_analytics", description="database of the audit records")
    collection: Identifier = Field(default="iam_analytics", description="collection in it")
    username: Identifier = Field(default="iam", description="account that iam-pump writes with")
    auth_source: Identifier = Field(default="admin", description="database that knows the account")


class DataSettings(FrozenModel):
    location: DataLocation = Field(
        default=DataLocation.FIRST_NODE,
        description="`first-node`: MariaDB and Redis run on the first node, whose loss stops every database write. "
        "`external`: databases of your own (TencentDB, for example); nothing is installed. `moved`: the same as "
        "`external`, and the disk of the databases that ran on the first node is kept, detached "
        "(docs/operations.md).",
    )
    mariadb_address: HostPort | None = Field(
        default=None, description="HOST:PORT of MariaDB or MySQL, for external only; schema and account are yours"
    )
    redis_address: HostPort | None = Field(default=None, description="HOST:PORT of Redis, for external only")
    mongodb: MongodbSettings | None = Field(
        default=None,
        description="where iam-pump writes audit records, for external only; none = csv files on each node",
    )
    database: Identifier = Field(default="iam", description="name of the database")
    username: Identifier = Field(default="iam", description="MariaDB account of the IAM services")
    buffer_pool_mib: int = Field(
        default=128, ge=16, le=65536, description="memory in which MariaDB keeps tables; a quarter of the node's"
    )
    redis_max_memory_mib: int = Field(
        default=256, ge=16, le=65536, description="audit records wait in Redis; beyond this new ones are refused"
    )

    @model_validator(mode="after")
    def _addresses_fit_the_location(self) -> DataSettings:
        given = {"mariadbAddress": self.mariadb_address, "redisAddress": self.redis_address}
        if self.outside_group and None in given.values():
            missing = " and ".join(name for name, value in given.items() if value is None)
            raise ValueError(f"location {self.location} needs {missing} (HOST:PORT)")
        elsewhere = {**given, "mongodb": self.mongodb}
        if not self.outside_group and any(elsewhere.values()):
            named = " and ".join(name for name, value in elsewhere.items() if value)
            raise ValueError(f"{named} has no meaning with location first-node; leave it out or set external")
        return self

    @property
    def outside_group(self) -> bool:
        """Whether the databases run outside the group."""
        return self.location is not DataLocation.FIRST_NODE
