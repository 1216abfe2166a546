"""`tandem:data`: the location of the databases, and how the services connect to them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from settings.base import FrozenModel, HostPort

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
_SYSTEM_DATABASES = ("information_schema", "mysql", "performance_schema", "sys")


class DataLocation(StrEnum):
    """Where the databases run."""

    FIRST_NODE = "first-node"
    MOVED = "moved"  # outside the group; the data disk of the first node is kept
    EXTERNAL = "external"  # outside the group


class MongodbSettings(FrozenModel):
    """A MongoDB that stores the audit records of all nodes, beside the csv files on each node."""

    address: HostPort = Field(description="Address of MongoDB, as HOST:PORT.")
    database: Identifier = Field(default="iam_analytics", description="Database for the audit records.")
    collection: Identifier = Field(default="iam_analytics", description="Collection for the audit records.")
    username: Identifier = Field(default="iam", description="MongoDB account of iam-pump, with the role readWrite.")
    auth_source: Identifier = Field(default="admin", description="Database that authenticates the account.")


class BucketSettings(FrozenModel):
    """A bucket for copies of the backups, on COS or another S3 service. Its lifecycle rule deletes old backups."""

    endpoint: str = Field(
        pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$",
        description="URL of the S3 service, for example `https://cos.ap-guangzhou.myqcloud.com`. Nodes must reach it. "
        "http is accepted only inside the VPC and for COS in the stack's region.",
    )
    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="Name of the bucket, on COS with the account's APPID.",
    )
    prefix: str = Field(
        default="", pattern=r"^([A-Za-z0-9._-]+/)*$", description="Prefix of the objects, for example `prod/`."
    )
    region: str | None = Field(
        default=None, pattern=r"^[a-z0-9-]+$", description="Region of the bucket, if the service requires it."
    )
    role: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9+=,.@_-]{1,128}$",
        description="Name of a CAM role that may write objects below `prefix`. The first node gets it, so that no key "
        "is required (docs/operations.md, Backups). Only for COS.",
    )

    @model_validator(mode="after")
    def _role_is_for_cos(self) -> BucketSettings:
        if self.role is not None and not self.endpoint.endswith(".myqcloud.com"):
            raise ValueError(f"role can be set for an endpoint of COS (*.myqcloud.com) only (got {self.endpoint})")
        return self


class BackupSettings(FrozenModel):
    """Nightly backups of the databases, with `data.location: first-node` (docs/operations.md, Backups)."""

    hour: int = Field(default=2, ge=0, le=23, description="Hour of the nightly backup, in UTC.")
    keep_days: int = Field(default=7, ge=1, le=365, description="Days for which every backup is kept.")
    keep_weeks: int = Field(
        default=4, ge=0, le=520, description="Weeks for which the newest backup of each week is kept."
    )
    bucket: BucketSettings | None = Field(
        default=None,
        description="Bucket for another copy of each backup. "
        "Requires `role`, or `credentials.given.bucketKeyId` and `credentials.given.bucketKeySecret`.",
    )


class DataSettings(FrozenModel):
    location: DataLocation = Field(
        default=DataLocation.FIRST_NODE,
        description="Where the databases run: `first-node` (MariaDB and Redis on the first node; while it is down, "
        "nothing can be written), `external` (your own databases, for example TencentDB; nothing is installed) or "
        "`moved` (like `external`, but the data disk of the first node is detached and kept; docs/operations.md).",
    )
    mariadb_address: HostPort | None = Field(
        default=None,
        description="Address of MariaDB or MySQL, as HOST:PORT. Only with `location` `external` or `moved`, and "
        "required there. You create the schema and the account.",
    )
    redis_address: HostPort | None = Field(
        default=None,
        description="Address of Redis, as HOST:PORT. Only with `location` `external` or `moved`, and required there.",
    )
    mongodb: MongodbSettings | None = Field(
        default=None,
        description="MongoDB for the audit records of all nodes: a server outside the group, or one of your services "
        "(docs/iam.md). The real iam-pump works with MongoDB 3.6 to 5.0. Default: only csv files on each node.",
    )
    database: Identifier = Field(default="iam", description="Name of the MariaDB database.")
    username: Identifier = Field(default="iam", description="MariaDB account of the IAM services.")
    administrator: Identifier | None = Field(
        default=None,
        description="MariaDB or MySQL account that creates the accounts of the nodes (CREATE USER, and GRANT OPTION on "
        "the database). Only with `location` `external` or `moved`. Requires "
        "`credentials.given.mariadbAdministratorPassword`; `generation.mariadbPassword` can then be increased.",
    )
    buffer_pool_mib: int = Field(
        default=128,
        ge=16,
        le=65536,
        description="Size of MariaDB's buffer pool (innodb_buffer_pool_size). Recommended: 25 % of the memory.",
    )
    redis_max_memory_mib: int = Field(
        default=256,
        ge=16,
        le=65536,
        description="Memory limit of Redis, which queues audit records. When it is reached, new records are rejected.",
    )
    backup: BackupSettings = Field(
        default=BackupSettings(), description="Nightly backups, on the data disk and on the second node."
    )

    @model_validator(mode="after")
    def _addresses_fit_the_location(self) -> DataSettings:
        given = {"mariadbAddress": self.mariadb_address, "redisAddress": self.redis_address}
        if self.outside_group and None in given.values():
            missing = " and ".join(name for name, value in given.items() if value is None)
            raise ValueError(f"{missing} (HOST:PORT) must be set with location {self.location}")
        external_only = {**given, "administrator": self.administrator}
        if not self.outside_group and any(external_only.values()):
            named = " and ".join(name for name, value in external_only.items() if value)
            raise ValueError(f"{named} cannot be set with location first-node; remove it or set location external")
        return self

    @model_validator(mode="after")
    def _names_are_not_reserved(self) -> DataSettings:
        if self.database in _SYSTEM_DATABASES:
            raise ValueError(f"database cannot be {self.database}, a database of MariaDB itself")
        if self.username == "root" and not self.outside_group:
            raise ValueError("username cannot be root, the account with which the rollout manages MariaDB")
        return self

    @property
    def outside_group(self) -> bool:
        """Whether the databases run outside the group."""
        return self.location is not DataLocation.FIRST_NODE
