"""Requests that violate the rules of networks."""

from __future__ import annotations

from typing import Any

from localcloud.rules import (
    address,
    assistant_cidr,
    havip,
    key_pair,
    ports,
    refusal,
    route,
    route_table,
    security_group,
    subnet,
    tag,
    vpc,
)
from localcloud.services import listing, parameters
from localcloud.services import route as routes
from localcloud.services import security_group_policy as groups
from localcloud.services import vpc as vpcs
from tests.localcloud.api.lab import ZONE
from tests.localcloud.api.place import Place
from tests.localcloud.api.refused import (
    Request,
    Row,
    associate,
    main_table,
    other_subnet,
    other_vpc,
    policies,
    row,
)


def _subnet(place: Place, cidr: str, zone: str = ZONE) -> Request:
    return "vpc:CreateSubnet", {"VpcId": place.vpc_id, "SubnetName": "s", "CidrBlock": cidr, "Zone": zone}


def _full_vpcs(place: Place) -> Request:
    for _ in range(vpc.QUOTA - 1):
        place.call("vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.0/16")
    return "vpc:CreateVpc", {"VpcName": "v", "CidrBlock": "10.0.0.0/16"}


def _assistant_in_use(place: Place) -> Request:
    place.call("vpc:CreateAssistantCidr", VpcId=place.vpc_id, CidrBlocks=["192.168.0.0/16"])
    other_subnet(place, cidr="192.168.1.0/24")
    return "vpc:ModifyAssistantCidr", {"VpcId": place.vpc_id, "OldCidrBlocks": ["192.168.0.0/16"]}


def _full_subnets(place: Place) -> Request:
    for number in range(subnet.QUOTA - 1):
        other_subnet(place, cidr=f"10.0.{100 + number}.0/28")
    return _subnet(place, "10.0.250.0/28")


def _small_subnet_full(place: Place) -> Request:
    small = Place(place.call, place.vpc_id, other_subnet(place, cidr="10.0.9.0/28"), place.group_id)
    for _ in range(13):
        small.begin_machine()
    return "vpc:CreateHaVip", {"VpcId": place.vpc_id, "SubnetId": small.subnet_id, "HaVipName": "vip"}


def _table_of_other_vpc(place: Place) -> Request:
    vpc_id, _ = other_vpc(place)
    made = place.call("vpc:CreateRouteTable", VpcId=vpc_id, RouteTableName="t")["RouteTable"]["RouteTableId"]
    return "vpc:ReplaceRouteTableAssociation", {"SubnetId": place.subnet_id, "RouteTableId": made}


def _full_tables(place: Place) -> Request:
    for _ in range(route_table.QUOTA - 1):
        place.call("vpc:CreateRouteTable", VpcId=place.vpc_id, RouteTableName="t")
    return "vpc:CreateRouteTable", {"VpcId": place.vpc_id, "RouteTableName": "t"}


def _associated_table(place: Place) -> Request:
    made = place.call("vpc:CreateRouteTable", VpcId=place.vpc_id, RouteTableName="t")["RouteTable"]["RouteTableId"]
    place.call("vpc:ReplaceRouteTableAssociation", SubnetId=place.subnet_id, RouteTableId=made)
    return "vpc:DeleteRouteTable", {"RouteTableId": made}


def _route(place: Place, destination: str, kind: str = "EIP", hop: str = "0") -> Request:
    entry = {"DestinationCidrBlock": destination, "GatewayType": kind, "GatewayId": hop}
    return "vpc:CreateRoutes", {"RouteTableId": main_table(place), "Routes": [entry]}


def _same_route_again(place: Place) -> Request:
    target, parameters = _route(place, "8.8.8.0/24")
    place.call(target, **parameters)
    return target, parameters


def _route_by_destination(place: Place) -> Request:
    target, parameters = _route(place, "8.8.8.0/24")
    place.call(target, **parameters)
    return "vpc:DeleteRoutes", parameters


def _full_routes(place: Place) -> Request:
    for number in range(route.QUOTA):
        target, parameters = _route(place, f"100.64.{number}.0/24")
        place.call(target, **parameters)
    return _route(place, "100.65.0.0/24")


def _replace(place: Place, policy_set: dict[str, Any]) -> Request:
    return "vpc:ModifySecurityGroupPolicies", {
        "SecurityGroupId": place.group_id,
        "SecurityGroupPolicySet": policy_set,
    }


def _delete_policy(place: Place, policy_set: dict[str, Any]) -> Request:
    return "vpc:DeleteSecurityGroupPolicies", {"SecurityGroupId": place.group_id, "SecurityGroupPolicySet": policy_set}


def _full_groups(place: Place) -> Request:
    for _ in range(security_group.QUOTA - 1):
        place.call("vpc:CreateSecurityGroup", GroupName="g", GroupDescription="")
    return "vpc:CreateSecurityGroup", {"GroupName": "g", "GroupDescription": ""}


def _group_in_use(place: Place) -> Request:
    place.machine()
    return "vpc:DeleteSecurityGroup", {"SecurityGroupId": place.group_id}


def _too_many_policies(place: Place) -> Request:
    entries = [_ANY | {"Port": str(number)} for number in range(1, 101)]
    target, parameters = _replace(place, policies(*entries))
    place.call(target, **parameters)
    return _replace(place, policies(*entries, _ANY | {"Port": "200"}))


def _group_of_other_project(place: Place) -> Request:
    made = place.call("vpc:CreateSecurityGroup", GroupName="g", GroupDescription="", ProjectId="1")["SecurityGroup"]
    return _replace(place, policies({"Protocol": "ALL", "Port": "ALL", "SecurityGroupId": made["SecurityGroupId"]}))


def _eleventh_group_referred_to(place: Place) -> Request:
    made = [
        place.call("vpc:CreateSecurityGroup", GroupName="g", GroupDescription="")["SecurityGroup"]["SecurityGroupId"]
        for _ in range(security_group.REFERRED_GROUPS + 1)
    ]
    return _replace(place, policies(*({"Protocol": "TCP", "Port": "80", "SecurityGroupId": at} for at in made)))


def _havip_at(place: Place, address: str) -> Request:
    return "vpc:CreateHaVip", {
        "VpcId": place.vpc_id,
        "SubnetId": place.subnet_id,
        "HaVipName": "vip",
        "Vip": address,
    }


def _address_of_an_instance(place: Place) -> Request:
    place.machine(address="10.0.4.20")
    return _havip_at(place, "10.0.4.20")


def _tag(value: str) -> dict[str, str]:
    return {"Key": "env", "Value": value}


def _full_havips(place: Place) -> Request:
    for _ in range(havip.MAX_PER_VPC):
        place.havip()
    return _havip_at(place, "10.0.4.200")


def _bound_havip(place: Place) -> Request:
    havip_id, (_, ip) = place.havip(), place.eip()
    place.call("vpc:HaVipAssociateAddressIp", HaVipId=havip_id, AddressIp=ip)
    return "vpc:DeleteHaVip", {"HaVipId": havip_id}


def _association(havip_id: str, target: str, kind: str = "CVM") -> Request:
    entry = {"HaVipId": havip_id, "InstanceId": target, "InstanceType": kind}
    return "vpc:AssociateHaVipInstance", {"HaVipAssociationSet": [entry]}


def _associated_twice(place: Place) -> Request:
    havip_id, instance_id = place.havip(), place.machine()
    associate(place, havip_id, instance_id)
    return _association(havip_id, instance_id)


def _sixth_havip(place: Place) -> Request:
    instance_id = place.machine()
    for _ in range(havip.MAX_PER_INTERFACE):
        associate(place, place.havip(), instance_id)
    return _association(place.havip(), instance_id)


def _eleventh_instance(place: Place) -> Request:
    havip_id = place.havip()
    for _ in range(havip.MAX_ASSOCIATIONS):
        associate(place, havip_id, place.begin_machine())
    return _association(havip_id, place.begin_machine())


def _instance_in_other_subnet(place: Place) -> Request:
    other_place = Place(place.call, place.vpc_id, other_subnet(place), place.group_id)
    return _association(place.havip(), other_place.machine())


_ANY = {"Protocol": "TCP", "Port": "80", "CidrBlock": "0.0.0.0/0"}

ROWS = [
    row(vpc.VpcNotFound, "vpc:DeleteVpc", VpcId="vpc-00000000"),
    row(vpc.VpcCidrNotPrivate, "vpc:CreateVpc", VpcName="v", CidrBlock="8.8.0.0/16"),
    row(vpc.TooManyDnsServers, "vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.0/16", DnsServers=["1.1.1.1"] * 5),
    row(refusal.ParameterTooLong, "vpc:CreateVpc", VpcName="网" * 21, CidrBlock="10.0.0.0/16"),
    row(tag.TagDuplicate, "vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.0/16", Tags=[_tag("x"), _tag("y")]),
    Row(
        refusal.TooManyValues,
        lambda p: ("vpc:DescribeUsedIpAddress", {"VpcId": p.vpc_id, "IpAddresses": ["10.0.4.9"] * 101}),
    ),
    Row(
        parameters.AddressMalformed,
        lambda p: ("vpc:DescribeUsedIpAddress", {"VpcId": p.vpc_id, "IpAddresses": ["10.0.4"]}),
    ),
    Row(vpc.VpcQuota, _full_vpcs),
    Row(vpc.VpcInUse, lambda p: ("vpc:DeleteVpc", {"VpcId": p.vpc_id})),
    Row(
        assistant_cidr.AssistantCidrOverlaps,
        lambda p: ("vpc:CreateAssistantCidr", {"VpcId": p.vpc_id, "CidrBlocks": ["10.0.0.0/12"]}),
    ),
    Row(assistant_cidr.AssistantCidrInUse, _assistant_in_use),
    Row(
        assistant_cidr.AssistantCidrQuota,
        lambda p: (
            "vpc:CreateAssistantCidr",
            {"VpcId": p.vpc_id, "CidrBlocks": [f"192.168.{number}.0/24" for number in range(6)]},
        ),
    ),
    Row(vpcs.NoCidrBlocks, lambda p: ("vpc:ModifyAssistantCidr", {"VpcId": p.vpc_id})),
    row(subnet.SubnetNotFound, "vpc:DeleteSubnet", SubnetId="subnet-00000000"),
    Row(subnet.SubnetRange, lambda p: _subnet(p, "10.0.8.0/29")),
    Row(subnet.SubnetOutsideVpc, lambda p: _subnet(p, "10.1.0.0/24")),
    Row(subnet.SubnetConflict, lambda p: _subnet(p, "10.0.4.128/25")),
    Row(subnet.ZoneUnknown, lambda p: _subnet(p, "10.0.8.0/24", "ap-shanghai-2")),
    Row(subnet.SubnetQuota, _full_subnets),
    Row(subnet.SubnetFull, _small_subnet_full),
    Row(
        subnet.SubnetOfOtherVpc,
        lambda p: ("vpc:CreateHaVip", {"VpcId": other_vpc(p)[0], "SubnetId": p.subnet_id, "HaVipName": "vip"}),
    ),
    Row(subnet.SubnetInUse, lambda p: (p.havip(), ("vpc:DeleteSubnet", {"SubnetId": p.subnet_id}))[1]),
    Row(subnet.RouteTableOfOtherVpc, _table_of_other_vpc),
    Row(subnet.AddressOutsideSubnet, lambda p: _havip_at(p, "10.0.5.99")),
    Row(subnet.AddressTaken, _address_of_an_instance),
    row(route_table.RouteTableNotFound, "vpc:DeleteRouteTable", RouteTableId="rtb-00000000"),
    Row(route_table.RouteTableQuota, _full_tables),
    Row(route_table.MainRouteTableNotDeletable, lambda p: ("vpc:DeleteRouteTable", {"RouteTableId": main_table(p)})),
    Row(route_table.RouteTableHasSubnets, _associated_table),
    Row(
        route.RouteNotFound,
        lambda p: ("vpc:DeleteRoutes", {"RouteTableId": main_table(p), "Routes": [{"RouteId": 7}]}),
    ),
    Row(routes.RouteNotIdentified, lambda p: ("vpc:DeleteRoutes", {"RouteTableId": main_table(p), "Routes": [{}]})),
    Row(routes.RouteNotIdentified, _route_by_destination),
    Row(
        routes.RouteIdsAndItemIds,
        lambda p: (
            "vpc:EnableRoutes",
            {"RouteTableId": main_table(p), "RouteIds": [7], "RouteItemIds": ["rti-00000000"]},
        ),
    ),
    Row(route.NextHopInvalid, lambda p: _route(p, "8.8.8.0/24", "NAT", "nat-00000000")),
    Row(route.NextHopInvalid, lambda p: _route(p, "8.8.8.0/24", "NORMAL_CVM", p.machine())),
    Row(route.NextHopInvalid, lambda p: _route(p, "8.8.8.0/24", "EIP", p.eip()[0])),
    Row(route.NextHopTypeUnsupported, lambda p: _route(p, "8.8.8.0/24", "VPN", "vpngw-00000000")),
    Row(route.NextHopTypeUnsupported, lambda p: _route(p, "8.8.8.0/24", "CVM", p.machine())),
    Row(route.DestinationInVpc, lambda p: _route(p, "10.0.9.0/24")),
    Row(route.DestinationTaken, _same_route_again),
    Row(route.RouteQuota, _full_routes),
    row(security_group.SecurityGroupNotFound, "vpc:DeleteSecurityGroup", SecurityGroupId="sg-00000000"),
    Row(security_group.SecurityGroupQuota, _full_groups),
    Row(security_group.SecurityGroupInUse, _group_in_use),
    Row(security_group.PolicyQuota, _too_many_policies),
    Row(security_group.VersionMismatch, lambda p: _replace(p, policies(_ANY) | {"Version": "7"})),
    Row(security_group.VersionStale, lambda p: _delete_policy(p, policies({"PolicyIndex": 0}) | {"Version": "7"})),
    Row(security_group.DuplicatePolicy, lambda p: _replace(p, policies(_ANY, _ANY))),
    Row(security_group.PolicyNotFound, lambda p: _delete_policy(p, policies({"PolicyIndex": 3}))),
    Row(
        security_group.OneDirectionOnly,
        lambda p: _delete_policy(p, policies(_ANY) | policies(_ANY, direction="Egress")),
    ),
    Row(ports.PortMalformed, lambda p: _replace(p, policies(_ANY | {"Port": "80-"}))),
    Row(groups.PortWithoutProtocol, lambda p: _replace(p, policies(_ANY | {"Protocol": "ICMP"}))),
    Row(refusal.ParameterTooLong, lambda p: _replace(p, policies(_ANY | {"PolicyDescription": "x" * 101}))),
    Row(
        groups.Ipv6NeedsIcmpV6,
        lambda p: _replace(p, policies({"Protocol": "ICMP", "Ipv6CidrBlock": "::/0"})),
    ),
    Row(groups.IndexNotPermitted, lambda p: _replace(p, policies(_ANY | {"PolicyIndex": 0}))),
    Row(groups.PolicyMatchMixed, lambda p: _delete_policy(p, policies({"PolicyIndex": 0}, _ANY))),
    Row(groups.PolicyMatchMixed, lambda p: _delete_policy(p, policies({"CidrBlock": "0.0.0.0/0"}))),
    Row(refusal.InvalidParameterValue, _group_of_other_project),
    Row(security_group.ReferredGroupsQuota, _eleventh_group_referred_to),
    Row(groups.OnePeer, lambda p: _replace(p, policies(_ANY | {"SecurityGroupId": p.group_id}))),
    row(havip.HaVipNotFound, "vpc:DeleteHaVip", HaVipId="havip-00000000"),
    Row(havip.HaVipQuota, _full_havips),
    Row(havip.HaVipInUse, _bound_havip),
    Row(havip.AssociationExists, _associated_twice),
    Row(
        havip.AssociationNotFound,
        lambda p: (
            "vpc:DisassociateHaVipInstance",
            {"HaVipAssociationSet": [{"HaVipId": p.havip(), "InstanceId": p.machine()}]},
        ),
    ),
    Row(havip.AssociationQuota, _eleventh_instance),
    Row(havip.TooManyHaVips, _sixth_havip),
    Row(havip.TargetNotFound, lambda p: _association(p.havip(), "ins-00000000")),
    Row(havip.TargetNotFound, lambda p: _association(p.havip(), "eni-00000000", "ENI")),
    Row(havip.TargetInOtherSubnet, _instance_in_other_subnet),
    Row(havip.TargetKindUnknown, lambda p: _association(p.havip(), "lb-00000000", "CLB")),
    row(vpc.VpcNotFound, "vpc:DescribeVpcs", VpcIds=["vpc-00000000"]),
    row(subnet.SubnetNotFound, "vpc:DescribeSubnets", SubnetIds=["subnet-00000000"]),
    row(route_table.RouteTableNotFound, "vpc:DescribeRouteTables", RouteTableIds=["rtb-00000000"]),
    row(security_group.SecurityGroupNotFound, "vpc:DescribeSecurityGroups", SecurityGroupIds=["sg-00000000"]),
    row(refusal.IdMalformed, "vpc:DescribeVpcs", VpcIds=["vpc-1"]),
    row(refusal.IdMalformed, "vpc:DescribeHaVips", HaVipIds=["vip-00000000"]),
    row(refusal.IdMalformed, "vpc:DescribeNatGateways", NatGatewayIds=["nat-"]),
    row(address.AddressIdMalformed, "vpc:DescribeAddresses", AddressIds=["eip-1"]),
    row(key_pair.KeyPairIdMalformed, "cvm:DescribeKeyPairs", KeyIds=["key-00000000"]),
    row(refusal.MissingParameter, "vpc:DescribeVpcs", Filters=[{"Name": "vpc-id"}]),
    row(refusal.MissingParameter, "cvm:DescribeInstances", Filters=[{"Name": "zone", "Values": []}]),
    row(listing.UnknownFilter, "vpc:DescribeVpcs", Filters=[{"Name": "colour", "Values": ["blue"]}]),
    row(listing.UnknownInstanceFilter, "cvm:DescribeInstances", Filters=[{"Name": "colour", "Values": ["blue"]}]),
    row(
        listing.IdsAndFilters,
        "vpc:DescribeVpcs",
        VpcIds=["vpc-00000000"],
        Filters=[{"Name": "vpc-id", "Values": ["vpc-00000000"]}],
    ),
    row(
        listing.InstanceIdsAndFilters,
        "cvm:DescribeInstances",
        InstanceIds=["ins-00000000"],
        Filters=[{"Name": "zone", "Values": [ZONE]}],
    ),
    row(listing.TooManyFilterValues, "cvm:DescribeInstances", Filters=[{"Name": "zone", "Values": ["x"]}] * 11),
]
