"""`tandem:nodes`: the CVMs of the group."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from settings.base import Address, FrozenModel

NODE_COUNT = (2, 16)
ELIGIBLE_NODES = 2  # so many nodes, the first of them, may hold the virtual IP
# A host name: the cloud takes 2 to 60 characters of these, and no hyphen at an end or beside another one.
_NAME = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
# Family, generation, size: "S5.MEDIUM2".
_INSTANCE_TYPE = r"^[A-Z][A-Z0-9]*\.[A-Z0-9]+$"

# A node whose system disk is of another kind cannot be resized (ResetInstancesType, document 213/15744).
SystemDiskType = Literal["CLOUD_PREMIUM", "CLOUD_SSD", "CLOUD_BSSD"]
DataDiskType = Literal["CLOUD_PREMIUM", "CLOUD_SSD", "CLOUD_HSSD", "CLOUD_BSSD"]
# The least size of a data disk (CreateDisks, document 362/16312, and the table of kinds, 362/2353).
_LEAST_GIB: dict[DataDiskType, int] = {"CLOUD_PREMIUM": 10, "CLOUD_BSSD": 20, "CLOUD_HSSD": 20, "CLOUD_SSD": 100}


class NodeSettings(FrozenModel):
    """One node."""

    name: str = Field(
        pattern=_NAME,
        min_length=2,
        max_length=30,
        description="Host name: small letters, digits and single hyphens, 2 to 30 characters.",
    )
    address: Address = Field(description="Private address, fixed for the node's life.")
    type: str | None = Field(
        default=None,
        pattern=_INSTANCE_TYPE,
        description="Instance type of this node alone; `nodes.type` otherwise. "
        "To resize a group one node at a time, set it on one node, run `up`, then on the next.",
    )


class SystemDiskSettings(FrozenModel):
    """The disk that a node boots from. It goes with the node: nothing of value may live there."""

    type: SystemDiskType = Field(
        default="CLOUD_PREMIUM",
        description="Kind of disk. A node keeps the kind that it was made with; one that is added later has "
        "the new one.",
    )
    size_gib: int = Field(default=50, ge=20, le=1024, description="Size; it can grow, never shrink.")


class DataDiskSettings(FrozenModel):
    """The disk of the databases, with `data.location: first-node`. It outlives the node."""

    type: DataDiskType = Field(
        default="CLOUD_PREMIUM", description="Kind of disk. A later change is ignored: it would be another disk."
    )
    size_gib: int = Field(
        default=20, ge=10, le=32000, multiple_of=10, description="Size in steps of 10; it can grow, never shrink."
    )

    @model_validator(mode="after")
    def _as_large_as_its_kind_begins(self) -> DataDiskSettings:
        least = _LEAST_GIB[self.type]
        if self.size_gib < least:
            raise ValueError(f"sizeGib {self.size_gib} is too small: {self.type} begins at {least}")
        return self


class NodesSettings(FrozenModel):
    """The group: the first two nodes may hold the virtual IP, further ones are application nodes."""

    image: str = Field(
        pattern=r"^img-[0-9a-z]+$",
        description="Image id, e.g. `img-jzvbbed6`; never `newest`. A node keeps the image "
        "that it was made with; one that is added later has the new one (docs/operations.md).",
    )
    type: str = Field(default="S5.MEDIUM2", pattern=_INSTANCE_TYPE, description="Instance type, e.g. `S5.LARGE8`.")
    user: str = Field(
        default="debian",
        pattern=r"^[a-z_][a-z0-9_-]{0,30}$",
        description="The image's login user: `debian`, `ubuntu`. It logs in by key and may sudo.",
    )
    members: tuple[NodeSettings, ...] = Field(
        default=(
            NodeSettings(name="iam-a", address=IPv4Address("10.0.4.20")),
            NodeSettings(name="iam-b", address=IPv4Address("10.0.4.21")),
        ),
        min_length=NODE_COUNT[0],
        max_length=NODE_COUNT[1],
        description="The nodes, 2 to 16, in order. The first also runs the databases, with "
        "`data.location: first-node`.",
    )
    placement: Literal["host", "rack", "switch"] = Field(
        default="host",
        description="What two nodes never share: a host, a rack, or a switch "
        "(so that a failing switch takes one node at most).",
    )
    system_disk: SystemDiskSettings = Field(default=SystemDiskSettings(), description="The disk each node boots from.")
    data_disk: DataDiskSettings = Field(
        default=DataDiskSettings(), description="The disk of the databases, with `data.location` first-node or moved."
    )
    security_agent: bool = Field(
        default=True, description="Host security agent (CWP). A later change is ignored: it reinstalls the node."
    )
    monitoring_agent: bool = Field(
        default=True, description="Monitoring agent; memory and disk alarms need it. A later change is ignored."
    )
    peer_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(
        default=(),
        description="Further TCP ports that the nodes offer to each other, for software of your own; each "
        "node's packet filter drops what nobody named. What others may reach is the security group's to say.",
    )
    termination_protection: bool = Field(
        default=False, description="The API refuses to terminate these nodes until this is switched off."
    )

    @field_validator("user")
    @classmethod
    def _not_root(cls, user: str) -> str:
        if user == "root":
            raise ValueError("is root: the nodes are set up by a login user with sudo, and root's login stays closed")
        return user
