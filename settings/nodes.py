"""`tandem:nodes`: the CVMs of the group."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator, model_validator

from settings.base import Address, FrozenModel
from settings.distributions import DEFAULT, DistributionName

NODE_COUNT = (2, 16)
ELIGIBLE_NODES = 2  # the first two nodes are eligible to hold the virtual IP
# A host name. The cloud accepts 2 to 60 of these characters, and no leading, trailing or consecutive hyphens.
_NAME = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
# Family, generation, size: "S5.MEDIUM2".
_INSTANCE_TYPE = r"^[A-Z][A-Z0-9]*\.[A-Z0-9]+$"

Weekday = Literal["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)

# An instance with another type of system disk cannot be resized (ResetInstancesType, document 213/15744).
SystemDiskType = Literal["CLOUD_PREMIUM", "CLOUD_SSD", "CLOUD_BSSD"]
DataDiskType = Literal["CLOUD_PREMIUM", "CLOUD_SSD", "CLOUD_HSSD", "CLOUD_BSSD"]
# Minimum size of a data disk (CreateDisks, document 362/16312, and the table of disk types, 362/2353).
_MIN_GIB: dict[DataDiskType, int] = {"CLOUD_PREMIUM": 10, "CLOUD_BSSD": 20, "CLOUD_HSSD": 20, "CLOUD_SSD": 100}


class NodeSettings(FrozenModel):
    """One node."""

    name: str = Field(
        pattern=_NAME,
        min_length=2,
        max_length=30,
        description="Host name: lowercase letters, digits and single hyphens.",
    )
    address: Address = Field(description="Private address. Cannot be changed after creation.")
    type: str | None = Field(
        default=None,
        pattern=_INSTANCE_TYPE,
        description="Instance type of this node. Default: `nodes.type`. "
        "To resize a group node by node, set it on one node, run `up`, and continue with the next node.",
    )


class SystemDiskSettings(FrozenModel):
    """The system disk of a node. It is deleted with the node and must not hold data of value."""

    type: SystemDiskType = Field(
        default="CLOUD_PREMIUM",
        description="Type of the system disk. A change only affects nodes that are created later.",
    )
    size_gib: int = Field(default=50, ge=20, le=1024, description="Size of the system disk. Cannot be reduced.")


class SnapshotSettings(FrozenModel):
    """When the cloud takes snapshots of the data disk. Hours and days are those of its clock (UTC+8)."""

    weekdays: tuple[Weekday, ...] = Field(
        default=WEEKDAYS, min_length=1, description="Days on which snapshots are taken. Default: every day."
    )
    hours: tuple[Annotated[int, Field(ge=0, le=23)], ...] = Field(
        default=(3,), min_length=1, description="Hours at which snapshots are taken, in UTC+8."
    )
    keep_days: int = Field(default=7, ge=1, le=3650, description="Days after which a snapshot is deleted.")


class DataDiskSettings(FrozenModel):
    """The data disk of the databases, with `data.location: first-node`. It is kept when the node is replaced."""

    type: DataDiskType = Field(
        default="CLOUD_PREMIUM", description="Type of the data disk. A change does not affect an existing disk."
    )
    size_gib: int = Field(
        default=20,
        ge=10,
        le=32000,
        multiple_of=10,
        description="Size of the data disk, in steps of 10. Cannot be reduced.",
    )
    snapshots: SnapshotSettings | None = Field(
        default=None,
        description="Scheduled snapshots of the data disk, which the cloud charges for. Default: none. "
        "They complement `data.backup` (docs/operations.md).",
    )

    @model_validator(mode="after")
    def _at_least_the_minimum_size_of_its_type(self) -> DataDiskSettings:
        minimum = _MIN_GIB[self.type]
        if self.size_gib < minimum:
            raise ValueError(f"sizeGib must be at least {minimum} with type {self.type} (got {self.size_gib})")
        return self


class NodesSettings(FrozenModel):
    """The group of nodes. The first two are eligible to hold the virtual IP; the others are application nodes."""

    image: str = Field(
        pattern=r"^img-[0-9a-z]+$",
        description="Image id, for example `img-jzvbbed6`. "
        "A change only affects nodes that are created later (docs/operations.md).",
    )
    distribution: DistributionName = Field(
        default=DEFAULT,
        description="Distribution of the image (docs/operations.md, Distributions). A node that runs another one is "
        "refused before any change.",
    )
    type: str = Field(
        default="S5.MEDIUM2", pattern=_INSTANCE_TYPE, description="Instance type, for example `S5.LARGE8`."
    )
    user: str = Field(
        default="debian",
        pattern=r"^[a-z_][a-z0-9_-]{0,30}$",
        description="Login user of the image, for example `debian` or `ubuntu`. "
        "Must be able to log in with a key and to use sudo.",
    )
    members: tuple[NodeSettings, ...] = Field(
        default=(
            NodeSettings(name="iam-a", address=IPv4Address("10.0.4.20")),
            NodeSettings(name="iam-b", address=IPv4Address("10.0.4.21")),
        ),
        min_length=NODE_COUNT[0],
        max_length=NODE_COUNT[1],
        description="The nodes, in order. The first two are eligible to hold the virtual IP. "
        "The first one also runs the databases, with `data.location: first-node`.",
    )
    placement: Literal["host", "rack", "switch"] = Field(
        default="host",
        description="Type of the placement group: no two nodes share a physical `host`, a `rack` or a `switch`.",
    )
    system_disk: SystemDiskSettings = Field(
        default=SystemDiskSettings(), description="The system disk of each node. It is deleted with the node."
    )
    data_disk: DataDiskSettings = Field(
        default=DataDiskSettings(),
        description="The data disk of the databases, with `data.location` `first-node` or `moved`.",
    )
    security_agent: bool = Field(
        default=True,
        description="Install the host security agent (CWP). A change only affects nodes that are created later.",
    )
    monitoring_agent: bool = Field(
        default=True,
        description="Install the monitoring agent, which memory and disk alarms require. "
        "A change only affects nodes that are created later.",
    )
    peer_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(
        default=(),
        description="Additional TCP ports that a node's packet filter accepts from the other nodes, for your own "
        "software. Traffic from all other sources is controlled by the security groups.",
    )
    termination_protection: bool = Field(
        default=False, description="Termination protection of the instances. Set to false before you remove a node."
    )

    @field_validator("user")
    @classmethod
    def _not_root(cls, user: str) -> str:
        if user == "root":
            raise ValueError("must be an unprivileged login user with sudo; root cannot log in (got root)")
        return user
