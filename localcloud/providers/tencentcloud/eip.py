"""Eip/instance and Eip/association."""

from __future__ import annotations

from typing import Any, Final

from localcloud.providers.errors import ProviderError
from localcloud.providers.schema import COMPUTED, FIXED, OPTIONAL, Property
from localcloud.providers.tencentcloud import tags
from localcloud.providers.tencentcloud.api import Api, ignore_missing, wait_until
from localcloud.providers.tencentcloud.resource_type import ResourceType
from localcloud.providers.values import Properties

_TIMEOUT_S: Final = 180.0


def describe_addresses(api: Api, **parameters: Any) -> list[dict[str, Any]]:
    return api.rows("vpc", "DescribeAddresses", "AddressSet", **parameters)


def _find(api: Api, eip_id: str) -> dict[str, Any] | None:
    return next(iter(describe_addresses(api, AddressIds=[eip_id])), None)


def wait_for_task(api: Api, answer: dict[str, Any]) -> None:
    """Wait for the task of an asynchronous EIP call. Its ID is a decimal string, but is queried as a number."""
    task = answer.get("TaskId")
    if not task:
        return

    def ended() -> str:
        result = str(api.vpc("DescribeTaskResult", {"TaskId": int(task)}).get("Result"))
        return "" if result == "RUNNING" else result

    if wait_until(f"task {task} to end", ended, timeout_s=_TIMEOUT_S) == "FAILED":
        raise ProviderError(f"task {task} failed")


def _create(api: Api, inputs: Properties, token: str) -> str:
    answer = api.vpc(
        "AllocateAddresses",
        {
            "AddressType": inputs["type"],
            "AddressName": inputs.get("name"),
            "InternetChargeType": inputs.get("internetChargeType"),
            "InternetMaxBandwidthOut": inputs.get("internetMaxBandwidthOut"),
            "InternetServiceProvider": inputs.get("internetServiceProvider"),
            "BandwidthPackageId": inputs.get("bandwidthPackageId"),
            "Tags": tags.as_list(inputs.get("tags")),
            "ClientToken": token,
        },
    )
    return answer["AddressSet"][0]


def _settle(api: Api, eip_id: str, _inputs: Properties) -> None:
    def made() -> bool:
        return (_find(api, eip_id) or {}).get("AddressStatus", "CREATING") != "CREATING"

    wait_until(f"{eip_id} to be created", made, timeout_s=_TIMEOUT_S)


def _read(api: Api, eip_id: str, _inputs: Properties) -> Properties | None:
    address = _find(api, eip_id)
    if address is None:
        return None
    return {
        "name": address.get("AddressName") or "",
        "type": address["AddressType"],
        "publicIp": address["AddressIp"],
        "status": address["AddressStatus"],
        "internetChargeType": address.get("InternetChargeType") or "",
        "internetMaxBandwidthOut": address.get("Bandwidth") or 0,
        "egress": address.get("Egress") or "",
        "tags": tags.read(api, "vpc/eip", eip_id),
    }


def _update(api: Api, eip_id: str, old: Properties, new: Properties) -> None:
    if new.get("bandwidthPackageId") != old.get("bandwidthPackageId"):
        # As in the real plugin, the preview shows an update that is then refused.
        raise ProviderError("bandwidthPackageId cannot be changed")
    if new.get("name") != old.get("name"):
        api.vpc("ModifyAddressAttribute", {"AddressId": eip_id, "AddressName": new.get("name", "")})
    bandwidth = new.get("internetMaxBandwidthOut", old.get("internetMaxBandwidthOut"))
    charge = new.get("internetChargeType")
    if charge and charge != old.get("internetChargeType"):
        api.vpc(
            "ModifyAddressInternetChargeType",
            {"AddressId": eip_id, "InternetChargeType": charge, "InternetMaxBandwidthOut": bandwidth},
        )
    elif bandwidth != old.get("internetMaxBandwidthOut"):
        wait_for_task(
            api, api.vpc("ModifyAddressesBandwidth", {"AddressIds": [eip_id], "InternetMaxBandwidthOut": bandwidth})
        )
    tags.change(api, "vpc/eip", eip_id, old, new)


def _delete(api: Api, eip_id: str, _outputs: Properties) -> None:
    address = _find(api, eip_id)
    if address is None:
        return
    if address["AddressStatus"] != "UNBIND":
        _unbind(api, eip_id, address)
    ignore_missing(lambda: wait_for_task(api, api.vpc("ReleaseAddresses", {"AddressIds": [eip_id]})))
    wait_until(f"{eip_id} to be released", lambda: _find(api, eip_id) is None, timeout_s=_TIMEOUT_S)


def _unbind(api: Api, eip_id: str, address: dict[str, Any]) -> None:
    target_id = str(address.get("InstanceId") or "")
    if target_id.startswith("nat-"):
        api.vpc(
            "DisassociateNatGatewayAddress", {"NatGatewayId": target_id, "PublicIpAddresses": [address["AddressIp"]]}
        )
    else:
        ignore_missing(lambda: wait_for_task(api, api.vpc("DisassociateAddress", {"AddressId": eip_id})))

    def unbound() -> bool:
        return (_find(api, eip_id) or {}).get("AddressStatus", "UNBIND") == "UNBIND"

    wait_until(f"{eip_id} to be unbound from {target_id or 'its resource'}", unbound, timeout_s=_TIMEOUT_S)


EIP = ResourceType(
    properties={
        "name": COMPUTED,
        "type": Property(replaces=True, default="EIP"),
        "internetChargeType": COMPUTED,
        "internetMaxBandwidthOut": COMPUTED,
        "internetServiceProvider": Property(replaces=True),
        "bandwidthPackageId": OPTIONAL,
        "tags": OPTIONAL,
    },
    create=_create,
    settle=_settle,
    read=_read,
    update=_update,
    delete=_delete,
)


def _association_id(inputs: Properties) -> str:
    if inputs.get("instanceId"):
        return f"{inputs['eipId']}::{inputs['instanceId']}"
    return f"{inputs['eipId']}::{inputs['networkInterfaceId']}::{inputs['privateIp']}"


def _associate(api: Api, inputs: Properties, _token: str) -> str:
    api.vpc(
        "AssociateAddress",
        {
            "AddressId": inputs["eipId"],
            "InstanceId": inputs.get("instanceId"),
            "NetworkInterfaceId": inputs.get("networkInterfaceId"),
            "PrivateIpAddress": inputs.get("privateIp"),
        },
    )
    return _association_id(inputs)


def _settle_association(api: Api, _association_id: str, inputs: Properties) -> None:
    def bound() -> bool:
        return (_find(api, inputs["eipId"]) or {}).get("AddressStatus") in {"BIND", "BIND_ENI"}

    wait_until(f"{inputs['eipId']} to be bound", bound, timeout_s=_TIMEOUT_S)


def _read_association(api: Api, association_id: str, _inputs: Properties) -> Properties | None:
    """Return the association. As in the real provider, it exists while its EIP exists, even if the EIP was unbound."""
    eip_id, bound_to, *address = association_id.split("::")
    if _find(api, eip_id) is None:
        return None
    if not address:
        return {"eipId": eip_id, "instanceId": bound_to}
    return {"eipId": eip_id, "networkInterfaceId": bound_to, "privateIp": address[0]}


def _disassociate(api: Api, association_id: str, _outputs: Properties) -> None:
    eip_id, bound_to, *_ = association_id.split("::")
    address = _find(api, eip_id) or {}
    if bound_to in (address.get("InstanceId"), address.get("NetworkInterfaceId")):
        _unbind(api, eip_id, address)


EIP_ASSOCIATION = ResourceType(
    properties={
        "eipId": FIXED,
        "instanceId": Property(computed=True, replaces=True),
        "networkInterfaceId": Property(computed=True, replaces=True),
        "privateIp": Property(computed=True, replaces=True),
    },
    create=_associate,
    settle=_settle_association,
    read=_read_association,
    delete=_disassociate,
)
