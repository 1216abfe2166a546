"""Placement groups, called disaster recover groups in the API."""

from __future__ import annotations

from dataclasses import dataclass, replace

from localcloud.rules import references, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import InvalidParameterValue, ParameterTooLong, Refusal, check_range, documented
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
        """Maximum number of instances."""
        return INSTANCES[self.type]


class PlacementGroupNotFound(Refusal):
    """DisasterRecoverGroupId must identify an existing placement group."""

    code = "ResourceNotFound.InvalidPlacementSet"
    template = "DisasterRecoverGroupId must identify an existing placement group (got `{group_id}`)."
    source = documented("ModifyDisasterRecoverGroupAttribute: ResourceNotFound.InvalidPlacementSet", page="213/17809")


class PlacementGroupUnknown(Refusal):
    """The placement group of an instance must exist."""

    code = "FailedOperation.DisasterRecoverGroupNotFound"
    template = "The placement group of the instance must exist (got `{group_id}`)."
    source = documented("RunInstances: FailedOperation.DisasterRecoverGroupNotFound", page="213/15730")


class PlacementGroupQuota(Refusal):
    """A region can have at most 10 placement groups."""

    code = "ResourceInsufficient.InsufficientGroupQuota"
    template = "A region cannot have more than {limit} placement groups."
    source = documented(
        "DescribeDisasterRecoverGroupQuota: GroupQuota 10; code: CreateDisasterRecoverGroup",
        page="213/17811",
    )


class PlacementAffinityReduced(Refusal):
    """The affinity of a placement group cannot be reduced."""

    code = "InvalidParameterValue.Range"
    template = "The affinity of `{group_id}` must not be less than {present} (got {affinity})."
    source = documented(
        "ModifyDisasterRecoverGroupAttribute: Affinity, only from a lower to a higher value",
        page="213/17809",
    )


class PlacementGroupNotEmpty(Refusal):
    """A placement group cannot be deleted while it has instances."""

    code = "FailedOperation.PlacementSetNotEmpty"
    template = "The placement group `{group_id}` cannot be deleted while it has the instance `{user}`."
    source = documented("DeleteDisasterRecoverGroups: only empty groups", page="213/17812")


class PlacementGroupFull(Refusal):
    """A placement group cannot have more instances than its type allows."""

    code = "ResourceInsufficient.DisasterRecoverGroupCvmQuota"
    template = "The placement group `{group_id}` cannot have more than {quota} instances."
    source = documented("DescribeDisasterRecoverGroupQuota: 50 HOST, 20 SW, 30 RACK", page="213/17811")


def get(tx: Transaction, group_id: str) -> PlacementGroup:
    """Return the placement group. Raises: PlacementGroupNotFound."""
    found = tx.find(PlacementGroup, group_id)
    if found is None:
        raise PlacementGroupNotFound(group_id=group_id)
    return found


def get_for_instance(tx: Transaction, group_id: str) -> PlacementGroup:
    """Return the placement group. Raises: PlacementGroupUnknown."""
    found = tx.find(PlacementGroup, group_id)
    if found is None:
        raise PlacementGroupUnknown(group_id=group_id)
    return found


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= NAME_LIMIT:
        raise ParameterTooLong(name="Name", limit=NAME_LIMIT)


def create(tx: Transaction, *, name: str, kind: str, affinity: int, tags: tag.Tags) -> PlacementGroup:
    """Create an empty placement group."""
    _check_name(name)
    if kind not in INSTANCES:
        raise InvalidParameterValue(name="Type", value=kind, expected="HOST, SW or RACK")
    check_range("Affinity", affinity, 1, 10)
    if len(tx.all(PlacementGroup)) >= QUOTA:
        raise PlacementGroupQuota(limit=QUOTA)
    group = tx.put(
        PlacementGroup(id=tx.new_id("ps"), region=tx.region, created=tx.now, name=name, type=kind, affinity=affinity)
    )
    tag.attach(tx, group.id, tags)
    return group


def change(tx: Transaction, group_id: str, *, name: str | None, affinity: int | None) -> None:
    """Change the given attributes; None leaves an attribute unchanged."""
    group = get(tx, group_id)
    if name is not None:
        _check_name(name)
    if affinity is not None:
        check_range("Affinity", affinity, 1, 10)
        if affinity < group.affinity:
            raise PlacementAffinityReduced(group_id=group_id, present=group.affinity, affinity=affinity)
    tx.put(
        replace(
            group,
            name=group.name if name is None else name,
            affinity=group.affinity if affinity is None else affinity,
        )
    )


def members(tx: Transaction, group: PlacementGroup) -> list[str]:
    """Return the IDs of the instances in the group."""
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
    tag.detach_all(tx, group_id)
    tx.delete(group)
