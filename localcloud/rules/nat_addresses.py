"""The EIPs of NAT gateways."""

from __future__ import annotations

from dataclasses import replace

from localcloud.rules import address, address_binding, address_charge
from localcloud.rules.refusal import documented, rule
from localcloud.rules.transaction import Transaction

LIMIT = 10

_DISASSOCIATE_NAT_GATEWAY_ADDRESS = documented("DisassociateNatGatewayAddress", page="215/36716")
_CREATE_NAT_GATEWAY = documented("CreateNatGateway, 215/36722", page="215/36721")
TooManyGatewayAddresses = rule(
    "LimitExceeded.PublicIpAddressPerNatGatewayLimitExceeded",
    "A NAT gateway can have at most 10 EIPs.",
    documented("NAT gateway limits: 10 EIPs for each gateway (also in 1199/41648)", page="intl:1015/30230"),
)
LastAddressRequired = rule(
    "UnsupportedOperation.PublicIpAddressDisassociate",
    "A NAT gateway must keep at least one EIP.",
    _DISASSOCIATE_NAT_GATEWAY_ADDRESS,
)
GatewayAddressNotFound = rule(
    "UnsupportedOperation.PublicIpAddressIsNotExisted", "The EIP for a NAT gateway must exist.", _CREATE_NAT_GATEWAY
)
AddressNotBilledByTraffic = rule(
    "UnsupportedOperation.PublicIpAddressNotBilledByTraffic",
    "The EIP for a NAT gateway must be billed by traffic.",
    _CREATE_NAT_GATEWAY,
)
GatewayAddressQuota = rule(
    "LimitExceeded.AddressQuotaLimitExceeded",
    "A region can have at most 20 EIPs, including those that a NAT gateway allocates.",
    documented("CreateNatGateway, 215/36722; limit: 1199/41648", page="215/36721"),
)
AddressToReleaseNotFound = rule(
    "ResourceNotFound",
    "An EIP to remove from a NAT gateway must be bound to that gateway.",
    _DISASSOCIATE_NAT_GATEWAY_ADDRESS,
)


def of_gateway(tx: Transaction, gateway_id: str) -> list[address.Address]:
    """Return the EIPs of a gateway, oldest binding first."""
    return address.of_target(tx, gateway_id)


def take(tx: Transaction, gateway_id: str, ips: tuple[str, ...], new: int) -> None:
    """Bind existing EIPs and `new` newly allocated EIPs to a gateway."""
    if len(of_gateway(tx, gateway_id)) + len(ips) + new > LIMIT:
        raise TooManyGatewayAddresses
    for ip in (*ips, *_allocate(tx, new)):
        found = address.find_by_ip(tx, ip)
        if found is None:
            raise GatewayAddressNotFound(got=ip)
        if found.charge_type not in {address_charge.DEFAULT, ""}:
            raise AddressNotBilledByTraffic(got=found.charge_type, ip=ip)
        address_binding.bind_to_gateway(tx, found, gateway_id)


def _allocate(tx: Transaction, count: int) -> list[str]:
    if count == 0:
        return []
    standard = tx.account == "standard"
    requested = address.Address(
        charge_type=address_charge.DEFAULT if standard else "",
        bandwidth_mbps=address_charge.CHARGE_TYPES[address_charge.DEFAULT] if standard else 0,
    )
    try:
        made, _ = address.allocate(tx, count, requested, {})
    except address.AddressQuota:
        raise GatewayAddressQuota(got=len(tx.all(address.Address)) + count) from None
    for one in made:
        tx.put(replace(one, status="UNBIND"))
    return [str(created.ip) for created in made]


def release(tx: Transaction, gateway_id: str, ips: set[str]) -> None:
    """Unbind EIPs from a gateway. Raises: LastAddressRequired if none would remain."""
    own = {str(one.ip): one for one in of_gateway(tx, gateway_id)}
    for ip in sorted(ips):
        if ip not in own:
            raise AddressToReleaseNotFound(ip=ip, gateway_id=gateway_id)
    if len(ips) >= len(own):
        raise LastAddressRequired(gateway_id=gateway_id)
    for ip in sorted(ips):
        address_binding.unbind_from_gateway(tx, own[ip])
