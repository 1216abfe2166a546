"""`tandem doctor`: what would keep a deployment from working, with the remedy for each finding.

Checks the operator's computer, the account, and the nodes of a deployed stack. Changes nothing.
"""

from __future__ import annotations

import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from provisioning.cloud_calls import CallApi
from provisioning.errors import ProvisioningError
from provisioning.health.results import CheckResult, fail, ok, warning
from provisioning.inventory import Inventory
from provisioning.ssh.connections import Connect, ask_each
from settings.problems import Problem
from settings.sections import Settings

OPERATOR, ACCOUNT = "operator", "account"
_NEWEST_PYTHON = (3, 13)
_MAX_SKEW_S = 120.0  # the API refuses requests that are 5 minutes old
_CREDENTIALS = "set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY"
_PLUGINS = "docs/providers.md: pulumi plugin install resource ..."


def check_operator(find_program: Callable[[str], str | None] = shutil.which) -> Iterator[CheckResult]:
    """This computer: Python and OpenSSH. Other programs come with `scripts/bootstrap`."""
    version = platform.python_version()
    if sys.version_info[:2] <= _NEWEST_PYTHON:
        yield ok(OPERATOR, "Python", version)
    else:
        yield warning(OPERATOR, "Python", f"{version} is newer than tested", "TANDEM_PYTHON=python3.13 scripts/bootstrap localcloud")  # fmt: skip  # noqa: E501 - one command
    if find_program("ssh"):
        yield ok(OPERATOR, "ssh", "on the PATH")
    else:
        yield warning(OPERATOR, "ssh", "not on the PATH: `tandem ssh` does not work", "apt-get install openssh-client")


def check_plugins(installed: Sequence[Mapping[str, Any]], *, replaced: bool) -> CheckResult:
    """The provider plugins, as `pulumi plugin ls --json` lists them. On localcloud, missing ones are replaced."""
    names = {str(each.get("name")) for each in installed}
    missing = [name for name in ("tencentcloud", "random", "tls") if name not in names]
    if not missing or replaced:
        seen = "installed" if not missing else f"localcloud replaces {', '.join(missing)}"
        return ok(OPERATOR, "plugins", seen)
    return fail(OPERATOR, "plugins", f"not installed: {', '.join(missing)}", _PLUGINS)


def check_settings(file: str, problems: Sequence[Problem]) -> CheckResult:
    if not problems:
        return ok(OPERATOR, "settings", f"{file} is valid")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return fail(OPERATOR, "settings", f"{problems[0].key} {problems[0].text}{more}", "tandem config check")


def read_date(settings: Mapping[str, str]) -> str:
    """The `Date` of a response of the API; "" if there is none."""
    domain = settings.get("domain") or settings.get("TENCENTCLOUD_DOMAIN") or "tencentcloudapi.com"
    protocol = (settings.get("protocol") or settings.get("TENCENTCLOUD_PROTOCOL") or "https").lower()
    try:
        return httpx.head(f"{protocol}://cvm.{domain}/", timeout=10).headers.get("Date", "")
    except (httpx.HTTPError, httpx.InvalidURL):
        return ""


def check_clock(date: str, now: Callable[[], float] = time.time) -> CheckResult:
    """Compare the clock with the `Date` of a response."""
    try:
        skew_s = now() - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return warning(OPERATOR, "clock", "not compared: no date in a response of the API", "timedatectl")
    if abs(skew_s) <= _MAX_SKEW_S:
        return ok(OPERATOR, "clock", f"differs from the API's by {abs(skew_s):.0f} s")
    return fail(OPERATOR, "clock", f"differs from the API's by {abs(skew_s):.0f} s", "timedatectl set-ntp true")


def check_account(settings: Settings, call: CallApi | None) -> Iterator[CheckResult]:
    """The account: credentials, quota of addresses, the image, the instance types in the zone, HAVIPs."""
    if call is None:
        yield fail(ACCOUNT, "credentials", "not set", _CREDENTIALS)
        return
    try:
        call("cvm", "DescribeInstances", {"Offset": 0, "Limit": 1})
    except ProvisioningError as error:
        yield fail(ACCOUNT, "credentials", error.message, f"{_CREDENTIALS}; the key in the console (CAM)")
        return
    yield ok(ACCOUNT, "credentials", f"accepted in {settings.region}")
    for name, check, look_at in (
        ("image", _check_image, "tandem:nodes.image"),
        ("instance types", _check_types, "tandem:nodes.type, tandem:network.zone"),
        ("addresses", _check_addresses, "request a higher quota of EIPs in the console; release unused ones"),
        ("HAVIP", _check_havip, "the console, Virtual Private Cloud, HAVIP: request access for the account"),
    ):
        try:
            problem, seen = check(settings, call)
        except ProvisioningError as error:
            # A policy may forbid one action that `up` does not need.
            yield warning(ACCOUNT, name, error.message, "docs/security.md, Access to the account")
            continue
        yield fail(ACCOUNT, name, problem, look_at) if problem else ok(ACCOUNT, name, seen)


def _check_image(settings: Settings, call: CallApi) -> tuple[str, str]:
    image = settings.nodes.image
    found = call("cvm", "DescribeImages", {"Filters": [{"Name": "image-id", "Values": [image]}]}).get("ImageSet") or []
    if not found:
        return f"there is no image {image} in {settings.region}", ""
    return "", f"{image}: {found[0].get('OsName') or found[0].get('ImageName') or 'exists'}"


def _check_types(settings: Settings, call: CallApi) -> tuple[str, str]:
    zone = settings.network.zone
    needed = {node.type or settings.nodes.type for node in settings.nodes.members}
    needed |= {settings.access.bastion.type} if settings.access.mode == "bastion" else set()
    rows = call("cvm", "DescribeZoneInstanceConfigInfos", {"Filters": [{"Name": "zone", "Values": [zone]}]})
    sold = {row["InstanceType"] for row in rows.get("InstanceTypeQuotaSet") or [] if row.get("Status") == "SELL"}
    missing = sorted(needed - sold)
    return (f"{', '.join(missing)} cannot be bought in {zone}" if missing else ""), ", ".join(sorted(needed))


def _check_addresses(settings: Settings, call: CallApi) -> tuple[str, str]:
    mode, nodes = settings.access.mode, len(settings.nodes.members)
    needed = len(settings.virtual_ip.addresses) + {"bastion": 1, "public": nodes}.get(mode, 0)
    needed += settings.network.egress == "nat"
    rows = call("vpc", "DescribeAddressQuota", {}).get("QuotaSet") or []
    total = next((row for row in rows if row.get("QuotaId") == "TOTAL_EIP_QUOTA"), None)
    if total is None:
        return "", "the API shows no quota"
    left = int(total["QuotaLimit"]) - int(total["QuotaCurrent"])
    seen = f"{left} of {total['QuotaLimit']} free; a new stack needs {needed}"
    return (seen if left < needed else ""), seen


def _check_havip(_settings: Settings, call: CallApi) -> tuple[str, str]:
    found = call("vpc", "DescribeHaVips", {"Offset": 0, "Limit": 1})
    return "", f"{found.get('TotalCount', 0)} in this region"


def check_nodes(inventory: Inventory, connect: Connect) -> list[CheckResult]:
    """Whether each node can be reached, and whether a change lock is left."""
    found = ask_each(inventory.nodes, connect, lambda connection: connection.call([{"do": "locked"}], deadline_s=30)[0])
    results: list[CheckResult] = []
    for node, lease in zip(inventory.nodes, found, strict=True):
        if isinstance(lease, ProvisioningError):
            look_at = lease.look_at or "the console of the instance"
            results.append(fail(node.name, "SSH", lease.message, f"{look_at}; tandem:access.adminCidrs"))
        elif lease is None:
            results.append(ok(node.name, "SSH", "reached, no change lock"))
        else:
            results.append(warning(node.name, "SSH", "reached; a change lock is held", "tandem unlock"))
    return results
