"""Placement groups, called disaster recover groups in the API."""

from __future__ import annotations

from localcloud.rules import placement
from localcloud.rules.placement import PlacementGroup
from localcloud.rules.records import changed, iso_time
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import UnknownInstanceFilter, chosen, page
from localcloud.services.parameters import Parameters

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
def create_disaster_recover_group(call: Call, given: Parameters) -> Answer:
    """Create a placement group."""
    name, kind, affinity = given.text("Name"), given.text("Type"), given.integer_or("Affinity", 1)
    requested = PlacementGroup(name=name, type=kind, affinity=affinity)
    shown = _show(call, placement.create(call.tx, requested, tagging.specified(given, "ps")))
    del shown["InstanceIds"], shown["Tags"], shown["Affinity"]
    return shown


@action("cvm", "DescribeDisasterRecoverGroups")
def describe_disaster_recover_groups(call: Call, given: Parameters) -> Answer:
    """List placement groups."""
    given.texts("DisasterRecoverGroupIds", limit=GROUPS)
    found = chosen(call, call.tx.all(PlacementGroup), {}, ids="DisasterRecoverGroupIds", refusal=UnknownInstanceFilter)
    name = given.find_text("Name")
    found = [one for one in found if not name or name in one.name]
    return {"TotalCount": len(found), "DisasterRecoverGroupSet": [_show(call, group) for group in page(call, found)]}


@action(
    "cvm", "ModifyDisasterRecoverGroupAttribute", placement.PlacementGroupNotFound, placement.PlacementAffinityReduced
)
def modify_disaster_recover_group_attribute(call: Call, given: Parameters) -> None:
    """Change the name or affinity of a placement group."""
    present = placement.get(call.tx, given.text("DisasterRecoverGroupId"))
    name, affinity = given.find_text("Name"), given.find_integer("Affinity")
    placement.change(call.tx, present, changed(present, {"name": name, "affinity": affinity}))


@action("cvm", "DeleteDisasterRecoverGroups", placement.PlacementGroupNotFound, placement.PlacementGroupNotEmpty)
def delete_disaster_recover_groups(call: Call, given: Parameters) -> None:
    """Delete empty placement groups."""
    for group_id in given.required_texts("DisasterRecoverGroupIds", limit=GROUPS):
        placement.delete(call.tx, group_id)
