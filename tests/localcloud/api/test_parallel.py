"""20 clients at once, by the official SDK, against what a simple model expects: no update is lost."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from tests.localcloud.api.lab import ZONE, Server

CLIENTS = 20


def _all_at_once(work: Callable[[int], Any]) -> list[Any]:
    """The same work for each client's number, begun together."""
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


def test_tags_that_20_clients_set_on_one_resource_are_all_there(server: Server) -> None:
    vpc_id, _ = _subnet(server)
    resource = f"qcs::vpc:ap-guangzhou:uin/:vpc/{vpc_id}"

    def tag(number: int) -> None:
        change = {"Resource": resource, "ReplaceTags": [{"TagKey": f"client-{number}", "TagValue": "here"}]}
        server.call("tag:ModifyResourceTags", change)

    _all_at_once(tag)
    shown = server.call("vpc:DescribeVpcs", {"VpcIds": [vpc_id]})["VpcSet"][0]["TagSet"]
    assert {row["Key"] for row in shown} == {f"client-{number}" for number in range(CLIENTS)}


def test_20_clients_that_want_one_private_address_get_it_once(server: Server) -> None:
    vpc_id, subnet_id = _subnet(server)
    wanted = {"VpcId": vpc_id, "SubnetId": subnet_id, "HaVipName": "vip", "Vip": "10.0.4.99"}

    def take(number: int) -> str:
        del number
        try:
            return server.call("vpc:CreateHaVip", wanted)["HaVip"]["HaVipId"]
        except TencentCloudSDKException as error:
            return error.get_code() or ""

    outcomes = _all_at_once(take)
    assert outcomes.count("ResourceInUse") == CLIENTS - 1


def test_addresses_that_20_clients_allocate_all_differ(server: Server) -> None:
    ids = _all_at_once(lambda _: server.call("vpc:AllocateAddresses", {})["AddressSet"][0])
    found = server.call("vpc:DescribeAddresses", {"Limit": 100})["AddressSet"]
    assert {row["AddressId"] for row in found} == set(ids)
    assert len({row["AddressIp"] for row in found}) == CLIENTS


def test_policies_that_20_clients_insert_are_all_there_and_each_made_a_version(server: Server) -> None:
    group = server.call("vpc:CreateSecurityGroup", {"GroupName": "g", "GroupDescription": ""})["SecurityGroup"]

    def insert(number: int) -> None:
        policy = {"Protocol": "TCP", "Port": str(8000 + number), "CidrBlock": "0.0.0.0/0", "Action": "ACCEPT"}
        wanted = {"SecurityGroupId": group["SecurityGroupId"], "SecurityGroupPolicySet": {"Ingress": [policy]}}
        server.call("vpc:CreateSecurityGroupPolicies", wanted)

    _all_at_once(insert)
    shown = server.call("vpc:DescribeSecurityGroupPolicies", {"SecurityGroupId": group["SecurityGroupId"]})
    policies = shown["SecurityGroupPolicySet"]
    assert {row["Port"] for row in policies["Ingress"]} == {str(8000 + number) for number in range(CLIENTS)}
    assert policies["Version"] == str(CLIENTS)


class Model:
    """What one client believes of its own security groups: names by id."""

    def __init__(self, server: Server, number: int) -> None:
        self.server = server
        self.number = number
        self.chance = random.Random(number)
        self.names: dict[str, str] = {}

    def step(self) -> None:
        wish = self.chance.random()
        if wish < 0.4 and len(self.names) < 2:
            name = f"client-{self.number}-{self.chance.randrange(10**6)}"
            made = self.server.call("vpc:CreateSecurityGroup", {"GroupName": name, "GroupDescription": ""})
            self.names[made["SecurityGroup"]["SecurityGroupId"]] = name
        elif wish < 0.6 and self.names:
            group_id = self.chance.choice(sorted(self.names))
            self.names[group_id] = name = f"client-{self.number}-{self.chance.randrange(10**6)}"
            change = {"SecurityGroupId": group_id, "GroupName": name}
            self.server.call("vpc:ModifySecurityGroupAttribute", change)
        elif wish < 0.75 and self.names:
            group_id = self.chance.choice(sorted(self.names))
            self.server.call("vpc:DeleteSecurityGroup", {"SecurityGroupId": group_id})
            del self.names[group_id]
        else:
            self.check()

    def check(self) -> None:
        ids = sorted(self.names) or ["sg-00000000"]
        found = self.server.call("vpc:DescribeSecurityGroups", {"SecurityGroupIds": ids})["SecurityGroupSet"]
        assert {row["SecurityGroupId"]: row["SecurityGroupName"] for row in found} == self.names


def test_20_clients_each_see_exactly_what_they_did(server: Server) -> None:
    def live(number: int) -> dict[str, str]:
        model = Model(server, number)
        for _ in range(25):
            model.step()
        model.check()
        return model.names

    expected = {at: name for names in _all_at_once(live) for at, name in names.items()}
    found = server.call("vpc:DescribeSecurityGroups", {"Limit": "100"})["SecurityGroupSet"]
    assert {row["SecurityGroupId"]: row["SecurityGroupName"] for row in found} == expected
