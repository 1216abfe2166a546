"""Charge types and bandwidths of EIPs."""

from __future__ import annotations

from dataclasses import replace

from localcloud.rules import address, task
from localcloud.rules.refusal import InvalidParameterValue, MissingParameter, documented, rule
from localcloud.rules.transaction import Transaction

DEFAULT = "TRAFFIC_POSTPAID_BY_HOUR"
PREPAID = "BANDWIDTH_PREPAID_BY_MONTH"
# Maximum bandwidth of each charge type in Mbit/s.
CHARGE_TYPES = {DEFAULT: 100, "BANDWIDTH_POSTPAID_BY_HOUR": 100, PREPAID: 200, "BANDWIDTH_PACKAGE": 2000}
CHANGES = 2

BandwidthOutOfRange = rule(
    "InvalidParameterValue.BandwidthOutOfRange",
    "The bandwidth of an EIP must be 1 Mbit/s to the maximum of its charge type.",
    documented("AllocateAddresses: InternetMaxBandwidthOut for each InternetChargeType", page="215/16699"),
)
NewBandwidthOutOfRange = rule(
    "InvalidParameterValue.Range",
    "The bandwidth for a new charge type must be 1 Mbit/s to the maximum of that type.",
    documented("ModifyAddressInternetChargeType: InternetMaxBandwidthOut", page="215/43849"),
)
TraditionalAccount = rule(
    "UnsupportedOperation.AccountNotSupported",
    "An EIP of a traditional account has no charge type or bandwidth; the settings of the bound instance apply.",
    documented("AllocateAddresses: a traditional account passes neither parameter", page="215/16699"),
)
TraditionalAccountChargeTypeFixed = rule(
    "InvalidAccount.NotSupported",
    "The charge type of an EIP of a traditional account cannot be changed.",
    documented("ModifyAddressInternetChargeType: only EIPs with a separate bandwidth", page="215/43849"),
)
BandwidthPackageNotFound = rule(
    "InvalidParameterValue.BandwidthPackageNotFound",
    "A bandwidth package must exist; localcloud does not support bandwidth packages.",
    documented("AllocateAddresses: BandwidthPackageId", page="215/16699"),
)
ChargeTypeNotChanged = rule(
    "InvalidParameterValue.InternetChargeTypeNotChanged",
    "A new charge type must differ from the current one.",
    documented("ModifyAddressInternetChargeType", page="215/43849"),
)
ChargeTypeNotChangeable = rule(
    "UnsupportedOperation.InvalidAddressInternetChargeType",
    "A charge type can change only between BANDWIDTH_PREPAID_BY_MONTH and TRAFFIC_POSTPAID_BY_HOUR.",
    documented("ModifyAddressInternetChargeType: between these two", page="215/43849"),
)
TooManyChargeTypeChanges = rule(
    "LimitExceeded.ModifyAddressInternetChargeTypeQuota",
    "The charge type of an EIP can be changed at most twice.",
    documented("ModifyAddressInternetChargeType: at most twice for each EIP", page="215/43849"),
)


def check_new(
    tx: Transaction, charge_type: str | None, bandwidth_mbps: int | None, *, package_id: str, prepaid: bool
) -> tuple[str, int]:
    """Return the charge type and bandwidth of a new EIP. Raises: the refusal of an invalid value."""
    if tx.account == "traditional":
        if charge_type is not None or bandwidth_mbps is not None:
            raise TraditionalAccount
        return "", 0
    charge_type = charge_type or DEFAULT
    bandwidth_mbps = 1 if bandwidth_mbps is None else bandwidth_mbps
    _check_charge_type(charge_type)
    if not 1 <= bandwidth_mbps <= CHARGE_TYPES[charge_type]:
        raise BandwidthOutOfRange(got=bandwidth_mbps, low=1, high=CHARGE_TYPES[charge_type])
    if charge_type == PREPAID and not prepaid:
        raise MissingParameter(name="AddressChargePrepaid")
    if package_id:
        raise BandwidthPackageNotFound(got=package_id)
    return charge_type, bandwidth_mbps


def _check_charge_type(charge_type: str) -> None:
    if charge_type not in CHARGE_TYPES:
        raise InvalidParameterValue(name="InternetChargeType", value=charge_type, expected=" or ".join(CHARGE_TYPES))


def change_bandwidth(tx: Transaction, address_ids: tuple[str, ...], bandwidth_mbps: int) -> str:
    """ModifyAddressesBandwidth. Returns the task ID."""
    for address_id in address_ids:
        found = address.get(tx, address_id)
        address.check_idle(found)
        high = CHARGE_TYPES.get(found.charge_type, CHARGE_TYPES[DEFAULT])
        if not 1 <= bandwidth_mbps <= high:
            raise BandwidthOutOfRange(got=bandwidth_mbps, low=1, high=high)
        tx.put(replace(found, bandwidth_mbps=bandwidth_mbps))
    return task.begin(tx, tx.timing.address_s)


def change_charge_type(
    tx: Transaction, address_id: str, charge_type: str, bandwidth_mbps: int, *, prepaid: bool
) -> None:
    """ModifyAddressInternetChargeType."""
    found = address.get(tx, address_id)
    address.check_idle(found)
    if tx.account == "traditional":
        raise TraditionalAccountChargeTypeFixed
    _check_charge_type(charge_type)
    if found.charge_type == charge_type:
        raise ChargeTypeNotChanged(address_id=address_id, charge_type=charge_type)
    if {found.charge_type, charge_type} != {DEFAULT, PREPAID}:
        raise ChargeTypeNotChangeable(got=charge_type, address_id=address_id, current=found.charge_type)
    if found.charge_type_changes >= CHANGES:
        raise TooManyChargeTypeChanges(address_id=address_id)
    if not 1 <= bandwidth_mbps <= CHARGE_TYPES[charge_type]:
        raise NewBandwidthOutOfRange(got=bandwidth_mbps, low=1, high=CHARGE_TYPES[charge_type])
    if charge_type == PREPAID and not prepaid:
        raise MissingParameter(name="AddressChargePrepaid")
    tx.put(
        replace(
            found,
            charge_type=charge_type,
            bandwidth_mbps=bandwidth_mbps,
            charge_type_changes=found.charge_type_changes + 1,
        )
    )
