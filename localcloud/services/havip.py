"""HAVIPs, the instances that can announce them, and their EIPs."""

from __future__ import annotations

from localcloud.rules import address, address_binding, havip, instance, subnet, task, vpc
from localcloud.rules.havip import Association, HaVip
from localcloud.rules.records import beijing_time, changed
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import Filters, UnknownFilter, flag, listed
from localcloud.services.parameters import Parameters

_ASSOCIATING = (
    havip.TargetKindUnknown,
    havip.TargetNotFound,
    havip.TargetInOtherSubnet,
    havip.AssociationExists,
    havip.AssociationQuota,
    havip.TooManyHaVips,
)


def _public_ip(call: Call, found: HaVip) -> str:
    bound = [one for one in address.of_target(call.tx, found.id) if one.status in {"BIND", "UNBINDING"}]
    return str(bound[0].ip) if bound else ""


def _announcing_eni(call: Call, found: HaVip) -> str:
    announcer = call.tx.find(instance.Instance, found.announcer_id)
    return announcer.interface_id if announcer is not None else ""


def show(call: Call, found: HaVip, associations: tuple[Association, ...] | None = None) -> Answer:
    """Return a HAVIP in the response format. The instance and interface are those that last announced it."""
    return {
        "HaVipId": found.id,
        "HaVipName": found.name,
        "Vip": str(found.address),
        "VpcId": found.vpc_id,
        "SubnetId": found.subnet_id,
        "NetworkInterfaceId": _announcing_eni(call, found),
        "InstanceId": found.announcer_id,
        "AddressIp": _public_ip(call, found),
        "State": "AVAILABLE" if found.announcer_id else "UNBIND",
        "CreatedTime": beijing_time(found.created),
        "HaVipAssociationSet": [
            {"HaVipId": found.id, "InstanceId": at.target_id, "InstanceType": at.type}
            for at in (found.associations if associations is None else associations)
        ],
        "CheckAssociate": found.check_associate,
        "FlushedTime": beijing_time(found.announced) if found.announced else "",
        "TagSet": tagging.shown(call, found.id),
    }


def _begin_task(call: Call) -> None:
    """Start the task that DescribeVpcTaskResult returns for the RequestId."""
    task.begin(call.tx, call.tx.timing.address_s, task_id=call.request_id)


@action(
    "vpc",
    "CreateHaVip",
    vpc.VpcNotFound,
    subnet.SubnetNotFound,
    subnet.AddressOutsideSubnet,
    subnet.AddressTaken,
    subnet.SubnetFull,
    subnet.SubnetOfOtherVpc,
    havip.HaVipQuota,
    *_ASSOCIATING,
)
def create_ha_vip(call: Call, given: Parameters) -> Answer:
    """Create a HAVIP in a subnet."""
    requested = HaVip(
        name=given.text("HaVipName"),
        vpc_id=given.resource_id("VpcId", "vpc"),
        subnet_id=given.resource_id("SubnetId", "subnet"),
        check_associate=given.flag("CheckAssociate"),
    )
    made = havip.create(call.tx, requested, given.find_address("Vip"), tagging.given(given))
    for entry in given.each("HaVipAssociationSet", havip.MAX_ASSOCIATIONS):
        havip.associate(call.tx, made.id, _association(entry))
    return {"HaVip": show(call, havip.get(call.tx, made.id))}


def _association(entry: Parameters) -> Association:
    return Association(entry.text("InstanceId"), entry.find_text("InstanceType") or "CVM")


@action("vpc", "DescribeHaVips", UnknownFilter)
def describe_ha_vips(call: Call, _given: Parameters) -> Answer:
    """List HAVIPs."""
    filters: Filters[HaVip] = {
        "havip-id": lambda one: [one.id],
        "havip-name": lambda one: [one.name],
        "vpc-id": lambda one: [one.vpc_id],
        "subnet-id": lambda one: [one.subnet_id],
        "vip": lambda one: [str(one.address)],
        "address-ip": lambda one: [_public_ip(call, one)],
        "havip-association.instance-id": lambda one: [at.target_id for at in one.associations],
        "havip-association.instance-type": lambda one: [at.type for at in one.associations],
        "check-associate": lambda one: flag(one.check_associate),
    }
    return listed(call, "HaVipSet", HaVip, _show_selected, filters, ids="HaVipIds", values_limit=5)


def _show_selected(call: Call, found: HaVip) -> Answer:
    """Show a HAVIP; with a filter for an instance, only with the associations of that instance.

    The provider uses the first association of the response.
    """
    for entry in call.parameters.each("Filters"):
        if entry.text("Name") == "havip-association.instance-id":
            requested = entry.texts("Values")
            return show(call, found, tuple(at for at in found.associations if at.target_id in requested))
    return show(call, found, found.associations)


@action("vpc", "ModifyHaVipAttribute", havip.HaVipNotFound)
def modify_ha_vip_attribute(call: Call, given: Parameters) -> None:
    """Rename a HAVIP."""
    present = havip.get(call.tx, given.resource_id("HaVipId", "havip"))
    havip.change(call.tx, changed(present, {"name": given.find_text("HaVipName")}))


@action("vpc", "DeleteHaVip", havip.HaVipNotFound, havip.HaVipInUse)
def delete_ha_vip(call: Call, given: Parameters) -> None:
    """Delete an unbound HAVIP."""
    havip.delete(call.tx, given.resource_id("HaVipId", "havip"))
    _begin_task(call)


@action("vpc", "AssociateHaVipInstance", havip.HaVipNotFound, *_ASSOCIATING)
def associate_ha_vip_instance(call: Call, given: Parameters) -> None:
    """Permit instances or interfaces to announce HAVIPs."""
    for entry in given.required_each("HaVipAssociationSet", havip.MAX_ASSOCIATIONS):
        havip.associate(call.tx, entry.resource_id("HaVipId", "havip"), _association(entry))


@action("vpc", "DisassociateHaVipInstance", havip.HaVipNotFound, havip.AssociationNotFound)
def disassociate_ha_vip_instance(call: Call, given: Parameters) -> None:
    """Remove the permission of instances or interfaces to announce HAVIPs."""
    for entry in given.required_each("HaVipAssociationSet", havip.MAX_ASSOCIATIONS):
        havip.disassociate(call.tx, entry.resource_id("HaVipId", "havip"), entry.text("InstanceId"))


@action(
    "vpc",
    "HaVipAssociateAddressIp",
    havip.HaVipNotFound,
    address.PublicAddressNotFound,
    address_binding.HaVipHasAddress,
    address_binding.AddressBusyForVpc,
    address_binding.HaVipAddressAlreadyBound,
)
def ha_vip_associate_address_ip(call: Call, given: Parameters) -> None:
    """Bind an EIP to a HAVIP. AddressIp contains it after the binding."""
    havip_id, ip = given.resource_id("HaVipId", "havip"), given.find_address("AddressIp")
    havip.get(call.tx, havip_id)
    address_binding.bind_to_havip(call.tx, address.by_ip(call.tx, str(ip or "")), havip_id)
    _begin_task(call)


@action(
    "vpc",
    "HaVipDisassociateAddressIp",
    havip.HaVipNotFound,
    address_binding.HaVipHasNoAddress,
    address_binding.AddressBusyForVpc,
)
def ha_vip_disassociate_address_ip(call: Call, given: Parameters) -> None:
    """Unbind the EIP of a HAVIP."""
    address_binding.unbind_havip(call.tx, given.resource_id("HaVipId", "havip"))
    _begin_task(call)
