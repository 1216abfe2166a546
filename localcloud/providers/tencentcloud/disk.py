"""Cbs/storage, Cbs/storageAttachment, Cbs/snapshotPolicy and Cbs/snapshotPolicyAttachment."""

from __future__ import annotations

from typing import Any, Final

from localcloud.providers.errors import ProviderError
from localcloud.providers.schema import COMPUTED, FIXED, OPTIONAL, REQUIRED, Property
from localcloud.providers.tencentcloud import tags
from localcloud.providers.tencentcloud.api import Api, deleting, ignore_missing, wait_until
from localcloud.providers.tencentcloud.resource_type import ResourceType
from localcloud.providers.values import Properties

_TIMEOUT_S: Final = 300.0


def _find(api: Api, disk_id: str) -> dict[str, Any] | None:
    return api.find("cbs", "DescribeDisks", "DiskSet", DiskIds=[disk_id])


def _wait_for(api: Api, disk_id: str, *states: str) -> None:
    def in_state() -> bool:
        return (_find(api, disk_id) or {}).get("DiskState") in states

    wait_until(f"{disk_id} to be {' or '.join(states)}", in_state, timeout_s=_TIMEOUT_S)


def _create(api: Api, inputs: Properties, token: str) -> str:
    placement: dict[str, Any] = {"Zone": inputs["availabilityZone"]}
    if inputs.get("projectId"):
        placement["ProjectId"] = inputs["projectId"]
    answer = api.call(
        "cbs",
        "CreateDisks",
        {
            "DiskName": inputs["storageName"],
            "DiskType": inputs["storageType"],
            "DiskSize": inputs["storageSize"],
            "Placement": placement,
            "DiskChargeType": inputs["chargeType"],
            "SnapshotId": inputs.get("snapshotId"),
            "Encrypt": "ENCRYPT" if inputs.get("encrypt") else None,
            "KmsKeyId": inputs.get("kmsKeyId"),
            "ThroughputPerformance": inputs.get("throughputPerformance"),
            "Tags": tags.as_list(inputs.get("tags")),
            "ClientToken": token,
        },
    )
    return answer["DiskIdSet"][0]


def _settle(api: Api, disk_id: str, _inputs: Properties) -> None:
    _wait_for(api, disk_id, "UNATTACHED", "ATTACHED")


def _read(api: Api, disk_id: str, _inputs: Properties) -> Properties | None:
    disk = _find(api, disk_id)
    if disk is None:
        return None
    return {
        "storageName": disk["DiskName"],
        "storageType": disk["DiskType"],
        "storageSize": disk["DiskSize"],
        "availabilityZone": disk["Placement"]["Zone"],
        "projectId": disk["Placement"].get("ProjectId") or 0,
        "chargeType": disk.get("DiskChargeType") or "POSTPAID_BY_HOUR",
        "encrypt": bool(disk.get("Encrypt")),
        "attached": bool(disk.get("Attached")),
        "storageStatus": disk["DiskState"],
        "tags": tags.read(api, "cvm/volume", disk_id),
    }


def _update(api: Api, disk_id: str, old: Properties, new: Properties) -> None:
    for name in ("chargeType", "snapshotId", "throughputPerformance"):
        if (new.get(name) or None) != (old.get(name) or None):
            raise ProviderError(f"{name} cannot be changed: localcloud does not emulate it (got {new.get(name)})")
    changed = {
        key: new[name]
        for name, key in (("storageName", "DiskName"), ("projectId", "ProjectId"))
        if name in new and new[name] != old.get(name)
    }
    if changed:
        api.call("cbs", "ModifyDiskAttributes", {"DiskIds": [disk_id], **changed})
    if new["storageSize"] < old["storageSize"]:
        raise ProviderError(f"storageSize cannot shrink (current {old['storageSize']}, requested {new['storageSize']})")
    if new["storageSize"] > old["storageSize"]:
        api.call("cbs", "ResizeDisk", {"DiskId": disk_id, "DiskSize": new["storageSize"]})

        def resized() -> bool:
            disk = _find(api, disk_id) or {}
            return disk.get("DiskSize") == new["storageSize"] and disk["DiskState"] != "EXPANDING"

        wait_until(f"{disk_id} to be expanded", resized, timeout_s=_TIMEOUT_S)
    tags.change(api, "cvm/volume", disk_id, old, new)


def _delete(api: Api, disk_id: str, _outputs: Properties) -> None:
    if _find(api, disk_id) is None:
        return
    ignore_missing(lambda: api.call("cbs", "TerminateDisks", {"DiskIds": [disk_id]}))

    def deleted() -> bool:
        disk = _find(api, disk_id)
        return disk is None or disk["DiskState"] == "TORECYCLE"

    wait_until(f"{disk_id} to be deleted", deleted, timeout_s=_TIMEOUT_S)


STORAGE = ResourceType(
    properties={
        "storageName": REQUIRED,
        "storageType": FIXED,
        "storageSize": REQUIRED,
        "availabilityZone": FIXED,
        "chargeType": Property(default="POSTPAID_BY_HOUR"),
        "projectId": Property(default=0),
        "snapshotId": COMPUTED,
        "encrypt": Property(replaces=True),
        "kmsKeyId": Property(computed=True, replaces=True),
        "throughputPerformance": Property(default=0),
        "forceDelete": Property(default=False),
        "tags": OPTIONAL,
    },
    create=_create,
    settle=_settle,
    read=_read,
    update=_update,
    delete=_delete,
)


def _attach(api: Api, inputs: Properties, _token: str) -> str:
    api.call("cbs", "AttachDisks", {"DiskIds": [inputs["storageId"]], "InstanceId": inputs["instanceId"]})
    return inputs["storageId"]


def _settle_attachment(api: Api, disk_id: str, _inputs: Properties) -> None:
    _wait_for(api, disk_id, "ATTACHED")


def _read_attachment(api: Api, disk_id: str, inputs: Properties) -> Properties | None:
    disk = _find(api, disk_id)
    if disk is None or disk.get("InstanceId") not in (inputs.get("instanceId"), None, ""):
        return None
    # An attachment in progress exists; the settle step waits for its end.
    if disk["DiskState"] == "UNATTACHED":
        return None
    return {"storageId": disk_id, "instanceId": disk.get("InstanceId") or inputs["instanceId"]}


def _detach(api: Api, disk_id: str, outputs: Properties) -> None:
    disk = _find(api, disk_id)
    if disk is None or disk["DiskState"] == "UNATTACHED" or disk.get("InstanceId") != outputs["instanceId"]:
        return
    ignore_missing(lambda: api.call("cbs", "DetachDisks", {"DiskIds": [disk_id], "InstanceId": outputs["instanceId"]}))
    _wait_for(api, disk_id, "UNATTACHED")


STORAGE_ATTACHMENT = ResourceType(
    properties={"storageId": FIXED, "instanceId": FIXED},
    create=_attach,
    settle=_settle_attachment,
    read=_read_attachment,
    delete=_detach,
)


def _schedule(inputs: Properties) -> list[dict[str, Any]]:
    return [{"DayOfWeek": inputs["repeatWeekdays"], "Hour": inputs["repeatHours"]}]


def _create_policy(api: Api, inputs: Properties, _token: str) -> str:
    given = {
        "AutoSnapshotPolicyName": inputs["snapshotPolicyName"],
        "Policy": _schedule(inputs),
        "RetentionDays": inputs["retentionDays"],
    }
    return api.call("cbs", "CreateAutoSnapshotPolicy", given)["AutoSnapshotPolicyId"]


def _read_policy(api: Api, policy_id: str, _inputs: Properties) -> Properties | None:
    set_name = "AutoSnapshotPolicySet"
    policy = api.find("cbs", "DescribeAutoSnapshotPolicies", set_name, AutoSnapshotPolicyIds=[policy_id])
    if policy is None:
        return None
    (schedule,) = policy["Policy"]
    return {
        "snapshotPolicyName": policy["AutoSnapshotPolicyName"],
        "repeatWeekdays": schedule["DayOfWeek"],
        "repeatHours": schedule["Hour"],
        "retentionDays": policy["RetentionDays"],
    }


def _update_policy(api: Api, policy_id: str, old: Properties, new: Properties) -> None:
    given: dict[str, Any] = {"AutoSnapshotPolicyId": policy_id}
    for name, parameter in (("snapshotPolicyName", "AutoSnapshotPolicyName"), ("retentionDays", "RetentionDays")):
        if new[name] != old[name]:
            given[parameter] = new[name]
    if _schedule(new) != _schedule(old):
        given["Policy"] = _schedule(new)
    api.call("cbs", "ModifyAutoSnapshotPolicyAttribute", given)


SNAPSHOT_POLICY = ResourceType(
    properties={
        "snapshotPolicyName": REQUIRED,
        "repeatWeekdays": REQUIRED,
        "repeatHours": REQUIRED,
        "retentionDays": Property(default=7),
    },
    create=_create_policy,
    read=_read_policy,
    update=_update_policy,
    delete=deleting("cbs", "DeleteAutoSnapshotPolicies", lambda policy_id: {"AutoSnapshotPolicyIds": [policy_id]}),
)


def _bind(api: Api, inputs: Properties, _token: str) -> str:
    disk_id, policy_id = inputs["storageId"], inputs["snapshotPolicyId"]
    api.call("cbs", "BindAutoSnapshotPolicy", {"AutoSnapshotPolicyId": policy_id, "DiskIds": [disk_id]})
    return f"{disk_id}#{policy_id}"


def _read_binding(api: Api, binding_id: str, _inputs: Properties) -> Properties | None:
    disk_id, _, policy_id = binding_id.partition("#")
    found = api.rows("cbs", "DescribeDiskAssociatedAutoSnapshotPolicy", "AutoSnapshotPolicySet", DiskId=disk_id)
    if all(policy["AutoSnapshotPolicyId"] != policy_id for policy in found):
        return None
    return {"storageId": disk_id, "snapshotPolicyId": policy_id}


def _unbind(api: Api, binding_id: str, _outputs: Properties) -> None:
    disk_id, _, policy_id = binding_id.partition("#")
    given = {"AutoSnapshotPolicyId": policy_id, "DiskIds": [disk_id]}
    ignore_missing(lambda: api.call("cbs", "UnbindAutoSnapshotPolicy", given))


SNAPSHOT_POLICY_ATTACHMENT = ResourceType(
    properties={"storageId": FIXED, "snapshotPolicyId": FIXED}, create=_bind, read=_read_binding, delete=_unbind
)
