"""The starting point of most tests: a VPC, a subnet, a security group, and instances in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.localcloud.api.lab import ZONE, Direct


@dataclass(frozen=True)
class Place:
    call: Direct
    vpc_id: str
    subnet_id: str
    group_id: str

    @classmethod
    def build(cls, call: Direct) -> Place:
        vpc_id = call("vpc:CreateVpc", VpcName="net", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet_id = call("vpc:CreateSubnet", VpcId=vpc_id, SubnetName="front", CidrBlock="10.0.4.0/24", Zone=ZONE)[
            "Subnet"
        ]["SubnetId"]
        group = call("vpc:CreateSecurityGroup", GroupName="web", GroupDescription="")["SecurityGroup"]
        return cls(call, vpc_id, subnet_id, group["SecurityGroupId"])

    def begin_machine(self, **parameters: Any) -> str:
        """Call RunInstances with the required and the given parameters; return the id."""
        network: dict[str, Any] = {"VpcId": self.vpc_id, "SubnetId": self.subnet_id}
        if "address" in parameters:
            network["PrivateIpAddresses"] = [parameters.pop("address")]
        wanted: dict[str, Any] = {
            "Placement": {"Zone": ZONE},
            "ImageId": "img-debian12",
            "InstanceType": "S5.MEDIUM2",
            "VirtualPrivateCloud": network,
            "SecurityGroupIds": [self.group_id],
        }
        return self.call("cvm:RunInstances", **(wanted | parameters))["InstanceIdSet"][0]

    def machine(self, **parameters: Any) -> str:
        """Call RunInstances and wait until the instance runs."""
        instance_id = self.begin_machine(**parameters)
        self.call.settle()
        return instance_id

    def havip(self, **parameters: Any) -> str:
        wanted: dict[str, Any] = {"VpcId": self.vpc_id, "SubnetId": self.subnet_id, "HaVipName": "vip"}
        return self.call("vpc:CreateHaVip", **(wanted | parameters))["HaVip"]["HaVipId"]

    def eip(self) -> tuple[str, str]:
        """Allocate an EIP and wait until it is ready; return its id and address."""
        address_id = self.call("vpc:AllocateAddresses", InternetMaxBandwidthOut=10)["AddressSet"][0]
        self.call.settle()
        return address_id, self.call("vpc:DescribeAddresses", AddressIds=[address_id])["AddressSet"][0]["AddressIp"]

    def show(self, instance_id: str) -> dict[str, Any]:
        """The instance as DescribeInstances shows it."""
        return self.call("cvm:DescribeInstances", InstanceIds=[instance_id])["InstanceSet"][0]
