"""`tandem doctor`: what would keep a deployment from working, with the remedy for each finding.

Checks the operator's host, the account (account_checks.py), and a deployed stack: its domains and nodes. Changes
nothing.
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

from operations.workspace import shorten
from provisioning.errors import ProvisioningError
from provisioning.health.checks import Group
from provisioning.health.public_checks import UNFILED, Address, Service, is_blocked
from provisioning.health.results import CheckResult, fail, ok, warning
from provisioning.inventory import Inventory
from provisioning.ssh.connections import Connect, ask_each
from settings.problems import MISSING, Problem

OPERATOR, DOMAINS = "operator", "domains"
_NEWEST_PYTHON = (3, 13)
_MAX_SKEW_S = 120.0  # the API refuses requests that are 5 minutes old
_PLUGINS = "docs/providers.md has the three commands `pulumi plugin install resource ...`"


def check_operator(find_program: Callable[[str], str | None] = shutil.which) -> Iterator[CheckResult]:
    """The operator's host: Python and OpenSSH. Other programs come with `scripts/bootstrap`."""
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


def check_settings(file: str, problems: Sequence[Problem], stack: str) -> CheckResult:
    if not problems:
        return ok(OPERATOR, "settings", f"{file} is valid")
    if problems[0].text == MISSING:
        return fail(OPERATOR, "settings", f"{file} does not exist", f"tandem init {stack}")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return fail(OPERATOR, "settings", shorten(f"{problems[0].key} {problems[0].text}{more}"), "tandem config check")


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


def check_filing(group: Group, ask: Callable[[Address, Service], bool | None] = is_blocked) -> Iterator[CheckResult]:
    """Whether the cloud answers plain HTTP for a domain with its block page: the domain has no ICP filing."""
    for service in group.public.services:
        seen = {address.ip: ask(address, service) for address in group.public.addresses}
        blocked = [ip for ip, found in seen.items() if found]
        if blocked:
            yield fail(DOMAINS, service.domain, f"{', '.join(blocked)} answers with the cloud's block page", UNFILED)
        elif None in seen.values():
            if service.http == "off":
                continue
            yield warning(DOMAINS, service.domain, "no answer on port 80: not compared", "tandem health")
        else:
            yield ok(DOMAINS, service.domain, "not blocked (ICP)")


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
