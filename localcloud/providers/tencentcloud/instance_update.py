"""Changes of an instance in place: one entry for each property, in the order of the real provider."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

from localcloud.providers.errors import ProviderError
from localcloud.providers.tencentcloud import tags
from localcloud.providers.tencentcloud.api import Api, wait_until
from localcloud.providers.values import Properties

_TIMEOUT_S: Final = 360.0

Change = Callable[[Api, str, Properties, Properties], None]


def find_instance(api: Api, instance_id: str) -> dict[str, Any] | None:
    return api.find("cvm", "DescribeInstances", "InstanceSet", InstanceIds=[instance_id])


def wait_until_operated(api: Api, instance_id: str) -> None:
    """Wait for the end of the current operation. Raises: ProviderError if it failed."""

    def ended() -> dict[str, Any] | None:
        found = find_instance(api, instance_id)
        if found is None:
            raise ProviderError(f"{instance_id} was deleted during an operation")
        return None if found.get("LatestOperationState") == "OPERATING" else found

    one = wait_until(f"the operation on {instance_id} to end", ended, timeout_s=_TIMEOUT_S) or {}
    if one.get("LatestOperationState") == "FAILED":
        raise ProviderError(
            f"{instance_id}: {one.get('LatestOperation')} failed: {one.get('LatestOperationErrorMsg') or 'no reason'}"
        )


def _attributes(key: str, name: str) -> Change:
    def change(api: Api, instance_id: str, _old: Properties, new: Properties) -> None:
        api.cvm("ModifyInstancesAttribute", {"InstanceIds": [instance_id], key: new[name]})

    return change


def _project(api: Api, instance_id: str, _old: Properties, new: Properties) -> None:
    api.cvm("ModifyInstancesProject", {"InstanceIds": [instance_id], "ProjectId": new["projectId"]})


def _reset(api: Api, instance_id: str, _old: Properties, new: Properties) -> None:
    """Replace the system disk for a new image or other agents."""
    services = ("SecurityService", "MonitorService", "AutomationService")
    api.cvm(
        "ResetInstance",
        {
            "InstanceId": instance_id,
            "ImageId": new.get("imageId"),
            "LoginSettings": {"KeyIds": new["keyIds"]} if new.get("keyIds") else None,
            "EnhancedService": {service: {"Enabled": not new.get(f"disable{service}", False)} for service in services},
        },
    )
    wait_until_operated(api, instance_id)


def _keys(api: Api, instance_id: str, old: Properties, new: Properties) -> None:
    before, after = set(old.get("keyIds") or ()), set(new.get("keyIds") or ())
    for action, keys in (
        ("DisassociateInstancesKeyPairs", before - after),
        ("AssociateInstancesKeyPairs", after - before),
    ):
        if keys:
            api.cvm(action, {"InstanceIds": [instance_id], "KeyIds": sorted(keys), "ForceStop": True})
            wait_until_operated(api, instance_id)


def _running(api: Api, instance_id: str, _old: Properties, new: Properties) -> None:
    state = "RUNNING" if new["runningFlag"] else "STOPPED"

    def in_state() -> bool:
        return (find_instance(api, instance_id) or {}).get("InstanceState") == state

    if in_state():  # the settle step, which precedes each update, has stopped it
        return
    api.cvm("StartInstances" if new["runningFlag"] else "StopInstances", {"InstanceIds": [instance_id]})
    wait_until_operated(api, instance_id)
    wait_until(f"{instance_id} to be {state}", in_state, timeout_s=_TIMEOUT_S)


def _system_disk(api: Api, instance_id: str, old: Properties, new: Properties) -> None:
    disk = {
        "DiskType": new.get("systemDiskType", old.get("systemDiskType")),
        "DiskSize": new.get("systemDiskSize", old.get("systemDiskSize")),
    }
    api.cvm("ResizeInstanceDisks", {"InstanceId": instance_id, "ForceStop": True, "SystemDisk": disk})

    def resized() -> bool:
        now = (find_instance(api, instance_id) or {}).get("SystemDisk") or {}
        return all(now.get(key) == value for key, value in disk.items() if value is not None)

    wait_until(f"the system disk of {instance_id} to be {disk}", resized, timeout_s=_TIMEOUT_S)
    wait_until_operated(api, instance_id)


def _type(api: Api, instance_id: str, _old: Properties, new: Properties) -> None:
    api.cvm(
        "ResetInstancesType", {"InstanceIds": [instance_id], "InstanceType": new["instanceType"], "ForceStop": True}
    )
    wait_until_operated(api, instance_id)


def _network(api: Api, instance_id: str, old: Properties, new: Properties) -> None:
    cloud: dict[str, Any] = {
        "VpcId": new.get("vpcId", old.get("vpcId")),
        "SubnetId": new.get("subnetId", old.get("subnetId")),
    }
    if new.get("privateIp"):
        cloud["PrivateIpAddresses"] = [new["privateIp"]]
    api.cvm("ModifyInstancesVpcAttribute", {"InstanceIds": [instance_id], "VirtualPrivateCloud": cloud})
    wait_until_operated(api, instance_id)


def _tags(api: Api, instance_id: str, old: Properties, new: Properties) -> None:
    tags.change(api, "cvm/instance", instance_id, old, new)
    one = find_instance(api, instance_id) or {}
    for disk in (one.get("SystemDisk") or {}, *(one.get("DataDisks") or ())):
        if str(disk.get("DiskId")).startswith("disk-"):
            tags.change(api, "cvm/volume", disk["DiskId"], old, new)


def _bandwidth(api: Api, instance_id: str, old: Properties, new: Properties) -> None:
    accessible = {
        "InternetMaxBandwidthOut": new.get("internetMaxBandwidthOut", old.get("internetMaxBandwidthOut")),
        "InternetChargeType": new.get("internetChargeType"),
    }
    accessible = {key: value for key, value in accessible.items() if value is not None}
    api.cvm("ResetInstancesInternetMaxBandwidth", {"InstanceIds": [instance_id], "InternetAccessible": accessible})
    wait_until_operated(api, instance_id)


def _user_data(api: Api, instance_id: str, _old: Properties, new: Properties) -> None:
    data = new.get("userData") or base64.b64encode(str(new.get("userDataRaw") or "").encode()).decode()
    api.cvm("ModifyInstancesAttribute", {"InstanceIds": [instance_id], "UserData": data})
    wait_until_operated(api, instance_id)


def _placement_group(api: Api, instance_id: str, _old: Properties, new: Properties) -> None:
    if not new.get("placementGroupId"):
        raise ProviderError(f"placementGroupId of {instance_id} cannot be removed; set another placement group")
    api.cvm(
        "ModifyInstancesDisasterRecoverGroup",
        {"InstanceIds": [instance_id], "DisasterRecoverGroupId": new["placementGroupId"]},
    )


_CHANGES: Final[tuple[tuple[frozenset[str], Change], ...]] = (
    (frozenset({"projectId"}), _project),
    (
        frozenset(
            {"imageId", "disableSecurityService", "disableMonitorService", "disableAutomationService", "keepImageLogin"}
        ),
        _reset,
    ),
    (frozenset({"instanceName"}), _attributes("InstanceName", "instanceName")),
    (frozenset({"hostname"}), _attributes("HostName", "hostname")),
    (frozenset({"disableApiTermination"}), _attributes("DisableApiTermination", "disableApiTermination")),
    (frozenset({"camRoleName"}), _attributes("CamRoleName", "camRoleName")),
    (frozenset({"securityGroups"}), _attributes("SecurityGroups", "securityGroups")),
    (frozenset({"orderlySecurityGroups"}), _attributes("SecurityGroups", "orderlySecurityGroups")),
    (frozenset({"keyIds"}), _keys),
    (frozenset({"runningFlag"}), _running),
    (frozenset({"systemDiskSize", "systemDiskType"}), _system_disk),
    (frozenset({"instanceType"}), _type),
    (frozenset({"vpcId", "subnetId", "privateIp"}), _network),
    (frozenset({"tags"}), _tags),
    (frozenset({"internetMaxBandwidthOut", "internetChargeType"}), _bandwidth),
    (frozenset({"userData", "userDataRaw"}), _user_data),
    (frozenset({"placementGroupId"}), _placement_group),
)
# Options for deletion and replacement, which need no API call.
_QUIET: Final = frozenset(
    {
        "forceDelete",
        "releaseAddress",
        "userDataReplaceOnChange",
        "forceReplacePlacementGroupId",
        "stoppedMode",
        "stopType",
        "systemDiskResizeOnline",
    }
)


def update(api: Api, instance_id: str, old: Properties, new: Properties) -> None:
    """Raises: ProviderError for a property that cannot be changed in place."""
    # A property that the program no longer sets keeps its value, except tags and user data, because the cloud
    # computes it.
    removable = {"tags", "userData", "userDataRaw", "placementGroupId"}
    changed = {name for name in {*old, *new} if old.get(name) != new.get(name) and (name in new or name in removable)}
    if "userData" not in new and old.get("userData") is None:
        changed.discard("userData")
    if "placementGroupId" not in new:
        changed.discard("placementGroupId")
    known = frozenset().union(*(names for names, _ in _CHANGES)) | _QUIET
    if changed - known:
        raise ProviderError(f"{', '.join(sorted(changed - known))} cannot be changed in place")
    for names, change in _CHANGES:
        if names & changed:
            change(api, instance_id, old, new)
