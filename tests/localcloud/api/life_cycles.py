"""The life cycle of every kind of resource: created, found by filters, changed, called wrongly, deleted.

Each is one function for any client: the official SDK, the official command line.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from tests.localcloud.api.lab import PUBLIC_KEY, ZONE

LifeCycle = Callable[["Client"], None]


class RefusedError(Exception):
    """The client reported an error of the API."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Client(Protocol):
    def __call__(self, target: str, /, **parameters: Any) -> dict[str, Any]:
        """`client("vpc:CreateVpc", VpcName=..., ...)`. Raises RefusedError."""
        ...


def refused(client: Client, code: str, target: str, **parameters: Any) -> None:
    """The call must fail with that code."""
    with pytest.raises(RefusedError) as error:
        client(target, **parameters)
    assert error.value.code == code


def named(name: str, *values: str) -> list[dict[str, Any]]:
    """Return one filter."""
    return [{"Name": name, "Values": list(values)}]


def wait_until(read: Callable[[], Any], wanted: Any) -> None:
    """Poll like a client program. Fails after 10 s."""
    deadline = time.monotonic() + 10
    while (seen := read()) != wanted:
        assert time.monotonic() < deadline, f"{seen!r} did not become {wanted!r}"
        time.sleep(0.02)


class Site:
    """A VPC, subnet and security group for a life cycle; `close` deletes them."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.vpc_id = client("vpc:CreateVpc", VpcName="site", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        made = client("vpc:CreateSubnet", VpcId=self.vpc_id, SubnetName="site", CidrBlock="10.0.4.0/24", Zone=ZONE)
        self.subnet_id = made["Subnet"]["SubnetId"]
        group = client("vpc:CreateSecurityGroup", GroupName="site", GroupDescription="for a test")
        self.group_id = group["SecurityGroup"]["SecurityGroupId"]

    def close(self) -> None:
        self.client("vpc:DeleteSecurityGroup", SecurityGroupId=self.group_id)
        self.client("vpc:DeleteSubnet", SubnetId=self.subnet_id)
        self.client("vpc:DeleteVpc", VpcId=self.vpc_id)

    def machine(self, **parameters: Any) -> str:
        made = self.client(
            "cvm:RunInstances",
            Placement={"Zone": ZONE},
            ImageId="img-debian12",
            InstanceType="S5.MEDIUM2",
            VirtualPrivateCloud={"VpcId": self.vpc_id, "SubnetId": self.subnet_id},
            SecurityGroupIds=[self.group_id],
            **parameters,
        )
        instance_id = made["InstanceIdSet"][0]
        self.until_settled(instance_id, "RUNNING")
        return instance_id

    def show(self, instance_id: str) -> dict[str, Any]:
        return self.client("cvm:DescribeInstances", InstanceIds=[instance_id])["InstanceSet"][0]

    def until_settled(self, instance_id: str, state: str) -> None:
        wait_until(lambda: self.show(instance_id)["InstanceState"], state)
        wait_until(lambda: self.show(instance_id)["LatestOperationState"], "SUCCESS")

    def terminate(self, *instance_ids: str) -> None:
        self.client("cvm:TerminateInstances", InstanceIds=list(instance_ids))
        wait_until(lambda: self.client("cvm:DescribeInstances", InstanceIds=list(instance_ids))["TotalCount"], 0)

    def eip(self) -> tuple[str, str]:
        made = self.client("vpc:AllocateAddresses", InternetMaxBandwidthOut=10)
        task_id = int(made["TaskId"])
        wait_until(lambda: self.client("vpc:DescribeTaskResult", TaskId=task_id)["Result"], "SUCCESS")
        found = self.client("vpc:DescribeAddresses", AddressIds=made["AddressSet"])["AddressSet"][0]
        return found["AddressId"], found["AddressIp"]

    def until_address(self, address_id: str, status: str) -> None:
        wait_until(
            lambda: self.client("vpc:DescribeAddresses", AddressIds=[address_id])["AddressSet"][0]["AddressStatus"],
            status,
        )

    def release(self, address_id: str) -> None:
        self.client("vpc:ReleaseAddresses", AddressIds=[address_id])
        wait_until(lambda: self.client("vpc:DescribeAddresses", AddressIds=[address_id])["TotalCount"], 0)


def vpc_and_subnet(client: Client) -> None:
    tags = [{"Key": "env", "Value": "test"}]
    vpc_id = client("vpc:CreateVpc", VpcName="net", CidrBlock="10.0.0.0/16", Tags=tags)["Vpc"]["VpcId"]
    shown = client("vpc:DescribeVpcs", Filters=named("tag:env", "test") + named("vpc-name", "ne"))["VpcSet"]
    assert [row["VpcId"] for row in shown] == [vpc_id]
    client("vpc:ModifyVpcAttribute", VpcId=vpc_id, VpcName="web", EnableMulticast="true", DnsServers=["10.0.0.2"])
    shown = client("vpc:DescribeVpcs", VpcIds=[vpc_id])["VpcSet"][0]
    assert (shown["VpcName"], shown["EnableMulticast"], shown["DnsServerSet"]) == ("web", True, ["10.0.0.2"])
    client("vpc:CreateAssistantCidr", VpcId=vpc_id, CidrBlocks=["192.168.0.0/16"])
    client("vpc:ModifyAssistantCidr", VpcId=vpc_id, NewCidrBlocks=["172.16.0.0/16"], OldCidrBlocks=["192.168.0.0/16"])
    made = [
        client("vpc:CreateSubnet", VpcId=vpc_id, SubnetName=name, CidrBlock=cidr, Zone=ZONE)["Subnet"]["SubnetId"]
        for name, cidr in (("a", "10.0.1.0/24"), ("b", "172.16.1.0/24"), ("c", "10.0.3.0/28"))
    ]
    page = client("vpc:DescribeSubnets", Filters=named("vpc-id", vpc_id), Offset="1", Limit="1")
    assert (page["TotalCount"], [row["SubnetId"] for row in page["SubnetSet"]]) == (3, made[1:2])
    assert client("vpc:DescribeSubnets", SubnetIds=made[2:])["SubnetSet"][0]["AvailableIpAddressCount"] == 13
    client("vpc:ModifySubnetAttribute", SubnetId=made[0], SubnetName="front", EnableBroadcast="true")
    assert client("vpc:DescribeSubnets", Filters=named("subnet-name", "front"))["TotalCount"] == 1
    overlap = {"VpcId": vpc_id, "SubnetName": "d", "CidrBlock": "10.0.1.128/25", "Zone": ZONE}
    refused(client, "InvalidParameterValue.SubnetConflict", "vpc:CreateSubnet", **overlap)
    refused(client, "ResourceInUse", "vpc:DeleteVpc", VpcId=vpc_id)
    refused(client, "ResourceInUse", "vpc:ModifyAssistantCidr", VpcId=vpc_id, OldCidrBlocks=["172.16.0.0/16"])
    for subnet_id in made:
        client("vpc:DeleteSubnet", SubnetId=subnet_id)
    client("vpc:DeleteVpc", VpcId=vpc_id)
    refused(client, "ResourceNotFound", "vpc:DeleteVpc", VpcId=vpc_id)
    refused(client, "ResourceNotFound", "vpc:DescribeVpcs", VpcIds=[vpc_id])


def route_table(client: Client) -> None:
    site = Site(client)
    table_id = client("vpc:CreateRouteTable", VpcId=site.vpc_id, RouteTableName="t")["RouteTable"]["RouteTableId"]
    entry = {"DestinationCidrBlock": "8.8.8.0/24", "GatewayType": "EIP", "GatewayId": "0", "RouteDescription": "x"}
    added = client("vpc:CreateRoutes", RouteTableId=table_id, Routes=[entry])["RouteTableSet"][0]["RouteSet"]
    assert [row["DestinationCidrBlock"] for row in added] == ["8.8.8.0/24"]
    route_id = added[0]["RouteId"]
    client("vpc:DisableRoutes", RouteTableId=table_id, RouteIds=[route_id])
    shown = client("vpc:DescribeRouteTables", Filters=named("route-table-id", table_id))["RouteTableSet"][0]
    assert [row["Enabled"] for row in shown["RouteSet"]] == [False]
    client("vpc:EnableRoutes", RouteTableId=table_id, RouteIds=[route_id])

    client("vpc:ModifyRouteTableAttribute", RouteTableId=table_id, RouteTableName="u")
    client("vpc:ReplaceRouteTableAssociation", SubnetId=site.subnet_id, RouteTableId=table_id)
    refused(client, "UnsupportedOperation.DelRouteWithSubnet", "vpc:DeleteRouteTable", RouteTableId=table_id)
    main = client("vpc:DescribeRouteTables", Filters=named("vpc-id", site.vpc_id) + named("association.main", "true"))[
        "RouteTableSet"
    ][0]["RouteTableId"]
    refused(client, "UnsupportedOperation.DelDefaultRoute", "vpc:DeleteRouteTable", RouteTableId=main)
    client("vpc:ReplaceRouteTableAssociation", SubnetId=site.subnet_id, RouteTableId=main)
    client("vpc:DeleteRoutes", RouteTableId=table_id, Routes=[{"RouteId": route_id}])
    client("vpc:DeleteRouteTable", RouteTableId=table_id)
    site.close()


def security_group(client: Client) -> None:
    group_id = client("vpc:CreateSecurityGroup", GroupName="web", GroupDescription="")["SecurityGroup"][
        "SecurityGroupId"
    ]
    rule = {"Protocol": "TCP", "Port": "80,443", "CidrBlock": "0.0.0.0/0", "Action": "ACCEPT"}
    client(
        "vpc:ModifySecurityGroupPolicies",
        SecurityGroupId=group_id,
        SecurityGroupPolicySet={"Ingress": [rule], "Egress": [rule | {"Protocol": "ALL", "Port": "ALL"}]},
    )
    two = {"Ingress": [rule | {"Port": "22"}, rule], "Version": "2"}
    client("vpc:ModifySecurityGroupPolicies", SecurityGroupId=group_id, SecurityGroupPolicySet=two)
    shown = client("vpc:DescribeSecurityGroupPolicies", SecurityGroupId=group_id)["SecurityGroupPolicySet"]
    assert [row["Port"] for row in shown["Ingress"]] == ["22", "80,443"]
    assert shown["Version"] == "2"
    stale = {"Version": "7", "Ingress": [rule]}
    refused(
        client,
        "UnsupportedOperation.VersionMismatch",
        "vpc:ModifySecurityGroupPolicies",
        SecurityGroupId=group_id,
        SecurityGroupPolicySet=stale,
    )
    gone = {"Ingress": [{"PolicyIndex": 0}]}
    client("vpc:DeleteSecurityGroupPolicies", SecurityGroupId=group_id, SecurityGroupPolicySet=gone)
    shown = client("vpc:DescribeSecurityGroupPolicies", SecurityGroupId=group_id)["SecurityGroupPolicySet"]
    assert [row["Port"] for row in shown["Ingress"]] == ["80,443"]
    client("vpc:ModifySecurityGroupAttribute", SecurityGroupId=group_id, GroupName="shop")
    assert client("vpc:DescribeSecurityGroups", Filters=named("security-group-name", "shop"))["TotalCount"] == 1
    nested = client("vpc:CreateSecurityGroup", GroupName="in", GroupDescription="")["SecurityGroup"]["SecurityGroupId"]
    inside = {"Ingress": [{"Protocol": "ALL", "SecurityGroupId": group_id, "Action": "ACCEPT"}]}
    client("vpc:ModifySecurityGroupPolicies", SecurityGroupId=nested, SecurityGroupPolicySet=inside)
    used = client("vpc:DescribeSecurityGroupAssociationStatistics", SecurityGroupIds=[group_id])
    assert used["SecurityGroupAssociationStatisticsSet"][0]["SG"] == 1
    refused(client, "ResourceInUse", "vpc:DeleteSecurityGroup", SecurityGroupId=group_id)
    client("vpc:ModifySecurityGroupPolicies", SecurityGroupId=nested, SecurityGroupPolicySet={"Version": "0"})
    client("vpc:DeleteSecurityGroup", SecurityGroupId=group_id)
    client("vpc:DeleteSecurityGroup", SecurityGroupId=nested)


def key_pair_and_placement_group(client: Client) -> None:
    key_id = client("cvm:ImportKeyPair", KeyName="mine", ProjectId=0, PublicKey=PUBLIC_KEY)["KeyId"]
    refused(client, "InvalidPublicKey.Duplicate", "cvm:ImportKeyPair", KeyName="x", ProjectId=0, PublicKey=PUBLIC_KEY)
    client("cvm:ModifyKeyPairAttribute", KeyId=key_id, KeyName="yours", Description="of a test")
    assert client("cvm:DescribeKeyPairs", Filters=named("key-name", "yours"))["KeyPairSet"][0]["KeyId"] == key_id
    made = client("cvm:CreateKeyPair", KeyName="made", ProjectId=0)["KeyPair"]
    assert made["PrivateKey"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    client("cvm:DeleteKeyPairs", KeyIds=[key_id, made["KeyId"]])
    refused(client, "InvalidKeyPairId.NotFound", "cvm:DeleteKeyPairs", KeyIds=[key_id])
    group_id = client("cvm:CreateDisasterRecoverGroup", Name="spread", Type="HOST")["DisasterRecoverGroupId"]
    client("cvm:ModifyDisasterRecoverGroupAttribute", DisasterRecoverGroupId=group_id, Name="apart")
    shown = client("cvm:DescribeDisasterRecoverGroups", DisasterRecoverGroupIds=[group_id])
    assert shown["DisasterRecoverGroupSet"][0]["Name"] == "apart"
    client("cvm:DeleteDisasterRecoverGroups", DisasterRecoverGroupIds=[group_id])


def instance(client: Client) -> None:
    site = Site(client)
    group_id = client("cvm:CreateDisasterRecoverGroup", Name="spread", Type="HOST")["DisasterRecoverGroupId"]
    key_id = client("cvm:ImportKeyPair", KeyName="login", ProjectId=0, PublicKey=PUBLIC_KEY)["KeyId"]
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "role", "Value": "web"}]}]
    instance_id = site.machine(
        InstanceName="web",
        LoginSettings={"KeyIds": [key_id]},
        DisasterRecoverGroupIds=[group_id],
        TagSpecification=tags,
        DataDisks=[{"DiskType": "CLOUD_PREMIUM", "DiskSize": 20}],
        UserData="IyEvYmluL3NoCg==",
    )
    for wanted in (named("tag:role", "web"), named("instance-name", "web"), named("zone", ZONE)):
        assert client("cvm:DescribeInstances", Filters=wanted)["TotalCount"] == 1
    attributes = client("cvm:DescribeInstancesAttributes", InstanceIds=[instance_id], Attributes=["UserData"])
    assert attributes["InstanceSet"][0]["Attributes"]["UserData"] == "IyEvYmluL3NoCg=="
    refused(
        client,
        "FailedOperation.PlacementSetNotEmpty",
        "cvm:DeleteDisasterRecoverGroups",
        DisasterRecoverGroupIds=[group_id],
    )
    refused(client, "InvalidParameterValue.KeyPairNotSupported", "cvm:DeleteKeyPairs", KeyIds=[key_id])
    refused(client, "UnsupportedOperation.InstanceStateRunning", "cvm:StartInstances", InstanceIds=[instance_id])
    client("cvm:ModifyInstancesAttribute", InstanceIds=[instance_id], InstanceName="shop")
    client("cvm:StopInstances", InstanceIds=[instance_id], StopType="SOFT")
    site.until_settled(instance_id, "STOPPED")
    client("cvm:StartInstances", InstanceIds=[instance_id])
    site.until_settled(instance_id, "RUNNING")

    client("cvm:ResetInstancesType", InstanceIds=[instance_id], InstanceType="S5.LARGE8", ForceStop=True)
    site.until_settled(instance_id, "RUNNING")
    client("cvm:ResizeInstanceDisks", InstanceId=instance_id, SystemDisk={"DiskSize": 60}, ForceStop=True)
    site.until_settled(instance_id, "RUNNING")
    client("cvm:ResetInstance", InstanceId=instance_id, ImageId="img-services", LoginSettings={"KeyIds": [key_id]})
    site.until_settled(instance_id, "RUNNING")
    client("cvm:DisassociateInstancesKeyPairs", InstanceIds=[instance_id], KeyIds=[key_id], ForceStop=True)
    site.until_settled(instance_id, "RUNNING")
    client("cvm:AssociateInstancesKeyPairs", InstanceIds=[instance_id], KeyIds=[key_id], ForceStop=True)
    site.until_settled(instance_id, "RUNNING")
    assert site.show(instance_id)["LoginSettings"]["KeyIds"] == [key_id]
    client("cvm:DisassociateInstancesKeyPairs", InstanceIds=[instance_id], KeyIds=[key_id], ForceStop=True)
    site.until_settled(instance_id, "RUNNING")
    internet = {"InternetMaxBandwidthOut": 5}
    client("cvm:ResetInstancesInternetMaxBandwidth", InstanceIds=[instance_id], InternetAccessible=internet)
    site.until_settled(instance_id, "RUNNING")
    client("cvm:ModifyInstancesDisasterRecoverGroup", InstanceIds=[instance_id], DisasterRecoverGroupId="")
    site.until_settled(instance_id, "RUNNING")
    client("cvm:ModifyInstancesDisasterRecoverGroup", InstanceIds=[instance_id], DisasterRecoverGroupIds=[group_id])
    site.until_settled(instance_id, "RUNNING")
    assert site.show(instance_id)["DisasterRecoverGroupId"] == group_id
    client("cvm:ModifyInstancesProject", InstanceIds=[instance_id], ProjectId=7)
    assert client("cvm:DescribeInstances", Filters=named("project-id", "7"))["TotalCount"] == 1
    other = client("vpc:CreateSecurityGroup", GroupName="other", GroupDescription="")["SecurityGroup"]
    both = [site.group_id, other["SecurityGroupId"]]
    client("cvm:ModifyInstancesAttribute", InstanceIds=[instance_id], SecurityGroups=both)
    assert site.show(instance_id)["SecurityGroupIds"] == both
    client("cvm:ModifyInstancesAttribute", InstanceIds=[instance_id], SecurityGroups=[site.group_id])
    client("vpc:DeleteSecurityGroup", SecurityGroupId=other["SecurityGroupId"])
    network = {"VpcId": site.vpc_id, "SubnetId": site.subnet_id, "PrivateIpAddresses": ["10.0.4.77"]}
    client("cvm:ModifyInstancesVpcAttribute", InstanceIds=[instance_id], VirtualPrivateCloud=network)
    site.until_settled(instance_id, "RUNNING")
    shown = site.show(instance_id)
    assert (shown["InstanceName"], shown["InstanceType"], shown["CPU"]) == ("shop", "S5.LARGE8", 4)
    assert (shown["SystemDisk"]["DiskSize"], shown["ImageId"]) == (60, "img-services")
    assert (shown["PrivateIpAddresses"], shown["LoginSettings"]["KeyIds"]) == (["10.0.4.77"], [])
    used = client("vpc:DescribeUsedIpAddress", VpcId=site.vpc_id, IpAddresses=["10.0.4.77"])
    assert used["IpAddressStates"][0]["ResourceId"] == instance_id
    site.terminate(instance_id)
    assert client("vpc:DescribeUsedIpAddress", VpcId=site.vpc_id)["IpAddressStates"] == []
    assert client("cbs:DescribeDisks", Filters=named("instance-id", instance_id))["TotalCount"] == 0
    client("cvm:DeleteDisasterRecoverGroups", DisasterRecoverGroupIds=[group_id])
    client("cvm:DeleteKeyPairs", KeyIds=[key_id])
    site.close()


def havip_and_eip(client: Client) -> None:
    site = Site(client)
    instance_id, (address_id, ip) = site.machine(), site.eip()
    made = client(
        "vpc:CreateHaVip",
        VpcId=site.vpc_id,
        SubnetId=site.subnet_id,
        HaVipName="vip",
        Vip="10.0.4.99",
        CheckAssociate=True,
    )
    havip_id = made["HaVip"]["HaVipId"]
    wanted = [{"HaVipId": havip_id, "InstanceId": instance_id, "InstanceType": "CVM"}]
    client("vpc:AssociateHaVipInstance", HaVipAssociationSet=wanted)
    found = client(
        "vpc:DescribeHaVips",
        Filters=named("havip-id", havip_id) + named("havip-association.instance-id", instance_id),
    )["HaVipSet"][0]
    assert [row["InstanceId"] for row in found["HaVipAssociationSet"]] == [instance_id]
    client("vpc:HaVipAssociateAddressIp", HaVipId=havip_id, AddressIp=ip)
    wait_until(lambda: client("vpc:DescribeHaVips", HaVipIds=[havip_id])["HaVipSet"][0]["AddressIp"], ip)
    outside = {"VpcId": site.vpc_id, "SubnetId": site.subnet_id, "HaVipName": "x", "Vip": "10.0.5.99"}
    refused(client, "InvalidParameterValue.Range", "vpc:CreateHaVip", **outside)
    bind = {"AddressId": address_id, "InstanceId": instance_id}
    refused(client, "UnsupportedOperation.AddressStatusNotPermit", "vpc:AssociateAddress", **bind)
    refused(client, "InvalidAddressState", "vpc:ReleaseAddresses", AddressIds=[address_id])
    refused(client, "UnsupportedOperation", "vpc:DeleteHaVip", HaVipId=havip_id)
    client("vpc:ModifyHaVipAttribute", HaVipId=havip_id, HaVipName="front")
    client("vpc:ModifyAddressAttribute", AddressId=address_id, AddressName="front")
    client("vpc:ModifyAddressesBandwidth", AddressIds=[address_id], InternetMaxBandwidthOut=20)
    charge = {
        "InternetChargeType": "BANDWIDTH_PREPAID_BY_MONTH",
        "InternetMaxBandwidthOut": 30,
        "AddressChargePrepaid": {"Period": 1},
    }
    client("vpc:ModifyAddressInternetChargeType", AddressId=address_id, **charge)
    shown = client("vpc:DescribeAddresses", Filters=named("address-name", "front"))["AddressSet"][0]
    assert (shown["Bandwidth"], shown["InternetChargeType"]) == (30, "BANDWIDTH_PREPAID_BY_MONTH")
    client("vpc:HaVipDisassociateAddressIp", HaVipId=havip_id)
    site.until_address(address_id, "UNBIND")
    client("vpc:AssociateAddress", **bind)
    site.until_address(address_id, "BIND")
    assert site.show(instance_id)["PublicIpAddresses"] == [ip]
    client("vpc:DisassociateAddress", AddressId=address_id)
    site.until_address(address_id, "UNBIND")
    gone = [{"HaVipId": havip_id, "InstanceId": instance_id}]
    client("vpc:DisassociateHaVipInstance", HaVipAssociationSet=gone)
    client("vpc:DeleteHaVip", HaVipId=havip_id)
    site.release(address_id)
    site.terminate(instance_id)
    site.close()


def nat_gateway(client: Client) -> None:
    site = Site(client)
    (first_id, first), (second_id, second) = site.eip(), site.eip()
    made = client("vpc:CreateNatGateway", NatGatewayName="nat", VpcId=site.vpc_id, PublicIpAddresses=[first])
    gateway_id = made["NatGatewaySet"][0]["NatGatewayId"]

    def state() -> list[str]:
        return [row["State"] for row in client("vpc:DescribeNatGateways", NatGatewayIds=[gateway_id])["NatGatewaySet"]]

    wait_until(state, ["AVAILABLE"])
    client("vpc:ModifyNatGatewayAttribute", NatGatewayId=gateway_id, NatGatewayName="out", InternetMaxBandwidthOut=200)
    client("vpc:ResetNatGatewayConnection", NatGatewayId=gateway_id, MaxConcurrentConnection=3000000)
    task = client("vpc:AssociateNatGatewayAddress", NatGatewayId=gateway_id, PublicIpAddresses=[second])["RequestId"]
    wait_until(lambda: client("vpc:DescribeVpcTaskResult", TaskId=task)["Status"], "SUCCESS")
    client("vpc:DisassociateNatGatewayAddress", NatGatewayId=gateway_id, PublicIpAddresses=[first])
    last = "UnsupportedOperation.PublicIpAddressDisassociate"
    refused(client, last, "vpc:DisassociateNatGatewayAddress", NatGatewayId=gateway_id, PublicIpAddresses=[second])
    refused(client, "ResourceInUse", "vpc:DeleteVpc", VpcId=site.vpc_id)
    client("vpc:DeleteNatGateway", NatGatewayId=gateway_id)
    wait_until(state, [])
    site.release(first_id)
    site.release(second_id)
    site.close()


def disk(client: Client) -> None:
    site = Site(client)
    instance_id = site.machine()
    made = client("cbs:CreateDisks", Placement={"Zone": ZONE}, DiskType="CLOUD_PREMIUM", DiskSize=50, DiskName="data")
    disk_id = made["DiskIdSet"][0]

    def state() -> str:
        return client("cbs:DescribeDisks", DiskIds=[disk_id])["DiskSet"][0]["DiskState"]

    client("cbs:AttachDisks", DiskIds=[disk_id], InstanceId=instance_id)
    wait_until(state, "ATTACHED")
    refused(client, "ResourceUnavailable.NotSupportRefund", "cbs:TerminateDisks", DiskIds=[disk_id])
    client("cbs:ResizeDisk", DiskId=disk_id, DiskSize=60)
    wait_until(state, "ATTACHED")
    refused(client, "InvalidParameterValue", "cbs:ResizeDisk", DiskId=disk_id, DiskSize=50)
    client("cbs:ModifyDiskAttributes", DiskIds=[disk_id], DiskName="store", ProjectId=7)
    filters = named("disk-name", "store") + named("disk-usage", "DATA_DISK") + named("project-id", "7")
    found = client("cbs:DescribeDisks", Filters=filters)
    assert [row["DiskSize"] for row in found["DiskSet"]] == [60]

    client("cbs:DetachDisks", DiskIds=[disk_id])
    wait_until(state, "UNATTACHED")
    client("cbs:TerminateDisks", DiskIds=[disk_id])
    wait_until(lambda: client("cbs:DescribeDisks", DiskIds=[disk_id])["TotalCount"], 0)
    site.terminate(instance_id)
    site.close()


def tags(client: Client) -> None:
    site = Site(client)
    resource = f"qcs::cvm:ap-guangzhou:uin/:sg/{site.group_id}"
    for key, value in (("a", "1"), ("b", "2")):
        client("tag:ModifyResourceTags", Resource=resource, ReplaceTags=[{"TagKey": key, "TagValue": value}])
    listed = client(
        "tag:DescribeResourceTagsByResourceIds",
        ServiceType="cvm",
        ResourcePrefix="sg",
        ResourceIds=[site.group_id],
        ResourceRegion="ap-guangzhou",
    )
    assert {row["TagKey"]: row["TagValue"] for row in listed["Tags"]} == {"a": "1", "b": "2"}
    shown = client("vpc:DescribeSecurityGroups", Filters=named("tag:b", "2"))["SecurityGroupSet"]
    assert [row["TagSet"] for row in shown] == [[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]]
    client("tag:ModifyResourceTags", Resource=resource, DeleteTags=[{"TagKey": "b"}])
    wrong = {"Resource": "qcs::vpc:ap-guangzhou:uin/:vpc/vpc-00000000", "DeleteTags": [{"TagKey": "a"}]}
    refused(client, "InvalidParameterValue.ResourceDescriptionError", "tag:ModifyResourceTags", **wrong)
    chinese = [{"TagKey": "部门", "TagValue": "基础架构"}, {"TagKey": "cost center", "TagValue": "A 7"}]
    client("tag:ModifyResourceTags", Resource=resource, ReplaceTags=chinese)
    client("tag:ModifyResourceTags", Resource=resource, DeleteTags=[{"TagKey": "部门"}, {"TagKey": "cost center"}])
    client("tag:ModifyResourceTags", Resource=resource, DeleteTags=[{"TagKey": "a"}])
    assert client("vpc:DescribeSecurityGroups", Filters=named("tag-key", "a", "b"))["TotalCount"] == 0
    site.close()


def alarms(client: Client) -> None:
    module = {"Module": "monitor"}
    person = {"ReceiverType": "USER", "StartTime": 0, "EndTime": 86399, "NoticeWay": ["EMAIL"], "UserIds": [10001]}
    given = {"Name": "mail", "NoticeType": "ALL", "NoticeLanguage": "en-US", "UserNotices": [person]}
    notice_id = client("monitor:CreateAlarmNotice", **module, **given)["NoticeId"]
    client("monitor:ModifyAlarmNotice", **module, **(given | {"Name": "post", "NoticeId": notice_id}))
    listed = client("monitor:DescribeAlarmNotices", **module, PageNumber=1, PageSize=20, Order="ASC", Name="post")
    assert [row["Id"] for row in listed["Notices"]] == [notice_id]
    rule = {"MetricName": "CpuUsage", "Period": 60, "Operator": "gt", "Value": "90", "ContinuePeriod": 5}
    made = client(
        "monitor:CreateAlarmPolicy",
        **module,
        PolicyName="cpu",
        MonitorType="MT_QCE",
        Namespace="cvm_device",
        Condition={"IsUnionRule": 0, "Rules": [rule]},
        NoticeIds=[notice_id],
    )
    policy = module | {"PolicyId": made["PolicyId"]}
    client("monitor:ModifyAlarmPolicyInfo", **policy, Key="NAME", Value="load")
    client("monitor:ModifyAlarmPolicyStatus", **policy, Enable=0)
    client("monitor:ModifyAlarmPolicyCondition", **policy, Condition={"IsUnionRule": 1, "Rules": [rule]})
    assert client("monitor:DescribeAlarmPolicies", **module, PolicyName="load")["TotalCount"] == 1
    shown = client("monitor:DescribeAlarmPolicy", **policy)["Policy"]
    assert (shown["PolicyName"], shown["Enable"], shown["Condition"]["IsUnionRule"]) == ("load", 0, 1)
    assert shown["NoticeIds"] == [notice_id]
    where = {"Region": "gz", "Dimensions": json.dumps({"unInstanceId": "ins-11112222"})}
    client("monitor:BindingPolicyObject", **policy, GroupId=0, Dimensions=[where])
    by_number = module | {"GroupId": int(made["OriginId"])}
    assert client("monitor:DescribeBindingPolicyObjectList", **by_number)["Total"] == 1
    assert client("monitor:DescribePolicyObjectCount", **by_number)["RegionList"] == [{"Region": "gz", "Count": 1}]
    client("monitor:UnBindingAllPolicyObject", **policy, GroupId=0)
    assert client("monitor:DescribeBindingPolicyObjectList", **by_number)["Total"] == 0
    refused(client, "FailedOperation", "monitor:DeleteAlarmNotices", **module, NoticeIds=[notice_id])
    client("monitor:ModifyAlarmPolicyNotice", **policy, NoticeIds=[])
    client("monitor:DeleteAlarmPolicy", **module, PolicyIds=[made["PolicyId"]])
    assert client("monitor:DescribeAlarmPolicy", **policy)["Policy"] is None
    client("monitor:DeleteAlarmNotices", **module, NoticeIds=[notice_id])


def dns(client: Client) -> None:
    # A domain cannot be removed, and several clients use this cloud.
    domain = f"{uuid.uuid4().hex}.example.org"
    client("dnspod:CreateDomain", Domain=domain)
    wanted = {"Domain": domain, "RecordType": "A", "RecordLine": "默认", "SubDomain": "www"}
    record_id = client("dnspod:CreateRecord", **wanted, Value="203.0.113.10")["RecordId"]
    record = {"Domain": domain, "RecordId": record_id}
    refused(client, "InvalidParameter.DomainRecordExist", "dnspod:CreateRecord", **wanted, Value="203.0.113.10")
    refused(client, "InvalidParameter.RecordValueInvalid", "dnspod:CreateRecord", **wanted, Value="no address")
    client("dnspod:ModifyRecord", **wanted, RecordId=record_id, Value="203.0.113.11", TTL=900, Status="DISABLE")
    client("dnspod:ModifyRecordRemark", **record, Remark="of a test")

    shown = client("dnspod:DescribeRecord", **record)["RecordInfo"]
    assert (shown["Value"], shown["TTL"], shown["Enabled"], shown["Remark"]) == ("203.0.113.11", 900, 0, "of a test")
    listed = client("dnspod:DescribeRecordList", Domain=domain, Subdomain="www")
    assert listed["RecordCountInfo"]["TotalCount"] == 1

    client("dnspod:DeleteRecord", **record)
    refused(client, "InvalidParameter.RecordIdInvalid", "dnspod:DescribeRecord", **record)
    refused(client, "ResourceNotFound.NoDataOfRecord", "dnspod:DescribeRecordList", Domain=domain)
    refused(client, "InvalidParameterValue.DomainNotExists", "dnspod:DescribeRecordList", Domain="example.net")


def snapshot_policy(client: Client) -> None:
    given = {"DiskType": "CLOUD_PREMIUM", "DiskSize": 50, "Placement": {"Zone": ZONE}}
    (disk_id,) = client("cbs:CreateDisks", **given)["DiskIdSet"]
    policy_id = client(
        "cbs:CreateAutoSnapshotPolicy",
        AutoSnapshotPolicyName="nightly",
        Policy=[{"DayOfWeek": [1, 3], "Hour": [2]}],
    )["AutoSnapshotPolicyId"]
    policy = {"AutoSnapshotPolicyId": policy_id}
    client("cbs:ModifyAutoSnapshotPolicyAttribute", **policy, RetentionDays=14)
    client("cbs:BindAutoSnapshotPolicy", **policy, DiskIds=[disk_id])
    (shown,) = client("cbs:DescribeAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy_id])["AutoSnapshotPolicySet"]
    assert (shown["AutoSnapshotPolicyName"], shown["RetentionDays"], shown["DiskIdSet"]) == ("nightly", 14, [disk_id])
    assert [(each["DayOfWeek"], each["Hour"]) for each in shown["Policy"]] == [([1, 3], [2])]
    assert shown["NextTriggerTime"].endswith(" 02:00:00")
    of_disk = client("cbs:DescribeDiskAssociatedAutoSnapshotPolicy", DiskId=disk_id)["AutoSnapshotPolicySet"]
    assert [each["AutoSnapshotPolicyId"] for each in of_disk] == [policy_id]
    refused(client, "ResourceBusy", "cbs:DeleteAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy_id])
    for _ in range(2):  # a disk without the policy is skipped
        client("cbs:UnbindAutoSnapshotPolicy", **policy, DiskIds=[disk_id])
    client("cbs:DeleteAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy_id])
    refused(client, "InvalidAutoSnapshotPolicyId.NotFound", "cbs:BindAutoSnapshotPolicy", **policy, DiskIds=[disk_id])
    client("cbs:TerminateDisks", DiskIds=[disk_id])
    wait_until(lambda: client("cbs:DescribeDisks", DiskIds=[disk_id])["TotalCount"], 0)


def load_balancer(client: Client) -> None:
    site = Site(client)
    instance_id = site.machine()

    def write(target: str, **parameters: Any) -> dict[str, Any]:
        answer = client(target, **parameters)
        task = answer["RequestId"]
        wait_until(lambda: client("clb:DescribeTaskStatus", TaskId=task)["Status"], 0)
        return answer

    made = write(
        "clb:CreateLoadBalancer",
        LoadBalancerType="INTERNAL",
        LoadBalancerName="in",
        VpcId=site.vpc_id,
        SubnetId=site.subnet_id,
    )
    balancer = {"LoadBalancerId": made["LoadBalancerIds"][0]}
    write("clb:ModifyLoadBalancerAttributes", **balancer, LoadBalancerName="inner")
    write("clb:SetLoadBalancerSecurityGroups", **balancer, SecurityGroups=[site.group_id])
    found = client("clb:DescribeLoadBalancers", LoadBalancerName="inner")["LoadBalancerSet"]
    assert [row["SecureGroups"] for row in found] == [[site.group_id]]
    listener_id = write("clb:CreateListener", **balancer, Ports=[80], Protocol="TCP")["ListenerIds"][0]
    listener = balancer | {"ListenerId": listener_id}
    write("clb:ModifyListener", **listener, ListenerName="web", Scheduler="LEAST_CONN")
    assert client("clb:DescribeListeners", **balancer)["Listeners"][0]["Scheduler"] == "LEAST_CONN"
    refused(client, "InvalidParameter.PortCheckFailed", "clb:CreateListener", **balancer, Ports=[80], Protocol="TCP")
    target = [{"InstanceId": instance_id, "Port": 80, "Weight": 10}]
    write("clb:RegisterTargets", **listener, Targets=target)
    listed = client("clb:DescribeTargets", **balancer, ListenerIds=[listener_id])["Listeners"][0]["Targets"]
    assert [row["InstanceId"] for row in listed] == [instance_id]
    write("clb:DeregisterTargets", **listener, Targets=target)
    write("clb:DeleteListener", **listener)
    write("clb:DeleteLoadBalancer", LoadBalancerIds=[balancer["LoadBalancerId"]])
    refused(client, "InvalidParameter.LBIdNotFound", "clb:DescribeListeners", **balancer)
    site.terminate(instance_id)
    site.close()


def catalog(client: Client) -> None:
    assert client("cvm:DescribeImages", ImageIds=["img-services"])["TotalCount"] == 1
    assert client("vpc:DescribeBandwidthPackages")["BandwidthPackageSet"] == []
    refused(client, "UnsupportedOperation", "vpc:DescribeCcns")


def account(client: Client) -> None:
    """The state of the account, which other life cycles change: only its form and fixed values are compared."""
    assert client("vpc:DescribeNetworkAccountType")["NetworkAccountType"] == "STANDARD"
    quotas = {row["QuotaId"]: row["QuotaLimit"] for row in client("vpc:DescribeAddressQuota")["QuotaSet"]}
    assert quotas == {"TOTAL_EIP_QUOTA": 20, "DAILY_EIP_APPLY": 40}
    limits = client("vpc:DescribeVpcLimits", LimitTypes=["appid-max-vpcs"])["VpcLimitSet"]
    assert limits == [{"LimitType": "appid-max-vpcs", "LimitValue": 20}]
    found = client("cvm:DescribeAccountQuota", Filters=named("zone", ZONE))["AccountQuotaOverview"]
    assert [row["TotalQuota"] for row in found["AccountQuota"]["PostPaidQuotaSet"]] == [30]
    rows = client("cvm:DescribeZoneInstanceConfigInfos", Filters=named("zone", ZONE))["InstanceTypeQuotaSet"]
    assert "S5.MEDIUM2" in {row["InstanceType"] for row in rows}


LIFE_CYCLES: tuple[LifeCycle, ...] = (
    vpc_and_subnet,
    route_table,
    security_group,
    key_pair_and_placement_group,
    instance,
    havip_and_eip,
    nat_gateway,
    disk,
    tags,
    alarms,
    dns,
    snapshot_policy,
    load_balancer,
    catalog,
    account,
)
