"""Rows of the tables of refusals, and resources for their requests. A row is a rule and a request that violates it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.infrastructure import MachineSpec, NoInfrastructure
from localcloud.reconcile.cloud import Cloud
from localcloud.rules import instance
from localcloud.rules.refusal import Refusal
from localcloud.rules.transaction import Key
from tests.localcloud.api.lab import ZONE
from tests.localcloud.api.place import Place

Request = tuple[str, dict[str, Any]]
Prepare = Callable[[Place], Request]


@dataclass(frozen=True)
class Row:
    refusal: type[Refusal]
    prepare: Prepare
    region: str = "ap-guangzhou"


def row(refusal: type[Refusal], target: str, **parameters: Any) -> Row:
    """Return a row whose request needs no preparation."""
    return Row(refusal, lambda _: (target, parameters))


def records(cloud: Cloud) -> tuple[dict[Key, object], dict[str, str]]:
    """Return all committed records of the cloud."""
    store = cloud._store.committed
    return {(kind, at): record for kind, of in store.records.items() for at, record in of.items()}, dict(store.facts)


class HeldInfrastructure(NoInfrastructure):
    """An infrastructure in which a step of an instance can be blocked or fail."""

    def __init__(self) -> None:
        super().__init__()
        self.held: set[str] = set()
        self.failing = False
        self._released = threading.Event()

    def release(self) -> None:
        self._released.set()

    def _wait(self, step: str) -> None:
        if step in self.held:
            self._released.wait(30)

    def start_machine(self, spec: MachineSpec) -> None:
        self._wait("start")
        if self.failing:
            raise RuntimeError("no room for another machine")
        super().start_machine(spec)

    def stop_machine(self, instance_id: str, *, hard: bool) -> None:
        self._wait("stop")
        super().stop_machine(instance_id, hard=hard)

    def destroy_machine(self, instance_id: str) -> None:
        self._wait("destroy")
        super().destroy_machine(instance_id)


def other_subnet(place: Place, zone: str = ZONE, cidr: str = "10.0.5.0/24") -> str:
    """Create another subnet of the VPC."""
    made = place.call("vpc:CreateSubnet", VpcId=place.vpc_id, SubnetName="other", CidrBlock=cidr, Zone=zone)
    return made["Subnet"]["SubnetId"]


def other_vpc(place: Place) -> tuple[str, str]:
    """Create another VPC with a subnet."""
    vpc_id = place.call("vpc:CreateVpc", VpcName="other", CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    made = place.call("vpc:CreateSubnet", VpcId=vpc_id, SubnetName="other", CidrBlock="10.1.1.0/24", Zone=ZONE)
    return vpc_id, made["Subnet"]["SubnetId"]


def associate(place: Place, havip_id: str, instance_id: str) -> None:
    """Permit the instance to announce the HAVIP."""
    associations = [{"HaVipId": havip_id, "InstanceId": instance_id, "InstanceType": "CVM"}]
    place.call("vpc:AssociateHaVipInstance", HaVipAssociationSet=associations)


def eni_of(place: Place, instance_id: str) -> str:
    """Return the network interface of an instance."""
    with place.call.cloud.transaction() as tx:
        return instance.get(tx, instance_id).interface_id


def disk(place: Place, **parameters: Any) -> str:
    """Create a data disk."""
    request: dict[str, Any] = {"Placement": {"Zone": ZONE}, "DiskType": "CLOUD_PREMIUM", "DiskSize": 50, **parameters}
    return place.call("cbs:CreateDisks", **request)["DiskIdSet"][0]


def gateway(place: Place) -> tuple[str, str]:
    """Create a NAT gateway. Returns its ID and its public address."""
    _, ip = place.eip()
    made = place.call("vpc:CreateNatGateway", NatGatewayName="nat", VpcId=place.vpc_id, PublicIpAddresses=[ip])
    place.call.settle()
    return made["NatGatewaySet"][0]["NatGatewayId"], ip


def main_table(place: Place) -> str:
    """Return the main route table of the VPC."""
    filters = [{"Name": "vpc-id", "Values": [place.vpc_id]}, {"Name": "association.main", "Values": ["true"]}]
    return place.call("vpc:DescribeRouteTables", Filters=filters)["RouteTableSet"][0]["RouteTableId"]


def key(place: Place, name: str = "key") -> str:
    """Create a key pair."""
    return place.call("cvm:CreateKeyPair", KeyName=name, ProjectId=0)["KeyPair"]["KeyId"]


def policies(*entries: dict[str, Any], direction: str = "Ingress") -> dict[str, Any]:
    """Return a set of policies for a request."""
    return {direction: [{"Action": "ACCEPT", **entry} for entry in entries]}


def spread(place: Place) -> str:
    """Create a placement group."""
    made = place.call("cvm:CreateDisasterRecoverGroup", Name="spread", Type="HOST")
    return made["DisasterRecoverGroupId"]
