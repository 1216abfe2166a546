"""Elastic network interfaces (ENI)."""

from __future__ import annotations

from localcloud.rules import (
    address,
    address_binding,
    instance,
    interface,
    interface_addresses,
    interface_attachment,
    security_group,
    subnet,
    task,
    vpc,
)
from localcloud.rules.interface import Interface, PrivateAddress
from localcloud.rules.records import beijing_time
from localcloud.rules.refusal import Refusal, assumed, documented
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import chosen, flag, page
from localcloud.services.sts import ACCOUNT

_ADDRESSES = (
    subnet.AddressOutsideSubnet,
    subnet.AddressTaken,
    subnet.SubnetFull,
    interface_addresses.TooManyAddresses,
)


class AddressesOrCount(Refusal):
    """Secondary addresses must be given as a list or as a count."""

    code = "MissingParameter"
    template = "The request must have the parameter `PrivateIpAddresses` or `SecondaryPrivateIpAddressCount`."
    source = documented("AssignPrivateIpAddresses: one of both; MissingParameter", page="215/15813")


class InterfaceHasAddress(Refusal):
    """An interface cannot be deleted while it has an EIP."""

    code = "UnsupportedOperation.InvalidState"
    template = "The network interface `{interface_id}` cannot be deleted while it has the address `{user}`."
    source = assumed("the page of DeleteNetworkInterface (215/15822) does not mention EIPs")


def _show_address(call: Call, eni: Interface, entry: PrivateAddress) -> Answer:
    bound = [
        one
        for one in call.tx.all(address.Address)
        if one.interface_id == eni.id and one.private_address == entry.address
    ]
    return {
        "PrivateIpAddress": str(entry.address),
        "Primary": entry.primary,
        "PublicIpAddress": str(bound[0].ip) if bound else "",
        "AddressId": bound[0].id if bound else "",
        "Description": entry.description,
        "State": "AVAILABLE",
    }


def _begin_task(call: Call) -> None:
    """Start the task that DescribeVpcTaskResult returns for the RequestId."""
    task.begin(call.tx, call.tx.timing.interface_s, task_id=call.request_id)


def _attachment(eni: Interface) -> Answer | None:
    if not eni.instance_id:
        return None
    return {
        "InstanceId": eni.instance_id,
        "DeviceIndex": eni.device_index,
        "InstanceAccountId": ACCOUNT,
        "AttachTime": beijing_time(eni.attached),
    }


def show(call: Call, eni: Interface) -> Answer:
    """Return an interface in the response format."""
    return {
        "NetworkInterfaceId": eni.id,
        "NetworkInterfaceName": eni.name,
        "NetworkInterfaceDescription": eni.description,
        "SubnetId": eni.subnet_id,
        "VpcId": eni.vpc_id,
        "GroupSet": list(eni.group_ids),
        "Primary": eni.primary,
        "MacAddress": eni.mac,
        "State": eni.state,
        "PrivateIpAddressSet": [_show_address(call, eni, entry) for entry in eni.addresses],
        "Attachment": _attachment(eni),
        "Zone": subnet.get(call.tx, eni.subnet_id).zone,
        "CreatedTime": beijing_time(eni.created),
        "TagSet": tagging.shown(call, eni.id),
    }


@action(
    "vpc",
    "CreateNetworkInterface",
    vpc.VpcNotFound,
    subnet.SubnetNotFound,
    subnet.SubnetOfOtherVpcForInterface,
    security_group.SecurityGroupNotFound,
    interface.TooManyGroups,
    interface.InterfaceQuota,
    interface.DescriptionTooLong,
    *_ADDRESSES,
)
def create_network_interface(call: Call) -> Answer:
    """Create a network interface in a subnet."""
    given = call.parameters
    vpc_id, name, subnet_id = (
        given.resource_id("VpcId", "vpc"),
        given.text("NetworkInterfaceName"),
        given.resource_id("SubnetId", "subnet"),
    )
    subnet.get_in_vpc(call.tx, subnet_id, vpc_id, subnet.SubnetOfOtherVpcForInterface)
    entries = sorted(given.each("PrivateIpAddresses", limit=10), key=lambda entry: not entry.flag("Primary"))
    requested = tuple(at for at in (entry.find_address("PrivateIpAddress") for entry in entries) if at is not None)
    made = interface.create(
        call.tx,
        name=name,
        description=given.find_text("NetworkInterfaceDescription") or "",
        vpc_id=vpc_id,
        subnet_id=subnet_id,
        requested=requested[0] if requested else None,
        group_ids=given.texts("SecurityGroupIds"),
        tags=tagging.given(given),
    )
    interface_addresses.add(call.tx, made.id, requested[1:], _count(call))
    _begin_task(call)
    return {"NetworkInterface": show(call, interface.get(call.tx, made.id))}


def _count(call: Call) -> int:
    return call.parameters.integer_in("SecondaryPrivateIpAddressCount", 0, 30, default=0)


@action("vpc", "DescribeNetworkInterfaces")
def describe_network_interfaces(call: Call) -> Answer:
    """List network interfaces, including the primary interfaces of instances."""
    found = chosen(
        call,
        call.tx.all(Interface),
        {
            "vpc-id": lambda one: [one.vpc_id],
            "subnet-id": lambda one: [one.subnet_id],
            "network-interface-id": lambda one: [one.id],
            "attachment.instance-id": lambda one: [one.instance_id],
            "groups.security-group-id": lambda one: one.group_ids,
            "network-interface-name": lambda one: [one.name],
            "network-interface-description": lambda one: [one.description],
            "address-ip": lambda one: [str(entry.address) for entry in one.addresses],
            "is-primary": lambda one: flag(one.primary),
        },
        ids="NetworkInterfaceIds",
    )
    return {"TotalCount": len(found), "NetworkInterfaceSet": [show(call, one) for one in page(call, found)]}


@action("vpc", "DescribeNetworkInterfaceLimit", instance.InstanceNotFound, interface.InterfaceNotFound)
def describe_network_interface_limit(call: Call) -> Answer:
    """Return the maximum number of interfaces and addresses of an instance."""
    resource_id = call.parameters.text("InstanceId")
    if resource_id.startswith("eni-"):
        interface.get(call.tx, resource_id)
        return {"EniQuantity": 1, "EniPrivateIpAddressQuantity": 30}
    kind = instance.get(call.tx, resource_id).type
    return {"EniQuantity": kind.interfaces, "EniPrivateIpAddressQuantity": kind.private_addresses}


@action(
    "vpc",
    "ModifyNetworkInterfaceAttribute",
    interface.InterfaceNotFound,
    security_group.SecurityGroupNotFound,
    interface.TooManyGroups,
)
def modify_network_interface_attribute(call: Call) -> Answer:
    """Change the name, description or security groups of an interface."""
    given = call.parameters
    interface.modify(
        call.tx,
        given.resource_id("NetworkInterfaceId", "eni"),
        name=given.find_text("NetworkInterfaceName"),
        description=given.find_text("NetworkInterfaceDescription"),
        group_ids=given.texts("SecurityGroupIds"),
    )
    return {}


@action(
    "vpc",
    "AttachNetworkInterface",
    interface.InterfaceNotFound,
    interface.InterfaceAttachedAlready,
    interface.InterfaceBusy,
    interface_attachment.InstanceToAttachNotFound,
    interface_attachment.InterfaceWithoutGroup,
    interface_attachment.InterfaceOfOtherVpc,
    interface_attachment.InterfaceInOtherZone,
    interface_attachment.InstanceStateForbidsInterface,
    interface_attachment.TooManyInterfaces,
)
def attach_network_interface(call: Call) -> Answer:
    """Attach an interface to an instance."""
    given = call.parameters
    interface_attachment.attach(call.tx, given.resource_id("NetworkInterfaceId", "eni"), given.text("InstanceId"))
    _begin_task(call)
    return {}


@action(
    "vpc",
    "DetachNetworkInterface",
    interface.InterfaceNotFound,
    interface.InterfaceNotAttached,
    interface.InterfaceBusy,
    interface.PrimaryInterfaceNotDetachable,
)
def detach_network_interface(call: Call) -> Answer:
    """Detach an interface from an instance."""
    given = call.parameters
    interface.detach(call.tx, given.resource_id("NetworkInterfaceId", "eni"), given.text("InstanceId"))
    _begin_task(call)
    return {}


@action(
    "vpc",
    "DeleteNetworkInterface",
    interface.InterfaceNotFound,
    interface.InterfaceAttached,
    interface.InterfaceBusy,
    interface.PrimaryInterfaceNotDetachable,
    InterfaceHasAddress,
)
def delete_network_interface(call: Call) -> Answer:
    """Delete a detached interface."""
    interface_id = call.parameters.resource_id("NetworkInterfaceId", "eni")
    interface.get(call.tx, interface_id)
    for one in call.tx.all(address.Address):
        if one.interface_id == interface_id and not one.target_id.startswith("ins-"):
            raise InterfaceHasAddress(interface_id=interface_id, user=one.id)
    interface.delete(call.tx, interface_id)
    _begin_task(call)
    return {}


@action("vpc", "AssignPrivateIpAddresses", interface.InterfaceNotFound, AddressesOrCount, *_ADDRESSES)
def assign_private_ip_addresses(call: Call) -> Answer:
    """Assign secondary private addresses to an interface."""
    given = call.parameters
    interface_id = given.resource_id("NetworkInterfaceId", "eni")
    requested = tuple(
        at for at in (entry.find_address("PrivateIpAddress") for entry in given.each("PrivateIpAddresses", 10)) if at
    )
    if not requested and not _count(call):
        raise AddressesOrCount
    limit = interface_attachment.addresses_allowed(call.tx, interface_id)
    added = interface_addresses.add(call.tx, interface_id, requested, _count(call), limit)
    eni = interface.get(call.tx, interface_id)
    _begin_task(call)
    return {"PrivateIpAddressSet": [_show_address(call, eni, entry) for entry in added]}


@action(
    "vpc",
    "UnassignPrivateIpAddresses",
    interface.InterfaceNotFound,
    interface_addresses.AddressNotOnInterface,
    interface_addresses.PrimaryAddressNotRemovable,
)
def unassign_private_ip_addresses(call: Call) -> Answer:
    """Unassign secondary private addresses from an interface and unbind their EIPs."""
    given = call.parameters
    interface_id = given.resource_id("NetworkInterfaceId", "eni")
    removed = tuple(
        at
        for at in (entry.find_address("PrivateIpAddress") for entry in given.required_each("PrivateIpAddresses", 10))
        if at is not None
    )
    interface_addresses.remove(call.tx, interface_id, removed)
    address_binding.unbind_private(call.tx, interface_id, removed)
    _begin_task(call)
    return {}
