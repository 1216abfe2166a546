"""Black and white lists (service antiddos)."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import cast

from localcloud.rules import ddos_list
from localcloud.rules.ddos_list import ListType
from localcloud.rules.refusal import InvalidParameterValue
from localcloud.services.actions import Answer, Call, action
from localcloud.services.parameters import CidrMalformed, Parameters


def _type(given: Parameters, name: str) -> ListType:
    kind = given.text(name)
    if kind in {"black", "white"}:
        return cast("ListType", kind)
    raise InvalidParameterValue(name=name, value=kind, wanted="black or white")


def _network(given: Parameters) -> IPv4Network:
    text = f"{given.text('Ip')}/{given.integer('Mask') or 32}"
    try:
        return IPv4Network(text)
    except ValueError:
        raise CidrMalformed(name="Ip, Mask", value=text) from None


def _show(networks: tuple[IPv4Network, ...]) -> list[Answer]:
    return [{"Ip": str(one.network_address), "Mask": one.prefixlen} for one in networks]


@action("antiddos", "CreateDDoSBlackWhiteIpList", ddos_list.AlreadyListed, ddos_list.ListFull)
def create_ddos_black_white_ip_list(call: Call) -> Answer:
    """Put ranges into a list."""
    given = call.parameters
    instance_id, kind = given.text("InstanceId"), _type(given, "Type")
    networks = tuple(_network(entry) for entry in given.required_each("IpList"))
    ddos_list.add(call.tx, instance_id, kind, networks)
    return {}


@action("antiddos", "DescribeDDoSBlackWhiteIpList")
def describe_ddos_black_white_ip_list(call: Call) -> Answer:
    """Show both lists of an instance."""
    lists = ddos_list.of(call.tx, call.parameters.text("InstanceId"))
    return {"BlackIpList": _show(lists.black), "WhiteIpList": _show(lists.white)}


@action(
    "antiddos",
    "ModifyDDoSBlackWhiteIpList",
    ddos_list.NotListed,
    ddos_list.AlreadyListed,
    ddos_list.ListFull,
)
def modify_ddos_black_white_ip_list(call: Call) -> Answer:
    """Replace one range by another, perhaps in the other list."""
    given = call.parameters
    instance_id = given.text("InstanceId")
    old, new = given.required_inside("OldIp"), given.required_inside("NewIp")
    ddos_list.remove(call.tx, instance_id, _type(given, "OldIpType"), (_network(old),))
    ddos_list.add(call.tx, instance_id, _type(given, "NewIpType"), (_network(new),))
    return {}


@action("antiddos", "DeleteDDoSBlackWhiteIpList", ddos_list.NotListed)
def delete_ddos_black_white_ip_list(call: Call) -> Answer:
    """Take ranges out of a list."""
    given = call.parameters
    instance_id, kind = given.text("InstanceId"), _type(given, "Type")
    networks = tuple(_network(entry) for entry in given.required_each("IpList"))
    ddos_list.remove(call.tx, instance_id, kind, networks)
    return {}
