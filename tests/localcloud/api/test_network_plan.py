"""The network plan of the records, which the infrastructure applies."""

from __future__ import annotations

import time
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from localcloud.errors import NetworkError
from localcloud.infrastructure import NetworkPlan, NoInfrastructure
from localcloud.reconcile.network_worker import NetworkWorker
from tests.localcloud.api.lab import Direct, running_cloud
from tests.localcloud.api.place import Place
from tests.localcloud.api.refused import associate, eni_of, gateway, main_table


def _plan(place: Place) -> NetworkPlan:
    place.call.settle()
    return place.call.cloud.network_plan()


def _rules(place: Place, *ingress: dict[str, Any]) -> None:
    place.call(
        "vpc:ModifySecurityGroupPolicies",
        SecurityGroupId=place.group_id,
        SecurityGroupPolicySet={"Ingress": [{"Action": "ACCEPT", **rule} for rule in ingress]},
    )


def test_an_instance_is_an_interface_of_its_subnet(place: Place) -> None:
    instance_id = place.machine(address="10.0.4.20")
    (subnet,) = _plan(place).vpcs[0].subnets
    assert (subnet.cidr, subnet.gateway) == (IPv4Network("10.0.4.0/24"), IPv4Address("10.0.4.1"))
    (interface,) = subnet.interfaces
    assert (interface.instance_id, interface.address) == (instance_id, IPv4Address("10.0.4.20"))
    assert interface.group_ids == (place.group_id,)
    assert interface.mac.startswith("52:54:00:")


def test_rules_are_in_order_with_ports_and_peers_resolved(place: Place) -> None:
    place.machine(address="10.0.4.20")
    _rules(
        place,
        {"Protocol": "TCP", "Port": "80,8000-8010", "CidrBlock": "198.51.100.0/24"},
        {"Protocol": "ALL", "SecurityGroupId": place.group_id},
        {"Protocol": "ICMP", "CidrBlock": "0.0.0.0/0", "Action": "DROP"},
    )
    first, second, third = _plan(place).groups[0].ingress
    assert (first.verdict, first.protocol, first.ports) == ("ACCEPT", "TCP", ((80, 80), (8000, 8010)))
    assert first.peers == (IPv4Network("198.51.100.0/24"),)
    assert (second.ports, second.peers) == ((), (IPv4Network("10.0.4.20/32"),))
    assert (third.verdict, third.protocol) == ("DROP", "ICMP")


def test_a_peer_group_includes_the_havip_that_a_member_may_hold(place: Place) -> None:
    instance_id = place.machine(address="10.0.4.20")
    associate(place, place.havip(Vip="10.0.4.99", CheckAssociate=True), instance_id)
    _rules(place, {"Protocol": "ALL", "SecurityGroupId": place.group_id})
    (rule,) = _plan(place).groups[0].ingress
    assert rule.peers == (IPv4Network("10.0.4.20/32"), IPv4Network("10.0.4.99/32"))


def test_a_havip_can_be_announced_by_attached_instances_or_without_the_check_by_all(place: Place) -> None:
    first, second = place.machine(), place.machine()
    checked, free = place.havip(Vip="10.0.4.98", CheckAssociate=True), place.havip(Vip="10.0.4.99")
    associate(place, checked, first)
    may = {one.havip_id: set(one.announcers) for one in _plan(place).vpcs[0].subnets[0].virtual_addresses}
    assert may == {checked: {eni_of(place, first)}, free: {eni_of(place, first), eni_of(place, second)}}


def test_public_addresses_map_to_private_ones(place: Place) -> None:
    internet = {"InternetMaxBandwidthOut": 5, "PublicIpAssigned": True}
    born = place.machine(address="10.0.4.20", InternetAccessible=internet)
    havip_id, (address_id, ip) = place.havip(Vip="10.0.4.99"), place.eip()
    place.call("vpc:HaVipAssociateAddressIp", HaVipId=havip_id, AddressIp=ip)
    leads = {one.address_id: (str(one.private), one.bandwidth_mbps) for one in _plan(place).vpcs[0].public_addresses}
    assert leads == {born: ("10.0.4.20", 5), address_id: ("10.0.4.99", 10)}


def test_a_default_route_through_a_nat_gateway_gives_the_subnet_its_address(place: Place) -> None:
    gateway_id, ip = gateway(place)
    table_id = main_table(place)
    entry = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayType": "NAT", "GatewayId": gateway_id}
    made = place.call("vpc:CreateRoutes", RouteTableId=table_id, Routes=[entry])
    assert str(_plan(place).vpcs[0].subnets[0].nat_public_address) == ip
    route_id = made["RouteTableSet"][0]["RouteSet"][0]["RouteId"]
    place.call("vpc:DisableRoutes", RouteTableId=table_id, RouteIds=[route_id])
    assert _plan(place).vpcs[0].subnets[0].nat_public_address is None
    place.call("vpc:EnableRoutes", RouteTableId=table_id, RouteIds=[route_id])
    place.call("vpc:DeleteNatGateway", NatGatewayId=gateway_id)
    assert _plan(place).vpcs[0].subnets[0].nat_public_address is None
    assert place.call("vpc:DescribeRouteTables")["RouteTableSet"][0]["RouteSet"] == []


class RecordingInfrastructure(NoInfrastructure):
    """An infrastructure that records the plans that it receives."""

    def __init__(self) -> None:
        super().__init__()
        self.plans: list[NetworkPlan] = []
        self.broken = False

    def apply_network(self, plan: NetworkPlan) -> None:
        if self.broken:
            raise RuntimeError("the bridge is gone")
        self.plans.append(plan)


def test_the_infrastructure_gets_a_plan_only_after_a_change_of_the_plan() -> None:
    infrastructure = RecordingInfrastructure()
    with running_cloud(infrastructure=infrastructure) as cloud:
        call = Direct(cloud)
        place = Place.build(call)
        call.settle()
        count = len(infrastructure.plans)
        call("vpc:ModifyVpcAttribute", VpcId=place.vpc_id, VpcName="renamed")
        call("vpc:DescribeVpcs")
        call.settle()
        assert len(infrastructure.plans) == count
        place.machine()
        assert infrastructure.plans[-1] == cloud.network_plan()
        assert len(infrastructure.plans) > count


def test_a_failed_plan_is_retried_and_the_status_shows_the_error() -> None:
    infrastructure = RecordingInfrastructure()
    with running_cloud(infrastructure=infrastructure) as cloud:
        call = Direct(cloud)
        call.settle()
        infrastructure.broken = True
        Place.build(call)
        deadline = time.monotonic() + 10
        while not cloud.status()["network"]["error"]:
            assert time.monotonic() < deadline, cloud.status()
            time.sleep(0.01)
        assert "the bridge is gone" in cloud.status()["network"]["error"]
        infrastructure.broken = False
        call.settle()
        assert cloud.status()["network"]["error"] == ""
        assert infrastructure.plans[-1] == cloud.network_plan()


def test_an_instance_fails_to_launch_with_the_reason_if_the_network_cannot_be_applied() -> None:
    infrastructure = RecordingInfrastructure()
    infrastructure.broken = True
    worker = NetworkWorker(NetworkPlan, infrastructure, patience_s=0.2)
    worker.start()
    worker.request()
    began = time.monotonic()
    with pytest.raises(NetworkError, match=r"could not be applied for \d s: RuntimeError: the bridge is gone"):
        worker.wait_until_applied()
    assert time.monotonic() - began < 3
    infrastructure.broken = False
    while worker.status()["changes_behind"]:
        assert time.monotonic() < began + 10
        time.sleep(0.01)
    worker.wait_until_applied()
    assert infrastructure.plans == [NetworkPlan()]
    worker.stop()
