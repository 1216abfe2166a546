"""Placement groups, called disaster recover groups in the API."""

from __future__ import annotations

from dataclasses import dataclass

from localcloud.rules import references, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import InvalidParameterValue, ParameterTooLong, check_range, documented, rule
from localcloud.rules.transaction import Transaction

NAME_LIMIT = 60
QUOTA = 10

# Maximum number of instances in a group of each type.
INSTANCES = {"HOST": 50, "SW": 20, "RACK": 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementGroup(Record):
    """Instances that are placed on different hosts, switches or racks."""

    name: str
    type: str
    affinity: int

    @property
    def quota(self) -> int:
        return INSTANCES[self.type]


PlacementGroupNotFound = rule(
    "ResourceNotFound.InvalidPlacementSet",
    "DisasterRecoverGroupId must identify an existing placement group.",
    documented("ModifyDisasterRecoverGroupAttribute", page="213/17809"),
)
PlacementGroupUnknown = rule(
    "FailedOperation.DisasterRecoverGroupNotFound",
    "The placement group of an instance must exist.",
    documented("RunInstances", page="213/15730"),
)
PlacementGroupQuota = rule(
    "ResourceInsufficient.InsufficientGroupQuota",
    "A region can have at most 10 placement groups.",
    documented("DescribeDisasterRecoverGroupQuota: 10; code: CreateDisasterRecoverGroup", page="213/17811"),
)
PlacementAffinityReduced = rule(
    "InvalidParameterValue.Range",
    "The affinity of a placement group cannot be reduced.",
    documented("ModifyDisasterRecoverGroupAttribute: Affinity, only to a higher value", page="213/17809"),
)
PlacementGroupNotEmpty = rule(
    "FailedOperation.PlacementSetNotEmpty",
    "A placement group cannot be deleted while it has instances.",
    documented("DeleteDisasterRecoverGroups: only empty groups", page="213/17812"),
)
PlacementGroupFull = rule(
    "ResourceInsufficient.DisasterRecoverGroupCvmQuota",
    "A placement group cannot have more instances than its type allows.",
    documented("DescribeDisasterRecoverGroupQuota: 50 HOST, 20 SW, 30 RACK", page="213/17811"),
)


def get(tx: Transaction, group_id: str) -> PlacementGroup:
    return tx.get(PlacementGroup, group_id, PlacementGroupNotFound)


def get_for_instance(tx: Transaction, group_id: str) -> PlacementGroup:
    return tx.get(PlacementGroup, group_id, PlacementGroupUnknown)


def _check(group: PlacementGroup) -> None:
    if not 1 <= len(group.name) <= NAME_LIMIT:
        raise ParameterTooLong(name="Name", limit=NAME_LIMIT)
    check_range("Affinity", group.affinity, 1, 10)


def create(tx: Transaction, requested: PlacementGroup, tags: tag.Tags) -> PlacementGroup:
    _check(requested)
    if requested.type not in INSTANCES:
        raise InvalidParameterValue(name="Type", value=requested.type, expected="HOST, SW or RACK")
    if len(tx.all(PlacementGroup)) >= QUOTA:
        raise PlacementGroupQuota
    return tag.create(tx, "ps", requested, tags)


def change(tx: Transaction, present: PlacementGroup, changed: PlacementGroup) -> None:
    _check(changed)
    if changed.affinity < present.affinity:
        raise PlacementAffinityReduced(got=changed.affinity, group_id=present.id, present=present.affinity)
    tx.put(changed)


def members(tx: Transaction, group: PlacementGroup) -> list[str]:
    return references.users(tx, group)


def check_capacity(tx: Transaction, group: PlacementGroup, arriving: int) -> None:
    """Raises: PlacementGroupFull."""
    if len(members(tx, group)) + arriving > group.quota:
        raise PlacementGroupFull(group_id=group.id, quota=group.quota)


def delete(tx: Transaction, group_id: str) -> None:
    """Delete an empty placement group. Raises: PlacementGroupNotEmpty."""
    group = get(tx, group_id)
    for user in members(tx, group):
        raise PlacementGroupNotEmpty(group_id=group_id, user=user)
    tag.delete(tx, group)
