"""EIPs, and the tasks that change them."""

from __future__ import annotations

from localcloud.rules import address, address_binding, havip, instance, interface, public_pool, task
from localcloud.rules.address import Address
from localcloud.rules.records import iso_time
from localcloud.rules.refusal import InvalidParameterValue, Refusal, documented
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import chosen, page

_ONE = (address.AddressNotFound, address.AddressIdMalformed, address.AddressBusy)


class InstanceOrInterface(Refusal):
    """An EIP is bound to an instance, or to an interface's private address; not to both."""

    code = "InvalidParameterConflict"
    template = "Give InstanceId, or NetworkInterfaceId and PrivateIpAddress, not both."
    source = documented("the SDK's errorcodes.py")


class TaskIdWrong(Refusal):
    """A task is asked for by its number, which lies in 0 to 2^63-1."""

    code = "InvalidParameterValue.Range"
    template = "The task id `{task_id}` is out of range."
    source = documented("the page of DescribeTaskResult: TaskId")


def show(call: Call, found: Address) -> Answer:
    """An EIP as answers show it."""
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
        "Bandwidth": found.bandwidth_mbps,
        "InternetChargeType": found.charge_type,
        "Egress": found.egress,
        "InstanceType": _target_kind(found),
        "TagSet": tagging.shown(call, found.id),
    }


def _target_kind(found: Address) -> str:
    prefixes = {"ins": "CVM", "nat": "NAT", "havip": "HAVIP", "eni": "ENI", "lb": "CLB"}
    return prefixes.get(found.target_id.partition("-")[0], "")


@action("vpc", "AllocateAddresses", address.AddressQuota, address.BandwidthOutOfRange, public_pool.PoolEmpty)
def allocate_addresses(call: Call) -> Answer:
    """Allocate EIPs; they are CREATING until the task has ended."""
    given = call.parameters
    bandwidth = given.find_integer("InternetMaxBandwidthOut")
    count = given.integer_in("AddressCount", 1, 20, default=1)
    kind = given.find_text("AddressType") or "EIP"
    if kind != "EIP":
        raise InvalidParameterValue(name="AddressType", value=kind, wanted="EIP (localcloud has no other)")
    made, task_id = address.allocate(
        call.tx,
        count,
        name=given.find_text("AddressName") or "",
        kind=kind,
        charge_type=given.find_text("InternetChargeType") or "TRAFFIC_POSTPAID_BY_HOUR",
        bandwidth_mbps=1 if bandwidth is None else bandwidth,
        isp=given.find_text("InternetServiceProvider") or "BGP",
        egress=given.find_text("Egress") or "center_egress1",
        tags=tagging.given(given),
    )
    return {"AddressSet": [one.id for one in made], "TaskId": task_id}


@action("vpc", "DescribeAddresses")
def describe_addresses(call: Call) -> Answer:
    """List EIPs."""
    found = chosen(
        call,
        call.tx.all(Address),
        {
            "address-id": lambda one: [one.id],
            "address-name": lambda one: [one.name],
            "address-ip": lambda one: [str(one.ip)],
            "address-status": lambda one: [one.status],
            "instance-id": lambda one: [one.target_id],
            "private-ip-address": lambda one: [str(one.private_address or "")],
            "network-interface-id": lambda one: [one.interface_id],
            "is-arrears": lambda _: ["FALSE", "false"],
            "address-type": lambda one: [one.type],
            "address-isp": lambda one: [one.isp],
            "business-type": lambda _: ["NORMAL"],
        },
        ids="AddressIds",
        both=True,  # the provider does so, and DescribeAddresses' page forbids it not
    )
    return {"TotalCount": len(found), "AddressSet": [show(call, one) for one in page(call, found)]}


@action("vpc", "DescribeAddressQuota")
def describe_address_quota(call: Call) -> Answer:
    """Tell how many EIPs there may be."""
    count = len(call.tx.all(Address))
    return {"QuotaSet": [{"QuotaId": "TOTAL_EIP_QUOTA", "QuotaCurrent": count, "QuotaLimit": address.QUOTA}]}


@action(
    "vpc",
    "AssociateAddress",
    *_ONE,
    address.AddressAlreadyBound,
    address.InstanceHasAddress,
    address.InstanceHasPublicAddress,
    address.InstanceStateForbidsBinding,
    address.PrivateAddressHasAddress,
    address.HaVipHasAddress,
    address.TargetUnsupported,
    instance.InstanceNotFound,
    interface.InterfaceNotFound,
    interface.AddressNotOnInterface,
    havip.HaVipNotFound,
    InstanceOrInterface,
)
def associate_address(call: Call) -> Answer:
    """Bind an EIP to an instance, a HAVIP, or an interface's private address."""
    given = call.parameters
    address_id = given.text("AddressId")
    target, card = given.find_text("InstanceId") or "", given.find_text("NetworkInterfaceId") or ""
    private = given.find_address("PrivateIpAddress")
    if target and card:
        raise InstanceOrInterface
    if card and private is not None:
        return {"TaskId": address_binding.bind_to_interface(call.tx, address_id, card, private)}
    if target.startswith("ins-"):
        return {"TaskId": address_binding.bind_to_instance(call.tx, address_id, target)}
    if target.startswith("havip-"):
        return {"TaskId": address_binding.bind_to_havip(call.tx, address.get(call.tx, address_id), target)}
    raise address.TargetUnsupported(target_id=target or card)


@action("vpc", "DisassociateAddress", *_ONE, address.AddressNotBound, address.GatewayKeepsAddress)
def disassociate_address(call: Call) -> Answer:
    """Unbind an EIP."""
    found = address.get(call.tx, call.parameters.text("AddressId"))
    return {"TaskId": address_binding.unbind(call.tx, found)}


@action("vpc", "ReleaseAddresses", *_ONE, address.AddressStillBound)
def release_addresses(call: Call) -> Answer:
    """Give unbound EIPs back."""
    return {"TaskId": address.release(call.tx, call.parameters.required_texts("AddressIds"))}


@action("vpc", "ModifyAddressAttribute", address.AddressNotFound, address.AddressIdMalformed)
def modify_address_attribute(call: Call) -> Answer:
    """Rename an EIP."""
    given = call.parameters
    address_id, name = given.text("AddressId"), given.find_text("AddressName")
    address.rename(call.tx, address_id, address.get(call.tx, address_id).name if name is None else name)
    return {}


@action("vpc", "ModifyAddressesBandwidth", *_ONE, address.BandwidthOutOfRange)
def modify_addresses_bandwidth(call: Call) -> Answer:
    """Change the bandwidth of EIPs."""
    given = call.parameters
    ids = given.required_texts("AddressIds")
    return {"TaskId": address.change_bandwidth(call.tx, ids, given.integer("InternetMaxBandwidthOut"))}


@action(
    "vpc",
    "ModifyAddressInternetChargeType",
    *_ONE,
    address.ChargeTypeNotChanged,
    address.BandwidthOutOfRange,
)
def modify_address_internet_charge_type(call: Call) -> Answer:
    """Change how an EIP is paid for."""
    given = call.parameters
    address.change_charge_type(
        call.tx, given.text("AddressId"), given.text("InternetChargeType"), given.integer("InternetMaxBandwidthOut")
    )
    return {}


@action("vpc", "DescribeTaskResult", task.TaskNotFound, TaskIdWrong)
def describe_task_result(call: Call) -> Answer:
    """Tell how an EIP's task stands."""
    number = call.parameters.integer("TaskId")
    if number < 0:
        raise TaskIdWrong(task_id=number)
    found = task.get(call.tx, str(number))
    return {"TaskId": number, "Result": found.result}


@action("vpc", "DescribeBandwidthPackages")
def describe_bandwidth_packages(call: Call) -> Answer:
    """There are no bandwidth packages: the list is empty."""
    call.parameters.each("Filters")
    return {"TotalCount": 0, "BandwidthPackageSet": []}
