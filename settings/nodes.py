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

    name: Annotated[
        str,
        Field(
            pattern=_NAME,
            min_length=2,
            max_length=30,
            description="Host name: small letters, digits and single hyphens, 2 to 30 characters.",
        ),
    ]
    address: Annotated[Address, Field(description="Private address, fixed for the node's life.")]
    type: Annotated[
        str | None,
        Field(
            pattern=_INSTANCE_TYPE,
            description="Instance type of this node alone; `nodes.type` otherwise. "
            "To resize a group one node at a time, set it on one node, run `up`, then on the next.",
        ),
    ] = None


class SystemDiskSettings(FrozenModel):
    """The disk that a node boots from. It goes with the node: nothing of value may live there."""

    type: Annotated[
        SystemDiskType,
        Field(
            description="Kind of disk. A node keeps the kind that it was made with; one that is added later has "
            "the new one."
        ),
    ] = "CLOUD_PREMIUM"
    size_gib: Annotated[int, Field(ge=20, le=1024, description="Size; it can grow, never shrink.")] = 50


class DataDiskSettings(FrozenModel):
    """The disk of the databases, with `data.location: first-node`. It outlives the node."""

    type: Annotated[
        DataDiskType, Field(description="Kind of disk. A later change is ignored: it would be another disk.")
    ] = "CLOUD_PREMIUM"
    size_gib: Annotated[
        int, Field(ge=10, le=32000, multiple_of=10, description="Size in steps of 10; it can grow, never shrink.")
    ] = 20

    @model_validator(mode="after")
    def _as_large_as_its_kind_begins(self) -> DataDiskSettings:
        least = _LEAST_GIB[self.type]
        if self.size_gib < least:
            raise ValueError(f"sizeGib {self.size_gib} is too small: {self.type} begins at {least}")
        return self


class NodesSettings(FrozenModel):
    """The group: the first two nodes may hold the virtual IP, further ones are application nodes."""

    image: Annotated[
        str,
        Field(
            pattern=r"^img-[0-9a-z]+$",
            description="Image id, e.g. `img-jzvbbed6`; never `newest`. A node keeps the image "
            "that it was made with; one that is added later has the new one (docs/operations.md).",
        ),
    ]
    type: Annotated[str, Field(pattern=_INSTANCE_TYPE, description="Instance type, e.g. `S5.LARGE8`.")] = "S5.MEDIUM2"
    user: Annotated[
        str,
        Field(
            pattern=r"^[a-z_][a-z0-9_-]{0,30}$",
            description="The image's login user: `debian`, `ubuntu`. It logs in by key and may sudo.",
        ),
    ] = "debian"
    members: Annotated[
        tuple[NodeSettings, ...],
        Field(
            min_length=NODE_COUNT[0],
            max_length=NODE_COUNT[1],
            description="The nodes, 2 to 16, in order. The first also runs the databases, with "
            "`data.location: first-node`.",
        ),
    ] = (
        NodeSettings(name="iam-a", address=IPv4Address("10.0.4.20")),
        NodeSettings(name="iam-b", address=IPv4Address("10.0.4.21")),
    )
    placement: Annotated[
        Literal["host", "rack", "switch"],
        Field(
            description="What two nodes never share: a host, a rack, or a switch "
            "(so that a failing switch takes one node at most)."
        ),
    ] = "host"
    system_disk: Annotated[SystemDiskSettings, Field(description="The disk each node boots from.")] = (
        SystemDiskSettings()
    )
    data_disk: Annotated[
        DataDiskSettings, Field(description="The disk of the databases, with `data.location` first-node or moved.")
    ] = DataDiskSettings()
    security_agent: Annotated[
        bool, Field(description="Host security agent (CWP). A later change is ignored: it reinstalls the node.")
    ] = True
    monitoring_agent: Annotated[
        bool, Field(description="Monitoring agent; memory and disk alarms need it. A later change is ignored.")
    ] = True
    peer_ports: Annotated[
        tuple[Annotated[int, Field(ge=1, le=65535)], ...],
        Field(
            description="Further TCP ports that the nodes offer to each other, for software of your own; each "
            "node's packet filter drops what nobody named. What others may reach is the security group's to say."
        ),
    ] = ()
    termination_protection: Annotated[
        bool, Field(description="The API refuses to terminate these nodes until this is switched off.")
    ] = False

    @field_validator("user")
    @classmethod
    def _not_root(cls, user: str) -> str:
        if user == "root":
            raise ValueError("is root: the nodes are set up by a login user with sudo, and root's login stays closed")
        return user
