"""Instances: what may be done to one that is there."""

from __future__ import annotations

from localcloud.rules import disk, instance, instance_change, interface, key_pair, placement
from localcloud.rules.refusal import InvalidParameterValue, Refusal, documented
from localcloud.services.actions import Answer, Call, action
from localcloud.services.instance import PasswordNotEmulated


class NothingToModify(Refusal):
    """A change of attributes names an attribute."""

    code = "MissingParameter.AtLeastOne"
    template = "The request names no attribute to change."
    source = documented("the page of ModifyInstancesAttribute; code in errorcodes.py (cvm)")


_STATES = (
    instance.InstanceNotFound,
    instance.InstanceIdMalformed,
    instance_change.InstanceBusy,
    instance_change.InstanceIsPending,
    instance_change.InstanceIsStarting,
    instance_change.InstanceIsStopping,
    instance_change.InstanceIsRebooting,
    instance_change.InstanceIsTerminating,
    instance_change.InstanceLaunchFailed,
)


@action("cvm", "StartInstances", *_STATES, instance_change.InstanceIsRunning)
def start_instances(call: Call) -> Answer:
    """Start stopped instances."""
    instance_change.start(call.tx, call.parameters.required_texts("InstanceIds"))
    return {}


@action("cvm", "StopInstances", *_STATES, instance_change.InstanceIsStopped)
def stop_instances(call: Call) -> Answer:
    """Stop running instances."""
    given = call.parameters
    kind = given.find_text("StopType") or ("HARD" if given.flag("ForceStop") else "SOFT")
    instance_change.stop(
        call.tx,
        given.required_texts("InstanceIds"),
        hard=_is_hard("StopType", kind),
        stop_charging=given.find_text("StoppedMode") == "STOP_CHARGING",
    )
    return {}


def _is_hard(name: str, kind: str) -> bool:
    if kind not in {"SOFT", "HARD", "SOFT_FIRST"}:
        raise InvalidParameterValue(name=name, value=kind, wanted="SOFT, HARD or SOFT_FIRST")
    return kind == "HARD"


@action("cvm", "RebootInstances", *_STATES, instance_change.InstanceIsStopped)
def reboot_instances(call: Call) -> Answer:
    """Reboot running instances."""
    given = call.parameters
    kind = given.find_text("StopType") or ("HARD" if given.flag("ForceReboot") else "SOFT")
    instance_change.reboot(call.tx, given.required_texts("InstanceIds"), hard=_is_hard("StopType", kind))
    return {}


@action("cvm", "TerminateInstances", *_STATES, instance.InstanceProtected)
def terminate_instances(call: Call) -> Answer:
    """Destroy instances and what lives with them."""
    instance_change.terminate(call.tx, call.parameters.required_texts("InstanceIds"))
    return {}


@action("cvm", "ResetInstancesType", *_STATES, instance.InstanceTypeUnknown, instance_change.InstanceIsRunning)
def reset_instances_type(call: Call) -> Answer:
    """Change the size of instances; running ones need ForceStop, and are restarted."""
    given = call.parameters
    ids, kind = given.required_texts("InstanceIds"), given.text("InstanceType")
    instance_change.resize(call.tx, ids, kind, force=given.flag("ForceStop"))
    return {}


@action(
    "cvm",
    "ResetInstance",
    *_STATES,
    instance.ImageNotFound,
    instance.ImageIdMalformed,
    instance.HostNameIllegal,
    instance.UserDataNotBase64,
    instance.UserDataTooLong,
    key_pair.KeyPairNotFound,
    PasswordNotEmulated,
)
def reset_instance(call: Call) -> Answer:
    """Make an instance's system disk anew from an image."""
    given = call.parameters
    login = given.inside("LoginSettings")
    if login.find_text("Password"):
        raise PasswordNotEmulated
    instance_change.reset(
        call.tx,
        given.text("InstanceId"),
        image_id=given.find_text("ImageId"),
        hostname=given.find_text("HostName"),
        key_ids=login.texts("KeyIds") if "KeyIds" in login else None,
        user_data=given.find_text("UserData"),
    )
    return {}


@action(
    "cvm",
    "ResizeInstanceDisks",
    *_STATES,
    instance_change.InstanceIsRunning,
    instance_change.SystemDiskShrinks,
    disk.DiskNotFound,
    disk.DiskShrinks,
    disk.DiskBusy,
    disk.DiskTypeUnknown,
    disk.DiskSizeOutOfRange,
)
def resize_instance_disks(call: Call) -> Answer:
    """Let an instance's disks grow; the system disk of a running one needs ForceStop."""
    given = call.parameters
    instance_id = given.text("InstanceId")
    system = given.find_inside("SystemDisk")
    for entry in given.each("DataDisks"):
        disk.resize(call.tx, entry.text("DiskId"), entry.integer("DiskSize"))
    if system is not None:
        instance_change.resize_system_disk(
            call.tx,
            instance_id,
            kind=system.find_text("DiskType"),
            size_gib=system.find_integer("DiskSize"),
            force=given.flag("ForceStop"),
        )
    return {}


@action("cvm", "ResetInstancesInternetMaxBandwidth", *_STATES)
def reset_instances_internet_max_bandwidth(call: Call) -> Answer:
    """Change the bandwidth of instances' own public addresses."""
    given = call.parameters
    ids = given.required_texts("InstanceIds")
    internet = given.required_inside("InternetAccessible")
    bandwidth = internet.integer_in("InternetMaxBandwidthOut", 0, 200, default=0)
    instance_change.change_bandwidth(
        call.tx, ids, charge_type=internet.find_text("InternetChargeType"), bandwidth_mbps=bandwidth
    )
    return {}


@action(
    "cvm",
    "ModifyInstancesVpcAttribute",
    *_STATES,
    instance_change.InstanceIsRunning,
    instance.SubnetNotExist,
    instance.SubnetNotInVpc,
    instance.SubnetInOtherZone,
    instance.AddressNotInSubnet,
    instance.AddressInUse,
)
def modify_instances_vpc_attribute(call: Call) -> Answer:
    """Give instances other private addresses or another subnet; running ones are restarted."""
    given = call.parameters
    ids = given.required_texts("InstanceIds")
    network = given.required_inside("VirtualPrivateCloud")
    addresses = network.addresses("PrivateIpAddresses")
    for index, instance_id in enumerate(ids):
        instance_change.move(
            call.tx,
            instance_id,
            network.text("VpcId"),
            network.text("SubnetId"),
            addresses[index] if index < len(addresses) else None,
            force=given.flag("ForceStop", default=True),
        )
    return {}


@action(
    "cvm",
    "ModifyInstancesAttribute",
    *_STATES,
    NothingToModify,
    instance.NameTooLong,
    instance.HostNameIllegal,
    instance.UserDataNotBase64,
    instance.UserDataTooLong,
    instance.GroupNotFound,
    instance.TooManyGroups,
)
def modify_instances_attribute(call: Call) -> Answer:
    """Change names, security groups, user data or protection of instances."""
    given = call.parameters
    ids = given.required_texts("InstanceIds")
    if set(given.values) == {"InstanceIds"}:
        raise NothingToModify
    for instance_id in ids:
        instance_change.modify(
            call.tx,
            instance_id,
            name=given.find_text("InstanceName"),
            hostname=given.find_text("HostName"),
            user_data=given.find_text("UserData"),
            group_ids=given.texts("SecurityGroups"),
            protected=given.find_flag("DisableApiTermination"),
            cam_role_name=given.find_text("CamRoleName"),
        )
    return {}


@action("cvm", "AssociateSecurityGroups", *_STATES, instance.GroupNotFound, instance.TooManyGroups)
def associate_security_groups(call: Call) -> Answer:
    """Add security groups to instances."""
    given = call.parameters
    added = given.required_texts("SecurityGroupIds")
    for instance_id in given.required_texts("InstanceIds"):
        card = interface.get(call.tx, instance.get(call.tx, instance_id).interface_id)
        groups = tuple(dict.fromkeys((*card.group_ids, *added)))
        instance.check_groups(call.tx, groups)
        interface.modify(call.tx, card.id, name=None, description=None, group_ids=groups)
    return {}


@action("cvm", "DisassociateSecurityGroups", *_STATES, instance.TooManyGroups)
def disassociate_security_groups(call: Call) -> Answer:
    """Take security groups from instances; one must stay."""
    given = call.parameters
    removed = given.required_texts("SecurityGroupIds")
    for instance_id in given.required_texts("InstanceIds"):
        card = interface.get(call.tx, instance.get(call.tx, instance_id).interface_id)
        kept = tuple(group_id for group_id in card.group_ids if group_id not in removed)
        instance.check_groups(call.tx, kept)
        interface.modify(call.tx, card.id, name=None, description=None, group_ids=kept)
    return {}


@action(
    "cvm",
    "ModifyInstancesDisasterRecoverGroup",
    *_STATES,
    placement.PlacementGroupNotFound,
    placement.PlacementGroupFull,
    instance_change.AlreadyInPlacementGroup,
)
def modify_instances_disaster_recover_group(call: Call) -> Answer:
    """Move instances to another placement group, or out of theirs."""
    given = call.parameters
    group_id = given.find_text("DisasterRecoverGroupId") or ""
    instance_change.change_placement(call.tx, given.required_texts("InstanceIds"), group_id)
    return {}


@action("cvm", "ModifyInstancesProject", instance.InstanceNotFound, instance.InstanceIdMalformed)
def modify_instances_project(call: Call) -> Answer:
    """Move instances to another project."""
    given = call.parameters
    instance_change.change_project(call.tx, given.required_texts("InstanceIds"), given.integer("ProjectId"))
    return {}
