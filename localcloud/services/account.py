"""What the account may use: its type, quotas, and the instance types of each zone."""

from __future__ import annotations

from localcloud.rules import address, havip, instance, vpc
from localcloud.rules.catalog import INSTANCE_TYPES, ZONES
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import UnknownInstanceFilter
from localcloud.services.parameters import Parameters

_VPC_LIMITS = {"appid-max-vpcs": vpc.QUOTA, "vpc-max-havips": havip.MAX_PER_VPC}


def _zones(call: Call, given: Parameters) -> list[str]:
    zones = set(ZONES[call.tx.region])
    for entry in given.each("Filters"):
        if entry.text("Name") != "zone":
            raise UnknownInstanceFilter(got=entry.text("Name"), known="zone")
        zones &= set(entry.required_texts("Values"))
    return sorted(zones)


@action("vpc", "DescribeNetworkAccountType")
def describe_network_account_type(call: Call, _given: Parameters) -> Answer:
    """Show whether the account is of the standard or the traditional type."""
    return {"NetworkAccountType": "STANDARD" if call.tx.account == "standard" else "LEGACY"}


@action("vpc", "DescribeAddressQuota")
def describe_address_quota(call: Call, _given: Parameters) -> Answer:
    """Show the quota of EIPs."""
    total, today = len(call.tx.all(address.Address)), address.allocated_today(call.tx).count
    rows = (("TOTAL_EIP_QUOTA", total, address.QUOTA), ("DAILY_EIP_APPLY", today, address.DAILY_QUOTA))
    return {"QuotaSet": [{"QuotaId": name, "QuotaCurrent": used, "QuotaLimit": limit} for name, used, limit in rows]}


@action("vpc", "DescribeVpcLimits")
def describe_vpc_limits(_call: Call, given: Parameters) -> Answer:
    """Show limits of VPCs: appid-max-vpcs and vpc-max-havips."""
    names = [name for name in given.required_texts("LimitTypes") if name in _VPC_LIMITS]
    return {"VpcLimitSet": [{"LimitType": name, "LimitValue": _VPC_LIMITS[name]} for name in names]}


@action("cvm", "DescribeAccountQuota", UnknownInstanceFilter)
def describe_account_quota(call: Call, given: Parameters) -> Answer:
    """Show the quota of instances that are billed by the hour, by zone."""
    used = [one.zone for one in call.tx.all(instance.Instance)]
    quota = instance.QUOTA
    quotas = [
        {"Zone": zone, "UsedQuota": (n := used.count(zone)), "RemainingQuota": quota - n, "TotalQuota": quota}
        for zone in _zones(call, given)
    ]
    overview = {"Region": call.tx.region, "AccountQuota": {"PostPaidQuotaSet": quotas}}
    return {"AppId": 1, "AccountQuotaOverview": overview}


@action("cvm", "DescribeZoneInstanceConfigInfos", UnknownInstanceFilter)
def describe_zone_instance_config_infos(call: Call, given: Parameters) -> Answer:
    """List the instance types that each zone sells."""
    return {
        "InstanceTypeQuotaSet": [
            {"Zone": zone, "InstanceType": one.name, "Cpu": one.cpu, "Memory": one.memory_gib, "Status": "SELL"}
            for zone in _zones(call, given)
            for one in INSTANCE_TYPES.values()
        ]
    }
