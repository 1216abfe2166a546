"""Operations on existing instances."""

from __future__ import annotations

from localcloud.rules import (
    disk_types,
    instance,
    instance_attributes,
    instance_change,
    instance_state,
    key_pair,
    placement,
)
from localcloud.rules.refusal import InvalidParameterValue, documented, rule
from localcloud.services.actions import Call, action
from localcloud.services.parameters import Parameters
from localcloud.services.run_instances import BANDWIDTH_MBPS, PasswordNotEmulated

_MODIFY_INSTANCES_ATTRIBUTE = documented("ModifyInstancesAttribute: one attribute in each request", page="213/15739")
NothingToModify = rule(
    "MissingParameter", "A request to change attributes must have an attribute.", _MODIFY_INSTANCES_ATTRIBUTE
)
SeveralToModify = rule("InvalidParameterValue", "A request can change only one attribute.", _MODIFY_INSTANCES_ATTRIBUTE)
TwoStopTypes = rule(
    "InvalidParameterCombination",
    "A request must not have both StopType and ForceStop.",
    documented("StopInstances: not both ForceStop and StopType", page="213/15743"),
)
OneDiskParameter = rule(
    "InvalidParameterValue",
    "ResizeInstanceDisks must have either the system disk or data disks.",
    documented("ResizeInstanceDisks: DataDisks or SystemDisk, not both", page="213/15731"),
)

# Parameters that belong to an attribute (ModifyInstancesAttribute, 213/15739).
_COMPANIONS = frozenset({"InstanceIds", "AutoReboot", "CamRoleType"})

_STATES = (
    instance.InstanceNotFound,
    instance.InstanceIdMalformed,
    instance_state.InstanceBusy,
    instance_state.InstanceIsPending,
    instance_state.InstanceIsStarting,
    instance_state.InstanceIsStopping,
    instance_state.InstanceIsTerminating,
    instance_state.InstanceLaunchFailed,
)

_CHANGE = (*_STATES, instance_state.StoppedWithoutCharge)


@action("cvm", "StartInstances", *_STATES, instance_state.InstanceIsRunning)
def start_instances(call: Call, given: Parameters) -> None:
    """Start stopped instances."""
    instance_change.start(call.tx, given.required_texts("InstanceIds"))


@action("cvm", "StopInstances", *_STATES, instance_state.InstanceIsStopped, TwoStopTypes)
def stop_instances(call: Call, given: Parameters) -> None:
    """Stop running instances."""
    mode = given.find_text("StoppedMode") or "KEEP_CHARGING"
    if mode not in {"KEEP_CHARGING", "STOP_CHARGING"}:
        raise InvalidParameterValue(name="StoppedMode", value=mode, expected="KEEP_CHARGING or STOP_CHARGING")
    instance_change.stop(
        call.tx, given.required_texts("InstanceIds"), hard=_is_hard(given), stop_charging=mode == "STOP_CHARGING"
    )


def _is_hard(given: Parameters) -> bool:
    if "StopType" in given and "ForceStop" in given:
        raise TwoStopTypes
    kind = given.find_text("StopType") or ("HARD" if given.flag("ForceStop") else "SOFT")
    if kind not in {"SOFT", "HARD", "SOFT_FIRST"}:
        raise InvalidParameterValue(name="StopType", value=kind, expected="SOFT, HARD or SOFT_FIRST")
    return kind == "HARD"


@action("cvm", "TerminateInstances", *_STATES, instance.InstanceProtected)
def terminate_instances(call: Call, given: Parameters) -> None:
    """Delete instances and the resources that depend on them."""
    instance_change.terminate(call.tx, given.required_texts("InstanceIds"))


@action(
    "cvm",
    "ResetInstancesType",
    *_CHANGE,
    instance_change.TypeNotOffered,
    instance_change.SystemDiskTypeFixed,
    instance_state.InstanceIsRunning,
)
def reset_instances_type(call: Call, given: Parameters) -> None:
    """Change the type of instances. Running instances require ForceStop and are restarted."""
    ids, kind = given.required_texts("InstanceIds", limit=1), given.text("InstanceType")
    instance_change.resize(call.tx, ids, kind, force=given.flag("ForceStop"))


@action(
    "cvm",
    "ResetInstance",
    *_CHANGE,
    instance.ImageNotFound,
    instance.ImageIdMalformed,
    instance_attributes.HostNameIllegal,
    instance_attributes.UserDataNotBase64,
    instance_attributes.UserDataTooLong,
    instance_change.SystemDiskTypeFixed,
    key_pair.KeyPairUnknown,
    key_pair.KeyPairIdMalformed,
    PasswordNotEmulated,
)
def reset_instance(call: Call, given: Parameters) -> None:
    """Reinstall the system disk of an instance from an image."""
    login = given.inside("LoginSettings")
    if login.find_text("Password"):
        raise PasswordNotEmulated
    attributes = {
        "image_id": given.find_text("ImageId"),
        "hostname": given.find_text("HostName"),
        "key_ids": login.texts("KeyIds") if "KeyIds" in login else None,
        "user_data": given.find_text("UserData"),
    }
    instance_change.reset(call.tx, given.text("InstanceId"), attributes)


@action(
    "cvm",
    "ResizeInstanceDisks",
    *_CHANGE,
    instance_state.InstanceIsRunning,
    instance_change.SystemDiskShrinks,
    instance_change.SystemDiskTypeNotChangeable,
    instance_change.DataDiskElastic,
    OneDiskParameter,
    disk_types.DiskSizeOutOfRange,
)
def resize_instance_disks(call: Call, given: Parameters) -> None:
    """Expand the system disk of an instance. A running instance requires ForceStop."""
    instance_id = given.text("InstanceId")
    system, data = given.find_inside("SystemDisk"), given.each("DataDisks")
    if (system is None) == (not data):
        raise OneDiskParameter
    if system is None:
        raise instance_change.DataDiskElastic
    instance_change.resize_system_disk(
        call.tx,
        instance_id,
        kind=system.find_text("DiskType"),
        size_gib=system.find_integer("DiskSize"),
        force=given.flag("ForceStop"),
    )


@action("cvm", "ResetInstancesInternetMaxBandwidth", *_CHANGE)
def reset_instances_internet_max_bandwidth(call: Call, given: Parameters) -> None:
    """Change the bandwidth of the ordinary public addresses of instances."""
    ids = given.required_texts("InstanceIds")
    internet = given.required_inside("InternetAccessible")
    bandwidth = internet.integer_in("InternetMaxBandwidthOut", 0, BANDWIDTH_MBPS, default=0)
    instance_change.change_bandwidth(
        call.tx, ids, charge_type=internet.find_text("InternetChargeType"), bandwidth_mbps=bandwidth
    )


@action(
    "cvm",
    "ModifyInstancesVpcAttribute",
    *_CHANGE,
    instance_state.InstanceIsRunning,
    instance.SubnetNotExist,
    instance.SubnetNotInVpc,
    instance.SubnetInOtherZone,
    instance.AddressNotInSubnet,
    instance.AddressInUse,
)
def modify_instances_vpc_attribute(call: Call, given: Parameters) -> None:
    """Change the private addresses or the subnet of instances (213/15750). Running instances are restarted."""
    ids = given.required_texts("InstanceIds")
    network = given.required_inside("VirtualPrivateCloud")
    addresses = network.addresses("PrivateIpAddresses")
    if addresses and len(addresses) != len(ids):
        given_count = f"one for each of the {len(ids)} instances"
        raise InvalidParameterValue(name="PrivateIpAddresses", value=len(addresses), expected=given_count)
    for index, instance_id in enumerate(ids):
        instance_change.move(
            call.tx,
            instance_id,
            network.text("VpcId"),
            network.text("SubnetId"),
            addresses[index] if addresses else None,
            force=given.flag("ForceStop", default=True),
        )


@action(
    "cvm",
    "ModifyInstancesAttribute",
    *_CHANGE,
    NothingToModify,
    SeveralToModify,
    instance_attributes.RoleNameMalformed,
    instance_attributes.NameTooLong,
    instance_attributes.HostNameIllegal,
    instance_attributes.UserDataNotBase64,
    instance_attributes.UserDataTooLong,
    instance.GroupNotFound,
    instance.TooManyGroups,
)
def modify_instances_attribute(call: Call, given: Parameters) -> None:
    """Change names, security groups, user data or protection of instances."""
    ids = given.required_texts("InstanceIds")
    names = sorted(given.values.keys() - _COMPANIONS)
    if not names:
        raise NothingToModify
    if len(names) > 1:
        raise SeveralToModify(got=", ".join(names))
    attributes = {
        "name": given.find_text("InstanceName"),
        "hostname": given.find_text("HostName"),
        "user_data": given.find_text("UserData"),
        "protected": given.find_flag("DisableApiTermination"),
        "cam_role_name": given.find_text("CamRoleName"),
    }
    for instance_id in ids:
        groups = given.texts("SecurityGroups") if "SecurityGroups" in given else None
        instance_change.modify(call.tx, instance_id, attributes, groups)


@action(
    "cvm",
    "ModifyInstancesDisasterRecoverGroup",
    *_CHANGE,
    placement.PlacementGroupUnknown,
    placement.PlacementGroupFull,
    instance_change.AlreadyInPlacementGroup,
)
def modify_instances_disaster_recover_group(call: Call, given: Parameters) -> None:
    """Move instances to another placement group, or remove them from their group."""
    group_id = given.find_text("DisasterRecoverGroupId") or "".join(given.texts("DisasterRecoverGroupIds", limit=1))
    instance_change.change_placement(call.tx, given.required_texts("InstanceIds"), group_id)


@action("cvm", "ModifyInstancesProject", instance.InstanceNotFound, instance.InstanceIdMalformed)
def modify_instances_project(call: Call, given: Parameters) -> None:
    """Move instances to another project."""
    instance_change.change_project(call.tx, given.required_texts("InstanceIds"), given.integer("ProjectId"))
