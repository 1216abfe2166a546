"""`tandem:network`: the VPC and subnet of the nodes."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Literal

from pydantic import Field

from settings.base import FrozenModel, Network


class ExistingNetwork(FrozenModel):
    """An existing network. The program does not change or delete anything in it."""

    vpc_id: str = Field(pattern=r"^vpc-[0-9a-z]{4,}$", description="Id of the VPC.")
    subnet_id: str = Field(pattern=r"^subnet-[0-9a-z]{4,}$", description="Id of the subnet.")


class NetworkSettings(FrozenModel):
    """One VPC with one subnet. A subnet belongs to one availability zone, and so does the group."""

    zone: str = Field(
        pattern=r"^[a-z]+-[a-z]+(-[a-z]+)*-[0-9]+$",
        description="Availability zone, for example `ap-guangzhou-6`. Must belong to the region.",
    )
    vpc_cidr: Network = Field(
        default=IPv4Network("10.0.0.0/16"),
        description="CIDR block of the VPC. Must be inside 10/8, 172.16/12 or 192.168/16, from /12 to /28.",
    )
    subnet_cidr: Network = Field(
        default=IPv4Network("10.0.4.0/24"),
        description="CIDR block of the subnet. Must be inside `vpcCidr` and not smaller than a /28.",
    )
    existing: ExistingNetwork | None = Field(
        default=None,
        description="An existing VPC and subnet to use instead of creating them. "
        "`vpcCidr` and `subnetCidr` must match them.",
    )
    egress: Literal["none", "nat"] = Field(
        default="none",
        description="How nodes reach the internet: `none` (packages come from the cloud's mirror inside the VPC) "
        "or `nat` (through a NAT gateway with a public address).",
    )
    nat_bandwidth_mbps: Literal[20, 50, 100] = Field(
        default=100, description="Bandwidth of the NAT gateway and its public address, with `egress: nat`."
    )
