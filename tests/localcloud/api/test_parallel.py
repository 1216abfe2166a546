"""20 concurrent clients of the official SDK, compared with a simple model: no update is lost."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from tests.localcloud.api.lab import ZONE, Server

CLIENTS = 20


def _concurrently(work: Callable[[int], Any]) -> list[Any]:
    """Run the same work for each client's number, started together."""
    gate = threading.Barrier(CLIENTS)

    def begin(number: int) -> Any:
        gate.wait(10)
        return work(number)

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(begin, range(CLIENTS)))


def _subnet(server: Server) -> tuple[str, str]:
    vpc_id = server.call("vpc:CreateVpc", {"VpcName": "v", "CidrBlock": "10.0.0.0/16"})["Vpc"]["VpcId"]
    wanted = {"VpcId": vpc_id, "SubnetName": "s", "CidrBlock": "10.0.4.0/24", "Zone": ZONE}
    return vpc_id, server.call("vpc:CreateSubnet", wanted)["Subnet"]["SubnetId"]


def test_tags_set_by_20_clients_on_one_resource_are_all_kept(server: Server) -> None:
    vpc_id, _ = _subnet(server)
    resource = f"qcs::vpc:ap-guangzhou:uin/:vpc/{vpc_id}"

    def tag(number: int) -> None:
        change = {"Resource": resource, "ReplaceTags": [{"TagKey": f"client-{number}", "TagValue": "here"}]}
        server.call("tag:ModifyResourceTags", change)

    _concurrently(tag)
    shown = server.call("vpc:DescribeVpcs", {"VpcIds": [vpc_id]})["VpcSet"][0]["TagSet"]
    assert {row["Key"] for row in shown} == {f"client-{number}" for number in range(CLIENTS)}


def test_one_private_address_is_given_to_one_of_20_clients(server: Server) -> None:
    vpc_id, subnet_id = _subnet(server)
    wanted = {"VpcId": vpc_id, "SubnetId": subnet_id, "HaVipName": "vip", "Vip": "10.0.4.99"}

    def take(number: int) -> str:
        del number
        try:
            return server.call("vpc:CreateHaVip", wanted)["HaVip"]["HaVipId"]
        except TencentCloudSDKException as error:
            return error.get_code() or ""

    outcomes = _concurrently(take)
    assert outcomes.count("ResourceInUse") == CLIENTS - 1


def test_addresses_allocated_by_20_clients_are_distinct(server: Server) -> None:
    ids = _concurrently(lambda _: server.call("vpc:AllocateAddresses", {})["AddressSet"][0])
    found = server.call("vpc:DescribeAddresses", {"Limit": 100})["AddressSet"]
    assert {row["AddressId"] for row in found} == set(ids)
    assert len({row["AddressIp"] for row in found}) == CLIENTS


def test_routes_added_by_20_clients_are_all_kept_with_one_id_each(server: Server) -> None:
    vpc_id = server.call("vpc:CreateVpc", {"VpcName": "v", "CidrBlock": "10.0.0.0/16"})["Vpc"]["VpcId"]
    table = {"RouteTableId": server.call("vpc:DescribeRouteTables", {})["RouteTableSet"][0]["RouteTableId"]}

    def add(number: int) -> None:
        route = {"DestinationCidrBlock": f"100.64.{number}.0/24", "GatewayType": "EIP", "GatewayId": "0"}
        server.call("vpc:CreateRoutes", table | {"Routes": [route]})

    _concurrently(add)
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}]
    routes = server.call("vpc:DescribeRouteTables", {"Filters": filters})["RouteTableSet"][0]["RouteSet"]
    assert {row["DestinationCidrBlock"] for row in routes} == {f"100.64.{number}.0/24" for number in range(CLIENTS)}
    assert len({row["RouteId"] for row in routes}) == CLIENTS


def test_of_20_clients_that_replace_the_policies_with_one_version_one_succeeds(server: Server) -> None:
    group = server.call("vpc:CreateSecurityGroup", {"GroupName": "g", "GroupDescription": ""})["SecurityGroup"]

    def replace(number: int) -> str:
        policy = {"Protocol": "TCP", "Port": str(8000 + number), "CidrBlock": "0.0.0.0/0", "Action": "ACCEPT"}
        policies = {"Ingress": [policy], "Version": "1"}
        wanted = {"SecurityGroupId": group["SecurityGroupId"], "SecurityGroupPolicySet": policies}
        try:
            server.call("vpc:ModifySecurityGroupPolicies", wanted)
        except TencentCloudSDKException as error:
            return str(error.get_code())
        return ""

    outcomes = _concurrently(replace)
    assert sorted(outcomes) == ["", *["UnsupportedOperation.VersionMismatch"] * (CLIENTS - 1)]


class Model:
    """The security groups that one client expects: names by id."""

    def __init__(self, server: Server, number: int) -> None:
        self.server = server
        self.number = number
        self.chance = random.Random(number)
        self.names: dict[str, str] = {}

    def step(self) -> None:
        draw = self.chance.random()
        if draw < 0.4 and len(self.names) < 2:
            name = f"client-{self.number}-{self.chance.randrange(10**6)}"
            made = self.server.call("vpc:CreateSecurityGroup", {"GroupName": name, "GroupDescription": ""})
            self.names[made["SecurityGroup"]["SecurityGroupId"]] = name
        elif draw < 0.6 and self.names:
            group_id = self.chance.choice(sorted(self.names))
            self.names[group_id] = name = f"client-{self.number}-{self.chance.randrange(10**6)}"
            change = {"SecurityGroupId": group_id, "GroupName": name}
            self.server.call("vpc:ModifySecurityGroupAttribute", change)
        elif draw < 0.75 and self.names:
            group_id = self.chance.choice(sorted(self.names))
            self.server.call("vpc:DeleteSecurityGroup", {"SecurityGroupId": group_id})
            del self.names[group_id]
        else:
            self.check()

    def check(self) -> None:
        filters = [{"Name": "security-group-id", "Values": sorted(self.names) or ["sg-00000000"]}]
        found = self.server.call("vpc:DescribeSecurityGroups", {"Filters": filters})["SecurityGroupSet"]
        assert {row["SecurityGroupId"]: row["SecurityGroupName"] for row in found} == self.names


def test_20_clients_each_see_exactly_their_own_changes(server: Server) -> None:
    def live(number: int) -> dict[str, str]:
        model = Model(server, number)
        for _ in range(25):
            model.step()
        model.check()
        return model.names

    expected = {at: name for names in _concurrently(live) for at, name in names.items()}
    found = server.call("vpc:DescribeSecurityGroups", {"Limit": "100"})["SecurityGroupSet"]
    assert {row["SecurityGroupId"]: row["SecurityGroupName"] for row in found} == expected
