"""Nat/gateway."""

from __future__ import annotations

from typing import Any, Final

from localcloud.providers.errors import ProviderError
from localcloud.providers.schema import COMPUTED, FIXED, OPTIONAL, REQUIRED, Property
from localcloud.providers.tencentcloud import tags
from localcloud.providers.tencentcloud.api import Api, ignore_missing, wait_until
from localcloud.providers.tencentcloud.eip import describe_addresses
from localcloud.providers.tencentcloud.resource_type import ResourceType
from localcloud.providers.values import Properties

_TIMEOUT_S: Final = 180.0


def _find(api: Api, nat_id: str) -> dict[str, Any] | None:
    found = api.find("vpc", "DescribeNatGateways", "NatGatewaySet", NatGatewayIds=[nat_id])
    if found is not None and found["State"] == "FAILED":
        raise ProviderError(f"{nat_id} is in state FAILED")
    return found


def _create(api: Api, inputs: Properties, _token: str) -> str:
    answer = api.vpc(
        "CreateNatGateway",
        {
            "VpcId": inputs["vpcId"],
            "NatGatewayName": inputs.get("name", ""),
            "InternetMaxBandwidthOut": inputs.get("bandwidth"),
            "MaxConcurrentConnection": inputs.get("maxConcurrent"),
            "PublicIpAddresses": inputs["assignedEipSets"],
            "Zone": inputs.get("zone"),
            "SubnetId": inputs.get("subnetId"),
            "NatProductVersion": inputs.get("natProductVersion"),
            "Tags": tags.as_list(inputs.get("tags")),
        },
    )
    return answer["NatGatewaySet"][0]["NatGatewayId"]


def _settle(api: Api, nat_id: str, _inputs: Properties) -> None:
    def available() -> bool:
        return (_find(api, nat_id) or {}).get("State") == "AVAILABLE"

    wait_until(f"{nat_id} to be available", available, timeout_s=_TIMEOUT_S)


def _read(api: Api, nat_id: str, _inputs: Properties) -> Properties | None:
    nat = _find(api, nat_id)
    if nat is None:
        return None
    addresses = [address["PublicIpAddress"] for address in nat.get("PublicIpAddressSet") or []]
    stock = describe_addresses(api, Filters=[{"Name": "address-ip", "Values": addresses}]) if addresses else []
    return {
        "vpcId": nat["VpcId"],
        "name": nat["NatGatewayName"],
        "maxConcurrent": nat["MaxConcurrentConnection"],
        "bandwidth": nat["InternetMaxBandwidthOut"],
        "createdTime": nat["CreatedTime"],
        "zone": nat.get("Zone") or "",
        "assignedEipSets": addresses,
        "subnetId": nat.get("SubnetId") or "",
        "natProductVersion": nat.get("NatProductVersion") or 0,
        "stockPublicIpAddressesBandwidthOut": next((address.get("Bandwidth") or 0 for address in stock), 0),
        "tags": tags.read(api, "vpc/nat", nat_id),
    }


def _update(api: Api, nat_id: str, old: Properties, new: Properties) -> None:
    if new.get("zone", old.get("zone")) != old.get("zone"):
        # As in the real plugin, the preview shows an update that is then refused.
        raise ProviderError(f"zone cannot be changed (current {old.get('zone')}, requested {new['zone']})")
    changed = {
        key: new[name]
        for name, key in (("name", "NatGatewayName"), ("bandwidth", "InternetMaxBandwidthOut"))
        if name in new and new[name] != old.get(name)
    }
    if changed:
        api.vpc("ModifyNatGatewayAttribute", {"NatGatewayId": nat_id, **changed})
    if "maxConcurrent" in new and new["maxConcurrent"] != old.get("maxConcurrent"):
        api.vpc("ResetNatGatewayConnection", {"NatGatewayId": nat_id, "MaxConcurrentConnection": new["maxConcurrent"]})
    _change_addresses(api, nat_id, set(old["assignedEipSets"]), set(new["assignedEipSets"]))
    tags.change(api, "vpc/nat", nat_id, old, new)


def _change_addresses(api: Api, nat_id: str, before: set[str], after: set[str]) -> None:
    # New addresses first, because a gateway must have at least one.
    for action, addresses in (
        ("AssociateNatGatewayAddress", after - before),
        ("DisassociateNatGatewayAddress", before - after),
    ):
        if addresses:
            api.vpc(action, {"NatGatewayId": nat_id, "PublicIpAddresses": sorted(addresses)})


def _delete(api: Api, nat_id: str, _outputs: Properties) -> None:
    ignore_missing(lambda: api.vpc("DeleteNatGateway", {"NatGatewayId": nat_id}))
    wait_until(f"{nat_id} to be deleted", lambda: _find(api, nat_id) is None, timeout_s=_TIMEOUT_S)


NAT_GATEWAY = ResourceType(
    properties={
        "name": REQUIRED,
        "vpcId": FIXED,
        "assignedEipSets": Property(required=True, unordered=True),
        "bandwidth": COMPUTED,
        "maxConcurrent": COMPUTED,
        "zone": COMPUTED,
        "subnetId": Property(computed=True, replaces=True),
        "natProductVersion": Property(computed=True, replaces=True),
        "tags": OPTIONAL,
    },
    create=_create,
    settle=_settle,
    read=_read,
    update=_update,
    delete=_delete,
)
