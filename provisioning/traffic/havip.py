"""Confirms through the cloud's API that traffic follows a virtual IP.

A HAVIP can take 10 s to follow the node that announces its address, in some regions a minute
(https://intl.cloud.tencent.com/document/product/215/31817). Until then, requests still arrive at the previous node.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from provisioning import cloud_calls
from provisioning.cloud_calls import CallApi
from provisioning.errors import ProvisioningError, SwitchoverError
from provisioning.inventory import Inventory, RemoteNode

Confirm = Callable[[str, RemoteNode], str]
DEADLINE_S = 150.0
_INTERVAL_S = 1.0
_MAX_FILTER_VALUES = 5  # of DescribeHaVips


def confirm_with(
    inventory: Inventory,
    settings: Mapping[str, str],
    *,
    connect: Callable[[Mapping[str, str]], CallApi] = cloud_calls.connect,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Confirm:
    """Return a function that waits until the HAVIP of an address follows a node. It returns what was seen.

    `settings` are environment variables and the stack's `tencentcloud:*` settings. Without credentials the function
    does not wait. Raises (the function): SwitchoverError if the HAVIP does not follow the node.
    """

    def confirm(address: str, node: RemoteNode) -> str:
        if not cloud_calls.has_credentials(settings):
            return "not confirmed by the HAVIP, since no API credentials are set"
        try:
            call = connect(settings)
            seen = _wait_until_it_follows(call, inventory, address, node, sleep=sleep, now=now)
        except SwitchoverError:
            raise
        except ProvisioningError as error:
            return f"not confirmed by the HAVIP: {error.message}"
        return seen

    return confirm


def find_havip(call: CallApi, inventory: Inventory, address: str) -> dict[str, Any] | None:
    """The HAVIP of an address as the API shows it; None if the group has no such HAVIP."""
    eligible = [node.instance_id for node in inventory.nodes if node.eligible][:_MAX_FILTER_VALUES]
    filters = [
        {"Name": "vip", "Values": [address]},
        {"Name": "havip-association.instance-id", "Values": eligible},
    ]
    found = call("vpc", "DescribeHaVips", {"Filters": filters, "Offset": 0, "Limit": 100}).get("HaVipSet") or []
    return next((each for each in found if each.get("Vip") == address), None)


def find_holder(call: CallApi, inventory: Inventory, address: str) -> str | None:
    """The id of the instance that the HAVIP of an address follows; None if the group has no such HAVIP."""
    havip = find_havip(call, inventory, address)
    return None if havip is None else havip.get("InstanceId") or ""


def find_detached(havip: Mapping[str, Any], inventory: Inventory) -> list[str]:
    """Eligible nodes whose announcements have no effect, because `tandem fence` or an operator has detached them."""
    attached = {each["InstanceId"] for each in havip.get("HaVipAssociationSet") or []}
    if not attached:  # the filter matched an attached instance, so the API has omitted the set
        return []
    return [node.name for node in inventory.nodes if node.eligible and node.instance_id not in attached]


def check_attached(call: CallApi, inventory: Inventory, to: str | None) -> None:
    """Check for each virtual IP that a node that would take it over is attached to its HAVIP.

    These nodes are `to`, or without it all eligible nodes except the master. Raises SwitchoverError or CloudApiError.
    """
    for address in inventory.virtual_ips:
        havip = find_havip(call, inventory, address)
        if havip is None:
            continue
        holder = havip.get("InstanceId") or ""
        others = [node.name for node in inventory.nodes if node.eligible and node.instance_id != holder]
        takers = others if to is None else [to]
        if takers and set(takers) <= set(find_detached(havip, inventory)):
            raise SwitchoverError(
                f"{' and '.join(takers)} cannot take over {address}: not attached to its HAVIP, so clients would not "
                "reach it; nothing was changed",
                look_at="`tandem up` attaches it again after `tandem fence` (docs/split-brain.md)",
            )


def _wait_until_it_follows(
    call: CallApi,
    inventory: Inventory,
    address: str,
    node: RemoteNode,
    *,
    sleep: Callable[[float], None],
    now: Callable[[], float],
) -> str:
    began = now()
    while True:
        holder = find_holder(call, inventory, address)
        waited_s = now() - began
        if holder is None:
            return "not confirmed: the API shows no HAVIP with this address"
        if holder == node.instance_id:
            return f"confirmed by the HAVIP after {waited_s:.0f} s"
        if waited_s > DEADLINE_S:
            names = {each.instance_id: each.name for each in inventory.nodes}
            raise SwitchoverError(
                f"the HAVIP of {address} does not follow {node.name} within {DEADLINE_S:.0f} s, "
                f"although {node.name} holds the address",
                seen=f"DescribeHaVips: {address} follows {names.get(holder, holder or 'no instance')}",
                look_at="the HAVIP in the console; whether both eligible nodes are attached to it",
            )
        sleep(_INTERVAL_S)
