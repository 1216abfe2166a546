"""EIPs and their tasks."""

from __future__ import annotations

from localcloud.rules import address, address_binding, address_charge, instance, public_pool, task
from localcloud.rules.address import Address
from localcloud.rules.records import changed, iso_time
from localcloud.rules.refusal import InvalidParameterValue, MissingParameter, documented, rule
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import Filters, listed
from localcloud.services.parameters import Parameters

_ISPS = ("BGP", "CMCC", "CTCC", "CUCC")
_ONE = (address.AddressNotFound, address.AddressIdMalformed, address.AddressBusy)
InstanceOrInterface = rule(
    "InvalidParameterConflict",
    "An EIP must be bound to either an instance or a private address of an interface.",
    documented("AssociateAddress: not both NetworkInterfaceId and InstanceId", page="215/16700"),
)
TaskNotFoundByNumber = rule(
    "InvalidParameter",
    "TaskId must be the number of an existing EIP task.",
    documented("DescribeTaskResult: TaskId", page="215/36271"),
)
UnknownAddressFilter = rule(
    "InvalidParameter.InvalidFilter",
    "A filter name must be one that DescribeAddresses documents.",
    documented("DescribeAddresses: Filters", page="215/16702"),
)
AddressIdsAndFilter = rule(
    "InvalidParameter",
    "EIPs must be selected by either AddressIds or the filter address-id.",
    documented("DescribeAddresses: not both AddressIds and Filters.address-id", page="215/16702"),
)


def show(call: Call, found: Address) -> Answer:
    return {
        "AddressId": found.id,
        "AddressName": found.name,
        "AddressStatus": found.status,
        "AddressIp": str(found.ip),
        "InstanceId": found.target_id,
        "CreatedTime": iso_time(found.created),
        "NetworkInterfaceId": found.interface_id,
        "PrivateAddressIp": str(found.private_address or ""),
        "AddressType": found.type,
        "InternetServiceProvider": found.isp,
        # Null for a traditional account, according to the page.
        "Bandwidth": found.bandwidth_mbps or None,
        "InternetChargeType": found.charge_type or None,
        "Egress": "center_egress1",
        "InstanceType": _target_kind(found),
        "TagSet": tagging.shown(call, found.id),
    }


def _target_kind(found: Address) -> str:
    prefixes = {"ins": "CVM", "nat": "NAT", "havip": "HAVIP", "eni": "ENI", "lb": "CLB"}
    return prefixes.get(found.target_id.partition("-")[0], "")


@action(
    "vpc",
    "AllocateAddresses",
    address.AddressQuota,
    address.DailyAddressQuota,
    address.NameMalformed,
    address.NameTooLong,
    address_charge.BandwidthOutOfRange,
    address_charge.TraditionalAccount,
    address_charge.BandwidthPackageNotFound,
    public_pool.PoolEmpty,
)
def allocate_addresses(call: Call, given: Parameters) -> Answer:
    """Allocate EIPs. They are in status CREATING until the task ends."""
    kind = given.find_text("AddressType") or "EIP"
    if kind != "EIP":
        raise InvalidParameterValue(
            name="AddressType", value=kind, expected="EIP, the only type that localcloud supports"
        )
    isp = given.find_text("InternetServiceProvider") or _ISPS[0]
    if isp not in _ISPS:
        raise InvalidParameterValue(name="InternetServiceProvider", value=isp, expected=" or ".join(_ISPS))
    charge_type, bandwidth_mbps = address_charge.check_new(
        call.tx,
        given.find_text("InternetChargeType"),
        given.find_integer("InternetMaxBandwidthOut"),
        package_id=given.find_text("BandwidthPackageId") or "",
        prepaid="AddressChargePrepaid" in given,
    )
    requested = Address(
        name=given.find_text("AddressName") or "",
        type=kind,
        charge_type=charge_type,
        bandwidth_mbps=bandwidth_mbps,
        isp=isp,
    )
    count = given.integer_in("AddressCount", 1, 20, default=1)
    made, task_id = address.allocate(call.tx, count, requested, tagging.given(given))
    return {"AddressSet": [created.id for created in made], "TaskId": task_id}


@action("vpc", "DescribeAddresses", address.AddressIdMalformed, UnknownAddressFilter, AddressIdsAndFilter)
def describe_addresses(call: Call, given: Parameters) -> Answer:
    """List EIPs."""
    if given.texts("AddressIds") and any(entry.text("Name") == "address-id" for entry in given.each("Filters")):
        raise AddressIdsAndFilter
    filters: Filters[Address] = {
        "address-id": lambda one: [one.id],
        "address-name": lambda one: [one.name],
        "address-ip": lambda one: [str(one.ip)],
        "address-status": lambda one: [one.status],
        "instance-id": lambda one: [one.target_id],
        "private-ip-address": lambda one: [str(one.private_address or "")],
        "network-interface-id": lambda one: [one.interface_id],
        "is-arrears": lambda _: ["FALSE", "false"],
        "instance-type": lambda one: [_target_kind(one)],
        "address-type": lambda one: [one.type],
        "address-isp": lambda one: [one.isp],
        "business-type": lambda _: ["NORMAL"],  # undocumented; the provider sends it
    }
    permitted = {"both": True, "tag_value": True}
    return listed(
        call, "AddressSet", Address, show, filters, ids="AddressIds", refusal=UnknownAddressFilter, **permitted
    )


@action(
    "vpc",
    "AssociateAddress",
    *_ONE,
    address_binding.AddressAlreadyBound,
    address_binding.InstanceHasAddress,
    address_binding.InstanceHasPublicAddress,
    address_binding.InstanceStateForbidsBinding,
    address_binding.PrivateAddressHasAddress,
    address_binding.PrivateAddressNotFound,
    address_binding.TargetUnsupported,
    address_binding.TargetMissing,
    instance.InstanceNotFound,
    InstanceOrInterface,
)
def associate_address(call: Call, given: Parameters) -> Answer:
    """Bind an EIP to an instance, or to a private address of an interface."""
    address_id = given.text("AddressId")
    target, eni = given.find_text("InstanceId") or "", given.find_text("NetworkInterfaceId") or ""
    private = given.find_address("PrivateIpAddress")
    if target and eni:
        raise InstanceOrInterface
    if eni:
        if private is None:
            raise MissingParameter(name="PrivateIpAddress")
        return {"TaskId": address_binding.bind_to_interface(call.tx, address_id, eni, private)}
    if not target:
        raise address_binding.TargetMissing
    if not target.startswith("ins-"):
        raise address_binding.TargetUnsupported(got=target)
    return {"TaskId": address_binding.bind_to_instance(call.tx, address_id, target)}


@action("vpc", "DisassociateAddress", *_ONE, address_binding.AddressNotBound, address_binding.UnboundByAnotherAction)
def disassociate_address(call: Call, given: Parameters) -> Answer:
    """Unbind an EIP."""
    found = address.get(call.tx, given.text("AddressId"))
    return {"TaskId": address_binding.unbind(call.tx, found)}


@action("vpc", "ReleaseAddresses", *_ONE, address.AddressStillBound)
def release_addresses(call: Call, given: Parameters) -> Answer:
    """Release unbound EIPs."""
    return {"TaskId": address.release(call.tx, given.required_texts("AddressIds"))}


@action("vpc", "ModifyAddressAttribute", *_ONE, address.NameMalformed, address.NameTooLong)
def modify_address_attribute(call: Call, given: Parameters) -> None:
    """Rename an EIP."""
    present = address.get(call.tx, given.text("AddressId"))
    address.check_idle(present)
    address.change(call.tx, changed(present, {"name": given.find_text("AddressName")}))


@action("vpc", "ModifyAddressesBandwidth", *_ONE, address_charge.BandwidthOutOfRange)
def modify_addresses_bandwidth(call: Call, given: Parameters) -> Answer:
    """Change the bandwidth of EIPs."""
    ids = given.required_texts("AddressIds")
    return {"TaskId": address_charge.change_bandwidth(call.tx, ids, given.integer("InternetMaxBandwidthOut"))}


@action(
    "vpc",
    "ModifyAddressInternetChargeType",
    *_ONE,
    address_charge.ChargeTypeNotChanged,
    address_charge.ChargeTypeNotChangeable,
    address_charge.TooManyChargeTypeChanges,
    address_charge.NewBandwidthOutOfRange,
    address_charge.TraditionalAccountChargeTypeFixed,
)
def modify_address_internet_charge_type(call: Call, given: Parameters) -> None:
    """Change the charge type of an EIP."""
    address_charge.change_charge_type(
        call.tx,
        given.text("AddressId"),
        given.text("InternetChargeType"),
        given.integer("InternetMaxBandwidthOut"),
        prepaid="AddressChargePrepaid" in given,
    )


@action("vpc", "DescribeTaskResult", TaskNotFoundByNumber)
def describe_task_result(call: Call, given: Parameters) -> Answer:
    """Return the state of an EIP task."""
    number = given.integer("TaskId")
    found = task.get(call.tx, str(number), TaskNotFoundByNumber)
    return {"TaskId": number, "Result": found.result}


@action("vpc", "DescribeBandwidthPackages")
def describe_bandwidth_packages(_call: Call, given: Parameters) -> Answer:
    """List bandwidth packages. The list is always empty."""
    given.each("Filters")
    return {"TotalCount": 0, "BandwidthPackageSet": []}
