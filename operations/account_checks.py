"""The checks of `tandem doctor` on the account: credentials, its type, quotas, the image and the instance types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from provisioning.cloud_calls import CallApi
from provisioning.errors import ProvisioningError
from provisioning.health.results import CheckResult, fail, ok, warning
from settings.sections import Settings

ACCOUNT = "account"
_CREDENTIALS = "set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY"
_ACCOUNT_TYPE = (
    "convert it in the console: https://cloud.tencent.com/document/product/684/15246. A traditional account has no "
    "EIP with a charge type or bandwidth"
)
_NO_HAVIP = "the console, Virtual Private Cloud, HAVIP: request access for the account"
_FORBIDDEN = ("[UnauthorizedOperation", "[AuthFailure.UnauthorizedOperation")  # by a CAM policy


@dataclass(frozen=True, slots=True)
class _Account:
    """What a check compares: the stack's settings with the account."""

    settings: Settings
    call: CallApi
    deployed: bool  # quotas need no room for resources that exist

    def judge(self, left: int, total: int, needed: int) -> tuple[str, str]:
        """The problem of a quota or "", and what is seen."""
        if self.deployed:
            return "", f"{left} of {total} free"
        seen = f"{left} of {total} free; a new stack needs {needed}"
        return (seen if left < needed else ""), seen

    def find_limit(self, name: str) -> int | None:
        rows = self.call("vpc", "DescribeVpcLimits", {"LimitTypes": [name]}).get("VpcLimitSet") or []
        return next((int(row["LimitValue"]) for row in rows if row.get("LimitType") == name), None)


def check_account(settings: Settings, call: CallApi | None, *, deployed: bool) -> Iterator[CheckResult]:
    """Check the account. `deployed`: the stack's resources exist, so quotas need no room for them."""
    if call is None:
        yield fail(ACCOUNT, "credentials", "not set", _CREDENTIALS)
        return
    try:
        call("cvm", "DescribeInstances", {"Offset": 0, "Limit": 1})
    except ProvisioningError as error:
        yield fail(ACCOUNT, "credentials", error.message, f"{_CREDENTIALS}; the key in the console (CAM)")
        return
    yield ok(ACCOUNT, "credentials", f"accepted in {settings.region}")
    account = _Account(settings, call, deployed)
    for name, check, look_at in (
        ("account type", _check_type, _ACCOUNT_TYPE),
        ("image", _check_image, "tandem:nodes.image"),
        ("instance types", _check_types, "tandem:nodes.type, tandem:network.zone"),
        ("instances", _check_instances, "request a higher quota of CVMs in the console, or use another zone"),
        ("addresses", _check_addresses, "request a higher quota of EIPs in the console; release unused ones"),
        ("VPCs", _check_vpcs, "delete a VPC, request a higher quota, or set tandem:network.existing"),
        ("HAVIPs", _check_havips, _NO_HAVIP),
    ):
        try:
            problem, seen = check(account)
        except ProvisioningError as error:
            if name == "HAVIPs" and not any(code in error.message for code in _FORBIDDEN):
                yield fail(ACCOUNT, name, error.message, look_at)
            else:  # a policy may forbid an action that `up` does not need
                yield warning(ACCOUNT, name, error.message, "docs/security.md, Access to the account")
            continue
        yield fail(ACCOUNT, name, problem, look_at) if problem else ok(ACCOUNT, name, seen)


def _check_type(account: _Account) -> tuple[str, str]:
    found = str(account.call("vpc", "DescribeNetworkAccountType", {}).get("NetworkAccountType"))
    return ("traditional (bill-by-CVM)" if found == "LEGACY" else ""), found.lower()


def _check_image(account: _Account) -> tuple[str, str]:
    image = account.settings.nodes.image
    rows = account.call("cvm", "DescribeImages", {"Filters": [{"Name": "image-id", "Values": [image]}]})
    found = rows.get("ImageSet") or []
    if not found:
        return f"there is no image {image} in {account.settings.region}", ""
    return "", f"{image}: {found[0].get('OsName') or found[0].get('ImageName') or 'exists'}"


def _check_types(account: _Account) -> tuple[str, str]:
    zone = account.settings.network.zone
    needed = {node.type or account.settings.nodes.type for node in account.settings.nodes.members}
    needed |= {account.settings.access.bastion.type} if account.settings.access.mode == "bastion" else set()
    rows = account.call("cvm", "DescribeZoneInstanceConfigInfos", {"Filters": [{"Name": "zone", "Values": [zone]}]})
    sold = {row["InstanceType"] for row in rows.get("InstanceTypeQuotaSet") or [] if row.get("Status") == "SELL"}
    missing = sorted(needed - sold)
    return (f"{', '.join(missing)} cannot be bought in {zone}" if missing else ""), ", ".join(sorted(needed))


def _check_instances(account: _Account) -> tuple[str, str]:
    zone = account.settings.network.zone
    found = account.call("cvm", "DescribeAccountQuota", {"Filters": [{"Name": "zone", "Values": [zone]}]})
    rows = (found.get("AccountQuotaOverview") or {}).get("AccountQuota", {}).get("PostPaidQuotaSet") or []
    row = next((row for row in rows if row.get("Zone") == zone), None)
    if row is None:
        return "", f"the API shows no quota of {zone}"
    needed = len(account.settings.nodes.members) + (account.settings.access.mode == "bastion")
    return account.judge(int(row["RemainingQuota"]), int(row["TotalQuota"]), needed)


def _check_addresses(account: _Account) -> tuple[str, str]:
    mode, nodes = account.settings.access.mode, len(account.settings.nodes.members)
    needed = len(account.settings.virtual_ip.addresses) + {"bastion": 1, "public": nodes}.get(mode, 0)
    needed += account.settings.network.egress == "nat"
    rows = {row.get("QuotaId"): row for row in account.call("vpc", "DescribeAddressQuota", {}).get("QuotaSet") or []}
    if "TOTAL_EIP_QUOTA" not in rows:
        return "", "the API shows no quota"
    left = {name: int(row["QuotaLimit"]) - int(row["QuotaCurrent"]) for name, row in rows.items()}
    today = left.get("DAILY_EIP_APPLY", needed)
    if today < needed and not account.deployed:
        return f"{today} can still be allocated today; a new stack needs {needed}", ""
    total = int(rows["TOTAL_EIP_QUOTA"]["QuotaLimit"])
    return account.judge(left["TOTAL_EIP_QUOTA"], total, needed)


def _check_vpcs(account: _Account) -> tuple[str, str]:
    if account.settings.network.existing is not None:
        return "", f"{account.settings.network.existing.vpc_id} is used"
    limit = account.find_limit("appid-max-vpcs")
    used = int(account.call("vpc", "DescribeVpcs", {"Offset": "0", "Limit": "1"}).get("TotalCount", 0))
    return ("", "the API shows no quota") if limit is None else account.judge(limit - used, limit, 1)


def _check_havips(account: _Account) -> tuple[str, str]:
    """The quota is for each VPC: a new one has no HAVIPs, and one of this stack its own."""
    existing = account.settings.network.existing
    vpc = {"Filters": [{"Name": "vpc-id", "Values": [existing.vpc_id]}]} if existing is not None else {}
    used = int(account.call("vpc", "DescribeHaVips", {"Offset": 0, "Limit": 1, **vpc}).get("TotalCount", 0))
    limit = account.find_limit("vpc-max-havips")
    if limit is None:
        return "", f"allowed; {used} in this region"
    if limit == 0:
        return "the account may not have any", ""
    needed = len(account.settings.virtual_ip.addresses)
    in_vpc = used if existing is not None else needed if account.deployed else 0
    return account.judge(limit - in_vpc, limit, needed)
