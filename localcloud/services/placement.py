"""Placement groups, called disaster recover groups in the API."""

from __future__ import annotations

from localcloud.rules import placement
from localcloud.rules.placement import PlacementGroup
from localcloud.rules.records import iso_time
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import UnknownInstanceFilter, chosen, page

# Maximum groups in one request (DescribeDisasterRecoverGroups, 213/17810; DeleteDisasterRecoverGroups, 213/17812).
GROUPS = 10


def _show(call: Call, group: PlacementGroup) -> Answer:
    members = placement.members(call.tx, group)
    return {
        "DisasterRecoverGroupId": group.id,
        "Name": group.name,
        "Type": group.type,
        "CvmQuotaTotal": group.quota,
        "CurrentNum": len(members),
        "InstanceIds": members,
        "CreateTime": iso_time(group.created),
        "Affinity": group.affinity,
        "Tags": tagging.shown(call, group.id),
    }


@action("cvm", "CreateDisasterRecoverGroup", placement.PlacementGroupQuota, *tagging.MACHINE_RULES)
def create_disaster_recover_group(call: Call) -> Answer:
    """Create a placement group."""
    given = call.parameters
    group = placement.create(
        call.tx,
        name=given.text("Name"),
        kind=given.text("Type"),
        affinity=given.integer_in("Affinity", 1, 10, default=1),
        tags=tagging.specified(given, "ps"),
    )
    shown = _show(call, group)
    del shown["InstanceIds"], shown["Tags"], shown["Affinity"]
    return shown


@action("cvm", "DescribeDisasterRecoverGroups")
def describe_disaster_recover_groups(call: Call) -> Answer:
    """List placement groups."""
    call.parameters.texts("DisasterRecoverGroupIds", limit=GROUPS)
    found = chosen(call, call.tx.all(PlacementGroup), {}, ids="DisasterRecoverGroupIds", refusal=UnknownInstanceFilter)
    name = call.parameters.find_text("Name")
    found = [one for one in found if not name or name in one.name]
    return {"TotalCount": len(found), "DisasterRecoverGroupSet": [_show(call, one) for one in page(call, found)]}


@action("cvm", "DescribeDisasterRecoverGroupQuota")
def describe_disaster_recover_group_quota(call: Call) -> Answer:
    """Return the maximum number of placement groups, and of instances in one group."""
    return {
        "GroupQuota": placement.QUOTA,
        "CurrentNum": len(call.tx.all(PlacementGroup)),
        "CvmInHostGroupQuota": placement.INSTANCES["HOST"],
        "CvmInSwGroupQuota": placement.INSTANCES["SW"],
        "CvmInSwitchGroupQuota": placement.INSTANCES["SW"],
        "CvmInRackGroupQuota": placement.INSTANCES["RACK"],
    }


@action(
    "cvm",
    "ModifyDisasterRecoverGroupAttribute",
    placement.PlacementGroupNotFound,
    placement.PlacementAffinityReduced,
)
def modify_disaster_recover_group_attribute(call: Call) -> Answer:
    """Change the name or affinity of a placement group."""
    given = call.parameters
    placement.change(
        call.tx,
        given.text("DisasterRecoverGroupId"),
        name=given.find_text("Name"),
        affinity=given.find_integer("Affinity"),
    )
    return {}


@action("cvm", "DeleteDisasterRecoverGroups", placement.PlacementGroupNotFound, placement.PlacementGroupNotEmpty)
def delete_disaster_recover_groups(call: Call) -> Answer:
    """Delete empty placement groups."""
    for group_id in call.parameters.required_texts("DisasterRecoverGroupIds", limit=GROUPS):
        placement.delete(call.tx, group_id)
    return {}
