"""Instance/instance: create, read and delete. Changes are in instance_update.py."""

from __future__ import annotations

import base64
from typing import Any, Final

from localcloud.providers.errors import ProviderError, UnseenError
from localcloud.providers.schema import COMPUTED, FIXED, OPTIONAL, REQUIRED, Property
from localcloud.providers.tencentcloud import tags
from localcloud.providers.tencentcloud.api import Api, ignore_missing, wait_until
from localcloud.providers.tencentcloud.instance_update import find_instance, update
from localcloud.providers.tencentcloud.resource_type import ResourceType
from localcloud.providers.values import Properties

_START_TIMEOUT_S: Final = 900.0
_GONE_TIMEOUT_S: Final = 900.0
_USER_DATA_LIMIT: Final = 16 * 1024


def _check(inputs: Properties) -> str | None:
    data = inputs.get("userData") or ""
    # 16 KiB before encoding, the limit of RunInstances.
    if len(data) * 3 // 4 > _USER_DATA_LIMIT:
        return f"userData must not exceed {_USER_DATA_LIMIT} bytes (got {len(data) * 3 // 4})"
    if data and inputs.get("userDataRaw"):
        return "userData and userDataRaw must not both be set"
    return None


def _user_data(inputs: Properties) -> str | None:
    if inputs.get("userDataRaw"):
        return base64.b64encode(inputs["userDataRaw"].encode()).decode()
    return inputs.get("userData")


def _disk(disk: Properties) -> dict[str, Any]:
    keys = (
        ("dataDiskType", "DiskType"),
        ("dataDiskSize", "DiskSize"),
        ("dataDiskSnapshotId", "SnapshotId"),
        ("encrypt", "Encrypt"),
        ("throughputPerformance", "ThroughputPerformance"),
    )
    return {
        **{key: disk[name] for name, key in keys if disk.get(name) is not None},
        "DeleteWithInstance": disk.get("deleteWithInstance", True),
    }


def _given(**values: Any) -> dict[str, Any] | None:
    found = {key: value for key, value in values.items() if value is not None}
    return found or None


def _create(api: Api, inputs: Properties, token: str) -> str:
    private_ip = inputs.get("privateIp")
    group = inputs.get("placementGroupId")
    services = ("SecurityService", "MonitorService", "AutomationService")
    answer = api.cvm(
        "RunInstances",
        {
            "Placement": _given(Zone=inputs["availabilityZone"], ProjectId=inputs.get("projectId")),
            "InstanceType": inputs.get("instanceType"),
            "ImageId": inputs.get("imageId"),
            "InstanceChargeType": inputs.get("instanceChargeType"),
            "SystemDisk": _given(DiskType=inputs.get("systemDiskType"), DiskSize=inputs.get("systemDiskSize")),
            "DataDisks": [_disk(disk) for disk in inputs.get("dataDisks") or ()] or None,
            "VirtualPrivateCloud": _given(
                VpcId=inputs.get("vpcId"),
                SubnetId=inputs.get("subnetId"),
                PrivateIpAddresses=[private_ip] if private_ip else None,
            ),
            "InternetAccessible": _given(
                PublicIpAssigned=inputs["allocatePublicIp"],
                InternetChargeType=inputs.get("internetChargeType"),
                InternetMaxBandwidthOut=inputs.get("internetMaxBandwidthOut"),
            ),
            "InstanceName": inputs.get("instanceName"),
            "HostName": inputs.get("hostname"),
            "LoginSettings": _given(
                KeyIds=inputs.get("keyIds") or None,
                Password=inputs.get("password"),
                KeepImageLogin="true" if inputs.get("keepImageLogin") else None,
            ),
            "SecurityGroupIds": inputs.get("orderlySecurityGroups") or inputs.get("securityGroups"),
            "EnhancedService": {
                service: {"Enabled": not inputs.get(f"disable{service}", False)} for service in services
            },
            "DisasterRecoverGroupIds": [group] if group else None,
            "DisableApiTermination": inputs.get("disableApiTermination"),
            "TagSpecification": tags.specification("instance", inputs.get("tags")),
            "UserData": _user_data(inputs),
            "ClientToken": token,
        },
    )
    return answer["InstanceIdSet"][0]


def _settle(api: Api, instance_id: str, inputs: Properties) -> None:
    def started() -> bool:
        found = find_instance(api, instance_id)
        if found is None:
            # The real plugin crashes here, without a state (1.82.42: resourceTencentCloudInstanceCreate).
            raise UnseenError(instance_id)
        if found["InstanceState"] == "LAUNCH_FAILED":
            reason = found.get("LatestOperationErrorMsg") or "no reason reported"
            raise ProviderError(f"{instance_id} failed to launch: {reason}")
        return found["InstanceState"] in {"RUNNING", "STOPPED"}

    wait_until(f"{instance_id} to run", started, timeout_s=_START_TIMEOUT_S)
    if inputs.get("runningFlag") is False:
        update(api, instance_id, {**inputs, "runningFlag": True}, inputs)


def _read(api: Api, instance_id: str, inputs: Properties) -> Properties | None:
    one = find_instance(api, instance_id)
    if one is None:
        return None
    cloud, placement, login = one["VirtualPrivateCloud"], one["Placement"], one["LoginSettings"]
    read: Properties = {
        "availabilityZone": placement["Zone"],
        "projectId": placement.get("ProjectId") or 0,
        "instanceName": one["InstanceName"],
        "instanceType": one["InstanceType"],
        "imageId": one["ImageId"],
        "instanceChargeType": one["InstanceChargeType"],
        "instanceChargeTypePrepaidRenewFlag": one.get("RenewFlag") or "",
        "instanceStatus": one["InstanceState"],
        "runningFlag": one["InstanceState"] != "STOPPED",
        "vpcId": cloud["VpcId"],
        "subnetId": cloud["SubnetId"],
        "privateIp": next(iter(one.get("PrivateIpAddresses") or []), ""),
        "publicIp": next(iter(one.get("PublicIpAddresses") or []), ""),
        "keyIds": login.get("KeyIds") or [],
        "systemDiskType": one["SystemDisk"]["DiskType"],
        "systemDiskSize": one["SystemDisk"]["DiskSize"],
        "systemDiskId": one["SystemDisk"].get("DiskId") or "",
        "dataDisks": [_read_disk(disk) for disk in one.get("DataDisks") or []],
        "internetChargeType": one["InternetAccessible"].get("InternetChargeType") or "",
        "internetMaxBandwidthOut": one["InternetAccessible"].get("InternetMaxBandwidthOut") or 0,
        "placementGroupId": one.get("DisasterRecoverGroupId") or "",
        "disableApiTermination": bool(one.get("DisableApiTermination")),
        "createTime": one.get("CreatedTime") or "",
        "expiredTime": one.get("ExpiredTime") or "",
        "cpu": one.get("CPU") or 0,
        "memory": one.get("Memory") or 0,
        "osName": one.get("OsName") or "",
        "uuid": one.get("Uuid") or "",
        "tags": tags.read(api, "cvm/instance", instance_id),
        "password": inputs.get("password") or "",
        **_read_user_data(api, instance_id),
    }
    # The same list twice: in order of precedence, and without order.
    read["orderlySecurityGroups"] = one.get("SecurityGroupIds") or []
    read["securityGroups"] = sorted(read["orderlySecurityGroups"])
    return read


def _read_user_data(api: Api, instance_id: str) -> Properties:
    """Return the user data under both names, as the real provider does."""
    answer = api.cvm("DescribeInstancesAttributes", {"InstanceIds": [instance_id], "Attributes": ["UserData"]})
    for instance in answer["InstanceSet"]:
        data = instance["Attributes"].get("UserData") or ""
        return {"userData": data, "userDataRaw": base64.b64decode(data).decode(errors="replace")}
    return {}


def _read_disk(disk: dict[str, Any]) -> Properties:
    return {
        "dataDiskId": disk.get("DiskId") or "",
        "dataDiskType": disk["DiskType"],
        "dataDiskSize": disk["DiskSize"],
        "deleteWithInstance": disk.get("DeleteWithInstance", True),
    }


def _delete(api: Api, instance_id: str, outputs: Properties) -> None:
    if find_instance(api, instance_id) is None:
        return
    ignore_missing(lambda: api.cvm("TerminateInstances", {"InstanceIds": [instance_id]}))

    def deleted() -> bool:
        found = find_instance(api, instance_id)
        # SHUTDOWN without an operation in progress means the recycle bin.
        return found is None or (
            found["InstanceState"] == "SHUTDOWN" and found.get("LatestOperationState") != "OPERATING"
        )

    wait_until(f"{instance_id} to be terminated", deleted, timeout_s=_GONE_TIMEOUT_S)
    if outputs.get("vpcId") and outputs.get("privateIp"):
        _wait_for_address(api, outputs)


def _wait_for_address(api: Api, outputs: Properties) -> None:
    """Wait for the release of the address after the deletion, because a replacement may use the same address."""
    used = {
        "VpcId": outputs["vpcId"],
        "SubnetId": outputs["subnetId"],
        "IpAddresses": [outputs["privateIp"]],
        "Offset": 0,
        "Limit": 20,
    }

    def free() -> bool:
        return not api.rows("vpc", "DescribeUsedIpAddress", "IpAddressStates", **used)

    wait_until(f"{outputs['privateIp']} to be released", free, timeout_s=_GONE_TIMEOUT_S)


_DATA_DISK: Final = {
    "dataDiskType": FIXED,
    "dataDiskSize": REQUIRED,
    "dataDiskId": COMPUTED,
    "dataDiskSnapshotId": Property(replaces=True),
    "deleteWithInstance": Property(default=True, replaces=True),
    "encrypt": Property(default=False, replaces=True),
    "throughputPerformance": Property(default=0, replaces=True),
}

INSTANCE = ResourceType(
    properties={
        "availabilityZone": Property(required=True, computed=True, replaces=True),
        **dict.fromkeys(("instanceName", "hostname", "instanceType", "imageId", "projectId"), COMPUTED),
        **dict.fromkeys(("instanceChargeType", "placementGroupId", "runningFlag", "disableApiTermination"), COMPUTED),
        **dict.fromkeys(("vpcId", "subnetId", "privateIp", "orderlySecurityGroups"), COMPUTED),
        **dict.fromkeys(("internetChargeType", "internetMaxBandwidthOut", "keepImageLogin"), COMPUTED),
        **dict.fromkeys(("systemDiskType", "systemDiskSize", "userData", "userDataRaw", "tags"), COMPUTED),
        "securityGroups": Property(computed=True, unordered=True),
        "keyIds": Property(computed=True, unordered=True),
        "password": OPTIONAL,
        "camRoleName": OPTIONAL,
        "allocatePublicIp": Property(replaces=True, default=False),
        "dataDisks": Property(computed=True, replaces=True, nested=_DATA_DISK),
        "disableSecurityService": Property(default=False),
        "disableMonitorService": Property(default=False),
        "disableAutomationService": Property(default=False),
        "userDataReplaceOnChange": Property(default=False),
        "forceDelete": Property(default=False),
    },
    check=_check,
    secrets=frozenset({"password"}),
    create=_create,
    settle=_settle,
    read=_read,
    update=update,
    delete=_delete,
)
